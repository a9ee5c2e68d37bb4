//! Need: whether an agent that is always wanted and does not run is needed now: what stands in for it, or what it waits for.
//!
//! A mayor that runs as an ACP process has no session (Gas Town 1.x, `mayor/mayor-acp.pid`), and a refinery that does not run
//! is started when an event waits for it (`events/refinery/*.event`). An agent of a town of one file needs its directory and its
//! program. What cannot be read is unknown, and a problem. It must not act.

use std::io;

use super::{confirmation::Assignment, denial::Unwanted, programs, spec::AgentSpec, workplace};
use crate::{
    deps::Deps,
    operator::pid_file::{self, Named},
    ports::problems::{Condition as Lasts, ProblemKey},
    terminal,
    town::identity::Identity,
};

/// The key of the problem that an agent of a town of one file lacks what its start needs.
const OBSTACLE: &str = "cannot_start";

/// What an agent of a town of one file lacks to be started: its directory or its program. It is a problem for as long as it lasts, and
/// no start is tried.
async fn obstacle(deps: &Deps, spec: &AgentSpec) -> Result<Option<String>, String> {
    let said = deps.standing(&spec.identity).ok_or(workplace::NOT_SAID)?;
    let key = spec.problem_key(OBSTACLE);
    let (key, why) = match workplace::missing(deps, &said).await? {
        Some(why) => (key.meaning(Lasts::CannotStart), Some(why)),
        None => {
            let found = programs::find(deps, spec).await;
            let missing = (!found.on_path).then(|| programs::standing::missing(&found.program));
            (key.meaning(Lasts::MissingProgram), missing)
        }
    };
    match &why {
        Some(why) => deps.problems.report(key, format!("{} cannot be started: {why}", spec.identity)),
        None => deps.problems.clear(&key),
    };
    Ok(why)
}

/// The key of the problem that the mayor's PID file cannot be used.
const ACP: &str = "mayor/acp";

/// The assignment of an agent that is always wanted and does not run. `missed`: it ran, or its start failed, and it is to be
/// started again, whatever wanted it at first.
pub async fn of(deps: &Deps, spec: &AgentSpec, missed: bool) -> Assignment {
    let why = match &spec.identity {
        Identity::Own(_) => obstacle(deps, spec).await.map(|why| why.map(Unwanted::Impossible)),
        Identity::Mayor => acp(deps).await.map(|pid| pid.map(Unwanted::RunsAsAcp)),
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

/// Notes that the agent runs in a session: what stands in for it does not matter now.
pub fn is_met(deps: &Deps, spec: &AgentSpec) {
    if let Identity::Own(_) = &spec.identity {
        deps.problems.clear(&spec.problem_key(OBSTACLE));
    }
    if spec.identity == Identity::Mayor {
        deps.problems.clear(ACP);
    }
}

/// Whether an event waits in this channel: a file, as `gt` ignores directories there.
async fn has_event(deps: &Deps, channel: &str) -> Result<bool, String> {
    let (path, key) = (deps.paths.event_channel(channel), format!("events/{channel}"));
    let looked = async {
        for name in deps.files.list(&path).await? {
            if name.ends_with(".event") && !deps.files.is_dir(&path.join(name)).await? {
                return io::Result::Ok(true);
            }
        }
        Ok(false)
    };
    match looked.await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let why = format!("{} cannot be listed: {error}", terminal::path(deps.paths.shown(&path)));
            let text = format!(
                "{why}; a {channel} that does not run is not started until it can be: check its owner and permissions"
            );
            deps.problems.report(key, text);
            Err(why)
        }
        found => {
            deps.problems.clear(&key);
            Ok(found.unwrap_or_default())
        }
    }
}

/// The process as which the mayor runs without a session, if it does.
async fn acp(deps: &Deps) -> Result<Option<u32>, String> {
    let path = deps.paths.mayor_acp();
    let shown = terminal::path(deps.paths.shown(&path));
    match pid_file::look(deps, &path).await {
        Ok(Named::Another(pid)) => {
            let text = format!(
                "{shown} names PID {pid}, which is no gt: it does not count here, but gt takes the mayor for running: \
                 remove the file"
            );
            deps.problems.report(ProblemKey::from(ACP).of(&Identity::Mayor), text);
            Ok(None)
        }
        Err(error) => {
            let why = format!("{shown} cannot be used: {error}");
            let text = format!(
                "{why}; the mayor is not started until it can be: remove the file if it runs in tmux"
            );
            deps.problems.report(ProblemKey::from(ACP).of(&Identity::Mayor), text);
            Err(why)
        }
        Ok(Named::Gt(pid)) => {
            deps.problems.clear(ACP);
            Ok(Some(pid))
        }
        Ok(Named::Nobody | Named::Ended(_)) => {
            deps.problems.clear(ACP);
            Ok(None)
        }
    }
}
