//! Adoption: what an agent needs that was running before this supervisor knew of it.
//!
//! A supervisor that was killed during a start leaves a session that keeps dead panes, and one that was stopped
//! removed its key bindings. Where it matters how an agent ends, its session keeps its dead pane. It must not touch the options of a session that no supervisor created.

use super::{appearance, ended, spec::AgentSpec};
use crate::{deps::Deps, sessions::SessionsError};

/// Completes what a predecessor left unfinished. A failure is logged: the agent runs without it.
pub async fn adopt(deps: &Deps, spec: &AgentSpec) {
    let panes = match ended::exit_matters(deps, &spec.identity) {
        true => keep_exit(deps, spec).await,
        false => stop_keeping_panes(deps, spec).await,
    };
    for done in [panes, bind_keys(deps).await] {
        if let Err(error) = done {
            tracing::warn!(agent = %spec.identity, "during its adoption: {error}");
        }
    }
}

/// Has the pane that a supervisor started stay when its process ends, with the exit status.
async fn keep_exit(deps: &Deps, spec: &AgentSpec) -> Result<(), SessionsError> {
    let Some(session) = deps.sessions.find(&spec.session).await? else { return Ok(()) };
    for pane in session.panes.iter().filter(|pane| pane.started_by_us) {
        match deps.sessions.keep_exit(&session.target(pane)).await {
            // It ended meanwhile.
            Ok(()) | Err(SessionsError::NoSuchSession(_) | SessionsError::NoSuchPane { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes `remain-on-exit` and its hook, as a start does once the agent is up.
async fn stop_keeping_panes(deps: &Deps, spec: &AgentSpec) -> Result<(), SessionsError> {
    match deps.sessions.find(&spec.session).await? {
        Some(session) if session.panes.iter().any(|pane| pane.started_by_us) => {
            match deps.sessions.disarm(&spec.session).await {
                Err(SessionsError::NoSuchSession(_)) => Ok(()),
                done => done,
            }
        }
        _ => Ok(()),
    }
}

/// Binds this town's keys on the current server, unless it has them. All of them run `gt`.
pub async fn bind_keys(deps: &Deps) -> Result<(), SessionsError> {
    if !deps.dialect().facts().has_gt {
        return Ok(());
    }
    let server = deps.sessions.server_generation();
    let Some(prefixes) = deps.starts.unbound_on(server) else { return Ok(()) };
    let bindings = appearance::key_bindings(deps.settings().tmux.naming, &prefixes);
    deps.sessions.bind_keys(&bindings).await?;
    deps.starts.bound_on(server);
    Ok(())
}
