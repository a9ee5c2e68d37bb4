//! Need: whether an agent that is always wanted and does not run is needed now: what stands in for it, or what it waits for.
//!
//! A mayor that runs as an ACP process has no session (Gas Town 1.x, `mayor/mayor-acp.pid`), and a refinery that does not run
//! is started when an event waits for it (`events/refinery/*.event`). What cannot be read is unknown. It must not act.

use std::io;

use super::{confirmation::Assignment, denial::Unwanted, spec::AgentSpec};
use crate::{
    deps::Deps,
    terminal,
    town::{identity::Identity, reading},
};

/// The assignment of an agent that is always wanted and does not run. `missed`: it ran, or its start failed, and it is to be
/// started again, whatever wanted it at first.
pub async fn of(deps: &Deps, spec: &AgentSpec, missed: bool) -> Assignment {
    let why = match &spec.identity {
        Identity::Mayor => runs_as_acp(deps).await.map(|runs| runs.then_some(Unwanted::RunsAsAcp)),
        identity if !missed && deps.dialect().facts().starts_on_events => match identity.facts().started_on {
            Some(channel) => {
                has_event(deps, channel).await.map(|waits| (!waits).then_some(Unwanted::NoPendingEvents))
            }
            None => Ok(None),
        },
        _ => Ok(None),
    };
    match why {
        Ok(None) => Assignment::Permanent,
        Ok(Some(why)) => Assignment::None(why),
        Err(why) => Assignment::Unknown(why),
    }
}

/// Whether an event waits in this channel.
async fn has_event(deps: &Deps, channel: &str) -> Result<bool, String> {
    let path = deps.paths.event_channel(channel);
    match deps.files.list(&path).await {
        Ok(names) => Ok(names.iter().any(|name| name.ends_with(".event"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("{} cannot be listed: {error}", terminal::path(deps.paths.shown(&path)))),
    }
}

/// Whether the process in the mayor's PID file lives.
async fn runs_as_acp(deps: &Deps) -> Result<bool, String> {
    let path = deps.paths.mayor_acp();
    let shown = terminal::path(deps.paths.shown(&path)).to_string();
    let content = match deps.files.read(&path).await {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    let text = String::from_utf8_lossy(&content);
    let Ok(pid) = text.trim().parse::<u32>() else {
        return Err(format!("{shown} holds no process id: {}", reading::shorten(text.trim())));
    };
    let trees = deps.processes.trees(&[pid]).await.map_err(|error| error.to_string())?;
    Ok(trees.contains_key(&pid))
}
