//! Kill: the only way to end an agent, with everything it started, and to clear away what is left of one.
//!
//! It removes what would bring the agent back, then ends the processes of all panes, deepest first, then exactly that
//! session. The caller has decided, and checked right before, that the agent may be ended.

use super::confirmation::SessionKey;
use crate::{deps::Deps, sessions::Session};

/// Ends this incarnation of a session. Returns false when it is gone, or another one has its name; then nothing was
/// done.
pub async fn kill(deps: &Deps, session: &str, incarnation: &SessionKey) -> Result<bool, String> {
    // The intended end is on disk first: the next supervisor must not report it as a death.
    deps.records.save(deps).await;
    let Some(seen) = deps.sessions.find(session).await.map_err(|error| error.to_string())? else {
        return Ok(false);
    };
    if key(&seen) != *incarnation {
        return Ok(false);
    }
    if let Err(error) = deps.sessions.disarm(session).await {
        tracing::debug!(%session, "{error}");
    }
    let roots: Vec<u32> = seen.panes.iter().filter(|pane| !pane.dead).map(|pane| pane.pid).collect();
    let grace = deps.settings().kill.grace;
    let ended = deps.processes.end_trees(&roots, grace).await.map_err(|error| error.to_string())?;
    if ended.forced > 0 {
        tracing::info!(%session, "{} processes did not end on TERM and were killed", ended.forced);
    }
    // Usually the session ended with its processes, and during their grace somebody may have created a new one.
    match deps.sessions.find(session).await.map_err(|error| error.to_string())? {
        Some(left) if key(&left) == *incarnation => {
            deps.sessions.kill(session).await.map_err(|error| error.to_string())?;
        }
        _ => {}
    }
    Ok(true)
}

/// Removes what is left of an agent that ended in this incarnation of a session, so that no hook starts it again there: the
/// hook, and the panes whose process ended. What runs beside them stays; without other panes the session ends.
pub async fn clear_away(deps: &Deps, session: &str, incarnation: &SessionKey) -> Result<(), String> {
    match deps.sessions.find(session).await.map_err(|error| error.to_string())? {
        Some(seen) if key(&seen) == *incarnation => {}
        _ => return Ok(()),
    }
    if let Err(error) = deps.sessions.disarm(session).await {
        tracing::debug!(%session, "{error}");
    }
    deps.sessions.remove_dead_panes(session).await.map_err(|error| error.to_string())
}

/// The incarnation of this session.
pub fn key(session: &Session) -> SessionKey {
    SessionKey { id: session.id.clone(), created: session.created }
}
