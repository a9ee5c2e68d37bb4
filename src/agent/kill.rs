//! Kill: the one way an agent is ended, with everything it started.
//!
//! What would bring it back is removed first, then the processes of all panes are ended, deepest first, then exactly
//! that session. The caller has decided, and checked right before, that it may be ended.

use super::confirmation::SessionKey;
use crate::{deps::Deps, sessions::Session};

/// Ends this incarnation of a session. Returns false when another one is there (or none), and nothing was done.
pub async fn kill(deps: &Deps, session: &str, incarnation: &SessionKey) -> Result<bool, String> {
    // That we meant its end is on disk first: the next supervisor must not report it as a death.
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
    // Mostly the session ended with its processes, and while they were given time somebody may have begun a new one.
    match deps.sessions.find(session).await.map_err(|error| error.to_string())? {
        Some(left) if key(&left) == *incarnation => {
            deps.sessions.kill(session).await.map_err(|error| error.to_string())?;
        }
        _ => {}
    }
    Ok(true)
}

/// Which incarnation this session is.
pub fn key(session: &Session) -> SessionKey {
    SessionKey { id: session.id.clone(), created: session.created }
}
