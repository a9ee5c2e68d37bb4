//! Answers: the HTTP routes, and the response to each request.
//!
//! Every response is JSON except the `ok` of `/healthz` and the text of `/metrics`. All errors have one form: `{"error": …}`.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{
        HeaderName, Method, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    changes,
    connections::Stays,
    going_down, histories, metrics, nudging, orders,
    peer::Peer,
    programs,
    report::{AgentReport, Explanation, StatusReport},
    reporter::Reporter,
    screens,
};
use crate::{
    agent::{
        history::finding::{self, UnknownAgent},
        requests::Outcome,
    },
    town::identity::Identity,
    tree::root::RootMsg,
};

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];
/// The most bytes repeated of a refusal that is not ours.
const LONGEST_REFUSAL: usize = 4096;
/// The last path segment of a command for one agent.
const CLEAR_BACKOFF: &str = "/clear-backoff";

/// Everything that can be asked over the socket.
pub fn router(reporter: Arc<Reporter>) -> Router {
    let all = readable()
        .route("/v1/agents/{*agent}", post(command_for_agent))
        .route("/v1/requests/{id}", get(orders::progress))
        .route("/v1/sessions/{*agent}", get(screens::session))
        .route("/v1/programs", get(programs::programs))
        .route("/v1/clear-backoff", post(clear_all))
        .route("/v1/down", post(go_down))
        .route("/v1/poke", post(poke));
    finished(all).with_state(reporter)
}

/// What changes nothing, runs no program, and shows no living screen: this, and nothing else, may be asked over the network, too.
pub fn readable() -> Router<Arc<Reporter>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/agents/{*agent}", get(explain))
        .route("/metrics", get(metrics::page))
        .route("/v1/history", get(histories::since))
}

/// The routes, with refusals for all that is none of them.
pub fn finished(routes: Router<Arc<Reporter>>) -> Router<Arc<Reporter>> {
    routes
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this path does not support this method")
        })
        .layer(map_response(errors_are_json))
}

/// Converts the text of refusals that come before our routes (a path that is no UTF-8, a body that is too long) to JSON.
async fn errors_are_json(response: Response) -> Response {
    let status = response.status();
    let (is_error, head) = (status.is_client_error() || status.is_server_error(), response.headers());
    let ours = head.get(CONTENT_TYPE).is_some_and(|kind| kind == JSON[0].1);
    if !is_error || ours {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST_REFUSAL).await.unwrap_or_default();
    let why = match String::from_utf8_lossy(&text).trim() {
        "" => status.canonical_reason().unwrap_or("refused").to_owned(),
        why => why.to_owned(),
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let mut refused = refusal(status, &why);
    refused.headers_mut().extend(parts.headers);
    refused
}

async fn healthz(State(reporter): State<Arc<Reporter>>) -> Response {
    match reporter.report().await {
        Some(_) => "ok\n".into_response(),
        None => wedged(),
    }
}

async fn status(State(reporter): State<Arc<Reporter>>) -> Response {
    match reporter.report().await {
        Some(report) => answer(&*report),
        None => wedged(),
    }
}

async fn events(
    State(reporter): State<Arc<Reporter>>,
    Extension(stays): Extension<Stays>,
    method: Method,
) -> Response {
    if method == Method::HEAD {
        return [(CONTENT_TYPE, "text/event-stream")].into_response();
    }
    stays.stay();
    changes::follow(reporter).into_response()
}

async fn explain(State(reporter): State<Arc<Reporter>>, Path(agent): Path<String>) -> Response {
    let Some(report) = reporter.report().await else { return wedged() };
    match find(&reporter, &report, &agent, For::Showing) {
        Ok(identity) => {
            let entries = reporter.deps().records.history(&identity).entries;
            let agent = status_of(&report, &identity);
            answer(&Explanation { identity: identity.to_string(), agent, entries })
        }
        Err(unknown) => no_such_agent(&unknown),
    }
}

async fn command_for_agent(
    State(reporter): State<Arc<Reporter>>,
    peer: Option<Extension<Peer>>,
    Extension(stays): Extension<Stays>,
    how: Result<Query<orders::How>, QueryRejection>,
    Path(path): Path<String>,
    body: Body,
) -> Response {
    if let Some(agent) = nudging::named(&path) {
        return nudge(&reporter, agent, (peer, &stays), body).await;
    }
    if let Some(order) = orders::named(&path) {
        return orders::take(&reporter, order, how, peer).await;
    }
    let Some(agent) = path.strip_suffix(CLEAR_BACKOFF) else {
        let why = "the commands for an agent are restart, stop, start, nudge and clear-backoff";
        return refusal(StatusCode::NOT_FOUND, why);
    };
    let Some(report) = reporter.report().await else { return wedged() };
    match find(&reporter, &report, agent, For::Showing) {
        Ok(identity) => clear(&reporter, &report, Some(identity)),
        Err(unknown) => no_such_agent(&unknown),
    }
}

/// Has a person's text typed into an agent, and answers what became of it.
async fn nudge(
    reporter: &Reporter,
    agent: &str,
    (peer, stays): (Option<Extension<Peer>>, &Stays),
    body: Body,
) -> Response {
    let asked = match nudging::read(body).await {
        Ok(asked) => asked,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
    };
    let Some(Extension(Peer { uid })) = peer else {
        return refusal(StatusCode::FORBIDDEN, "the system does not say which user asks");
    };
    let Some(report) = reporter.report().await else { return wedged() };
    let identity = match find(reporter, &report, agent, For::Doing) {
        Ok(identity) => identity,
        Err(unknown) => return no_such_agent(&unknown),
    };
    // It may take longer than a connection lives otherwise.
    stays.stay();
    let user = reporter.users().name(uid).await;
    match nudging::deliver(reporter.deps(), &identity, asked, (uid, user)).await {
        Ok(text) => answer(&nudging::NudgeReply {
            identity: identity.to_string(),
            outcome: Outcome::done("nudged", text),
        }),
        Err(not_nudged) => refusal_with_code(&identity, &not_nudged.why, not_nudged.code),
    }
}

/// Has all agents of a town of one file ended, and then the supervisor.
async fn go_down(State(reporter): State<Arc<Reporter>>, peer: Option<Extension<Peer>>) -> Response {
    if reporter.deps().paths.agents_file().is_none() {
        return refusal(StatusCode::CONFLICT, "this is a Gas Town: `gt down` ends its agents");
    }
    let Some(Extension(Peer { uid })) = peer else {
        return refusal(StatusCode::FORBIDDEN, "the system does not say which user asks");
    };
    going_down::order(&reporter, uid).await.map_or_else(wedged, |taken| answer(&taken))
}

async fn clear_all(State(reporter): State<Arc<Reporter>>) -> Response {
    match reporter.report().await {
        Some(report) => clear(&reporter, &report, None),
        None => wedged(),
    }
}

/// Clears backoffs; `cleared` in the answer names the agents that had something to clear, `delayed` those of them whose start was
/// delayed by it, and `memory` what starts wait for now, as those that follow will.
fn clear(reporter: &Reporter, report: &StatusReport, agent: Option<Identity>) -> Response {
    let named = agent.as_ref().map(ToString::to_string);
    let meant = report.agents.iter().filter(|it| named.as_ref().is_none_or(|named| it.identity == *named));
    let had_some: Vec<_> = meant.filter(|agent| agent.has_backoff()).collect();
    let cleared: Vec<&str> = had_some.iter().map(|agent| agent.identity.as_str()).collect();
    let delayed: Vec<&str> =
        had_some.iter().filter(|agent| agent.is_delayed()).map(|agent| agent.identity.as_str()).collect();
    if !reporter.tell(RootMsg::ClearBackoff(agent)) {
        return wedged();
    }
    let mut told = json!({"cleared": cleared, "delayed": delayed});
    if let Some((why, count)) = reporter.deps().starts.memory.longest_wait() {
        told["memory"] = format!("{why}; {count} starts wait for memory").into();
    }
    answer(&told)
}

#[derive(Debug, Deserialize)]
struct Poke {
    #[serde(default)]
    what: What,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    #[default]
    Heartbeat,
    Lifecycle,
}

async fn poke(State(reporter): State<Arc<Reporter>>, query: Result<Query<Poke>, QueryRejection>) -> Response {
    let Ok(Query(Poke { what })) = query else {
        return refusal(StatusCode::BAD_REQUEST, "`what` must be heartbeat or lifecycle");
    };
    let (message, poked) = match what {
        What::Heartbeat => (RootMsg::BeatNow, "heartbeat"),
        What::Lifecycle => (RootMsg::MailMayHaveCome, "lifecycle"),
    };
    if reporter.tell(message) { answer(&json!({"poked": poked})) } else { wedged() }
}

/// What an agent is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// To show or clear what is known of it: one that is no more has a history, too.
    Showing,
    /// To do something to it: it must be there, and the only one that is meant.
    Doing,
}

