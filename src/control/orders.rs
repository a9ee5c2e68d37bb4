//! Orders: what an operator asks of one agent (`restart`, `stop`, `start`), and what became of it.
//!
//! An order is noted as a request, on disk, with who asks; then its agent's actor gets the same message as for a request by mail.
//! The answer to the order is the id of the request. What became of it is asked later: a client that goes away takes nothing
//! back. Nothing here may start or end anything.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    answers::{For, answer, find, no_such_agent, refusal, refusal_with_code, status_of, wedged},
    peer::Peer,
    report::AgentReport,
    reporter::Reporter,
};
use crate::{
    agent::{
        idleness,
        requests::{Action, ByCommand, Outcome, Request, Stage},
        restart::later,
    },
    go_duration,
    supervision::messages::Report,
    town::identity::Identity,
    tree::root::RootMsg,
};

/// How an order is to be carried out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct How {
    /// End it also when it is not idle.
    now: bool,
    /// Hold it for this long.
    #[serde(rename = "for")]
    time: Option<String>,
}

/// Which order the last segment of a path is.
pub(super) fn named(path: &str) -> Option<(&str, Action)> {
    let (agent, word) = path.rsplit_once('/')?;
    Some((agent, Action::of_command(word)?))
}

/// Takes an order from this user.
pub(super) async fn take(
    reporter: &Reporter,
    (agent, action): (&str, Action),
    how: Result<Query<How>, QueryRejection>,
    peer: Option<Extension<Peer>>,
) -> Response {
    let bad = |why: &str| refusal(StatusCode::BAD_REQUEST, why);
    let Ok(Query(How { now, time })) = how else { return bad("`now` must be true or false") };
    let time = match time.as_deref().map(go_duration::parse).transpose() {
        Ok(time) => time,
        Err(error) => return bad(&format!("`for`: {error}")),
    };
    if time.is_some_and(|time| time.is_zero()) || time.is_some() && action != Action::Stop {
        return bad("`for` is a time above 0, for `stop` only");
    }
    let Some(Extension(peer)) = peer else {
        return refusal(StatusCode::FORBIDDEN, "the system does not say which user asks");
    };
    let Some(report) = reporter.report().await else { return wedged() };
    let identity = match find(reporter, &report, agent, For::Doing) {
        Ok(identity) => identity,
        Err(unknown) => return no_such_agent(&unknown),
    };
    if identity.facts().address.is_none() && !matches!(identity, Identity::Own(_)) {
        let why = "it is started when the deacon has to be checked, and ends by itself";
        return refusal_with_code(&identity, why, "on_demand");
    }
    let deps = reporter.deps();
    let when_idle = !now && action != Action::Start;
    if let Some((spec, session)) = deps.records.living(&identity).filter(|_| when_idle)
        && let Some(busy) = idleness::busy(deps, &spec, &session).await
    {
        return refusal_with_code(&identity, &busy.to_string(), busy.code());
    }
    let (command, at) = (in_words(action, now, time), deps.now().wall);
    let until = time.map(|time| later(at, time));
    let user = reporter.users().name(peer.uid).await;
    let by = ByCommand { uid: peer.uid, user, command, at, until, when_idle, of_file: false };
    let id = format!("command-{}", deps.jitter.uuid());
    tracing::info!(agent = %identity, reason = "requested", "requested: {by}");
    let request = Request { id, identity, action, by: Some(by) };
    let asked = || reporter.tell(RootMsg::Report(Report::Asked(request.identity.clone())));
    match noted(deps.records.note_request(deps, &request), asked).await {
        Ok(true) => {}
        Ok(false) => return wedged(),
        Err(why) => {
            let why = format!("nothing was done, as the request cannot be noted: {why}");
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, &why);
        }
    }
    answer(&json!({"request": request.id, "identity": request.identity.to_string()}))
}

fn in_words(action: Action, now: bool, time: Option<Duration>) -> String {
    let mut words = action.command().to_owned();
    if now && action != Action::Start {
        words.push_str(" --now");
    }
    if let Some(time) = time {
        words.push_str(&format!(" --for {}", go_duration::short(time)));
    }
    words
}

/// Notes a request and has its agent's actor told, also when the client goes away meanwhile: what is noted is carried out at once, or
/// not at all. Returns whether the root was told.
async fn noted(
    noting: impl Future<Output = Result<(), String>>,
    tell: impl Fn() -> bool,
) -> Result<bool, String> {
    /// Tells when it is dropped.
    struct Abandoned<F: Fn() -> bool>(Option<F>);
    impl<F: Fn() -> bool> Drop for Abandoned<F> {
        fn drop(&mut self) {
            if let Some(tell) = self.0.take() {
                tell();
            }
        }
    }
    let mut abandoned = Abandoned(Some(tell));
    let noted = noting.await;
    let tell = abandoned.0.take();
    noted.map(|()| tell.is_some_and(|tell| tell()))
}

/// How far a request is, as `GET /v1/requests/<id>` answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The agent.
    pub identity: String,
    /// What became of it; `None` while it is being carried out.
    pub outcome: Option<Outcome>,
    /// The agent now; `None` while it is not supervised.
    pub agent: Option<AgentReport>,
}

/// How far a request is.
pub(super) async fn progress(State(reporter): State<Arc<Reporter>>, Path(id): Path<String>) -> Response {
    let by_command = reporter.deps().records.claim(&id).filter(|claim| claim.by.is_some());
    let Some(claim) = by_command else {
        return refusal(StatusCode::NOT_FOUND, "there is no such request, or it was done long ago");
    };
    let Some(report) = reporter.report().await else { return wedged() };
    let done = claim.stage == Stage::Done;
    let lost = || Outcome::failed("unknown", "what became of it is not known; `explain` shows what is");
    let outcome = claim.outcome.or_else(|| done.then(lost));
    let agent = status_of(&report, &claim.identity);
    answer(&Progress { identity: claim.identity.to_string(), outcome, agent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_noted_is_told_also_when_the_client_goes_away() {
        let told = std::cell::Cell::new(0);
        let tell = || {
            told.set(told.get() + 1);
            true
        };
        assert_eq!(noted(async { Ok(()) }, tell).await, Ok(true));
        assert_eq!(told.take(), 1);
        assert_eq!(
            noted(async { Err("no space left".to_owned()) }, tell).await,
            Err("no space left".to_owned())
        );
        assert_eq!(told.take(), 0, "it is not noted");
        // The disk is slow, and meanwhile the connection ends.
        let mut slow = Box::pin(noted(std::future::pending(), tell));
        assert!(futures::poll!(&mut slow).is_pending());
        assert_eq!(told.get(), 0);
        drop(slow);
        assert_eq!(told.take(), 1);
    }

    #[test]
    fn orders_and_their_words() {
        for (path, expected) in [
            ("r/witness/restart", Some(("r/witness", Action::Restart))),
            ("r/polecats/stop/stop", Some(("r/polecats/stop", Action::Stop))),
            ("deacon/start", Some(("deacon", Action::Start))),
            ("deacon/kill", None),
            ("start", None),
        ] {
            assert_eq!(named(path), expected, "{path}");
        }
        let hours = Some(Duration::from_secs(7_200));
        for (words, expected) in [
            (in_words(Action::Restart, false, None), "restart"),
            (in_words(Action::Restart, true, None), "restart --now"),
            (in_words(Action::Stop, true, hours), "stop --now --for 2h"),
            (in_words(Action::Start, true, None), "start"),
        ] {
            assert_eq!(words, expected);
        }
    }
}
