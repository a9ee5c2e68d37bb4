//! Screens: where an agent's session is, and what its pane shows and showed, for people who want to see for themselves.
//!
//! Only the agent's own pane is read, never one that a person opened beside it. Nothing is typed.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    answers::{For, answer, find, no_such_agent, refusal, wedged},
    reporter::Reporter,
};
use crate::agent::{confirmation::Presence, observe, spec::AgentSpec};

/// Where an agent's session is, as `GET /v1/sessions/<agent>` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionReport {
    /// The agent.
    pub identity: String,
    /// The name of its session.
    pub session: String,
    /// The socket of the tmux server.
    pub socket: String,
    /// The program `tmux`.
    pub tmux: String,
    /// Whether the session exists.
    pub exists: bool,
    /// The last lines of its pane, oldest first, as many as were asked for; `None` when it has no pane that is its own.
    pub lines: Option<Vec<String>>,
}

/// How many lines are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lines {
    lines: u16,
}

/// Answers for one agent.
pub(super) async fn session(
    State(reporter): State<Arc<Reporter>>,
    lines: Result<Query<Lines>, QueryRejection>,
    Path(agent): Path<String>,
) -> Response {
    let Ok(Query(Lines { lines })) = lines else {
        return refusal(StatusCode::BAD_REQUEST, "`lines` must be a number from 0 to 65535");
    };
    let Some(report) = reporter.report().await else { return wedged() };
    let identity = match find(&reporter, &report, &agent, For::Doing) {
        Ok(identity) => identity,
        Err(unknown) => return no_such_agent(&unknown),
    };
    let deps = reporter.deps();
    let name = identity.to_string();
    let reported = report.agents.iter().find(|agent| agent.identity == name).map(|it| it.session.clone());
    let claimed = || deps.directory.all().into_iter().find(|(it, _)| *it == identity).map(|(_, it)| it);
    let session = reported.or_else(claimed).unwrap_or_default();
    let spec = AgentSpec { identity, session, prefix: String::new() };
    let (presence, pane) = observe::locate(deps, &spec).await;
    if let Presence::Unknown(why) = &presence {
        return refusal(StatusCode::BAD_GATEWAY, &format!("its session cannot be examined: {why}"));
    }
    let exists = presence != Presence::Absent;
    let shown = match pane.filter(|_| lines > 0) {
        Some(pane) => match deps.sessions.capture(&pane, lines).await {
            Ok(shown) => Some(shown),
            Err(error) => return refusal(StatusCode::BAD_GATEWAY, &error.to_string()),
        },
        None => None,
    };
    let program = deps.settings().commands.tmux.clone();
    let tmux = deps.commands.locate(&program).await.map(|path| path.to_string_lossy().into_owned());
    answer(&SessionReport {
        identity: name,
        session: spec.session,
        socket: deps.sessions.place().socket.to_string_lossy().into_owned(),
        tmux: tmux.unwrap_or(program),
        exists,
        lines: shown,
    })
}