/// The agent that a text names, of all that there are: also those that run only on request. A session's name is the agent's that
/// has it.
pub(super) fn find(
    reporter: &Reporter,
    report: &StatusReport,
    text: &str,
    purpose: For,
) -> Result<Identity, UnknownAgent> {
    let all = reporter.deps().directory.all();
    let in_session =
        all.iter().find(|(_, session)| session == text).map(|(identity, _)| identity.to_string());
    let text = in_session.as_deref().unwrap_or(text);
    let supervised = report.agents.iter().filter_map(|agent| agent.identity.parse().ok());
    let mut known: BTreeSet<Identity> =
        supervised.chain(all.into_iter().map(|(identity, _)| identity)).collect();
    if purpose == For::Showing {
        known.extend(reporter.deps().records.with_entries());
    }
    let known: Vec<Identity> = known.into_iter().collect();
    match purpose {
        // The known agents include those of all rigs.
        For::Showing => finding::find(text, &[], &known),
        For::Doing => finding::find_one(text, &known),
    }
}

pub(super) fn status_of(report: &StatusReport, identity: &Identity) -> Option<AgentReport> {
    let name = identity.to_string();
    report.agents.iter().find(|agent| agent.identity == name).cloned()
}

pub(super) fn answer(of: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(of) {
        Ok(text) => (JSON, text + "\n").into_response(),
        Err(error) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("the answer cannot be written as JSON: {error}"),
        ),
    }
}

pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, JSON, format!("{}\n", json!({"error": why}))).into_response()
}

/// An order for this agent that cannot be carried out as things are, with the code of the reason.
pub(super) fn refusal_with_code(identity: &Identity, why: &str, code: &str) -> Response {
    let text = json!({"error": why, "code": code, "identity": identity.to_string()});
    (StatusCode::CONFLICT, JSON, format!("{text}\n")).into_response()
}

pub(super) fn wedged() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "the root actor does not answer")
}

pub(super) fn no_such_agent(unknown: &UnknownAgent) -> Response {
    let close: Vec<String> = unknown.close.iter().map(ToString::to_string).collect();
    let text = json!({"error": unknown.to_string(), "close": close});
    (StatusCode::NOT_FOUND, JSON, format!("{text}\n")).into_response()
}
