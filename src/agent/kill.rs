//! Kill: the only way to end an agent, with everything it started, and to clear away what is left of one.
//!
//! It removes what would bring the agent back, then ends the processes of all panes, deepest first, then exactly that
//! session. The caller has decided, and checked right before, that the agent may be ended.

use rustix::process::Signal;

use super::{confirmation::SessionKey, spec::AgentSpec};
use crate::{deps::Deps, sessions::Session, town::standing::StopSignal};

/// Ends this incarnation of an agent's session, as the town's file says of the agent, else with TERM. Returns false when it is gone, or another one has its name; then nothing was
/// done.
pub async fn kill(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<bool, String> {
    let session = spec.session.as_str();
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
    let said = deps.standing(&spec.identity).map(|standing| standing.stop);
    let signal = said.map(|stop| stop.signal).unwrap_or_default();
    let ended = match said {
        Some(stop) => deps.processes.end_trees_with(&roots, kernels(signal), stop.grace).await,
        None => deps.processes.end_trees(&roots, deps.settings().kill.grace).await,
    };
    let ended = ended.map_err(|error| error.to_string())?;
    if ended.forced > 0 {
        let signal = signal.as_str();
        tracing::info!(%session, "{} processes did not end on {signal} and were killed", ended.forced);
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

/// The signal of this name.
fn kernels(signal: StopSignal) -> Signal {
    match signal.as_str() {
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "KILL" => Signal::KILL,
        _ => Signal::TERM,
    }
}

/// The incarnation of this session.
pub fn key(session: &Session) -> SessionKey {
    SessionKey { id: session.id.clone(), created: session.created }
}
