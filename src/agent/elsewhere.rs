//! Elsewhere: agents of this town that run where the supervisor's tmux server does not show them.
//!
//! An agent may run although no session has its name: the server's socket may have been deleted, the settings may
//! name another server than the one the agents run on, somebody may have renamed the session, or the agent may have
//! outlived its pane. So before the supervisor starts an agent of which it knows nothing, it searches the process
//! table: for a process that was started as this agent, by its environment, or for its program in its directory. An
//! agent that is found is not started again.
//!
//! The agent's children inherit its environment, so that alone proves nothing: the process must be what a tmux server
//! runs in a pane, or else the agent's own program. `judge` interprets the search, and is pure; nothing here starts
//! or ends anything.

use std::{collections::BTreeSet, path::Path, time::Duration};

use self::judge::{Found, Wanted, find, town_of};
use super::{foreign, programs, spec::AgentSpec};
use crate::{deps::Deps, processes::Resident, town::identity::Identity};

mod judge;
pub mod search;

/// Right before a start, an empty search counts for this long: the probe that led to the start has just searched.
pub const JUST_SEARCHED: Duration = Duration::from_secs(2);

/// Notes that its session is in sight: it runs nowhere else.
pub fn in_sight(deps: &Deps, spec: &AgentSpec) {
    deps.problems.clear(&spec.problem_key("elsewhere"));
}

/// Why an agent without a session must not be started: it runs elsewhere, or that could not be found out. `None` when
/// it may be, by a search that began at most this long ago.
pub async fn why_not(deps: &Deps, spec: &AgentSpec, at_most: Duration) -> Option<String> {
    let found = match search(deps, spec, at_most).await {
        // It may have ended since.
        Ok(Some(_)) => search(deps, spec, Duration::ZERO).await,
        other => other,
    };
    let key = spec.problem_key("elsewhere").critical();
    match found {
        Ok(None) => {
            deps.problems.clear(&key);
            None
        }
        Ok(Some(Found { text, lost_server })) => {
            // It may have appeared since the probe that did not show it.
            if matches!(deps.sessions.find(&spec.session).await, Ok(Some(session)) if !session.has_lost_sight())
            {
                deps.problems.clear(&key);
                return Some("its session appeared during the search".to_owned());
            }
            deps.problems.report(key, format!("{}: {text}; not started again", spec.identity));
            if let Some(server) = lost_server {
                deps.sessions.recreate_socket(server).await;
            }
            Some(text)
        }
        Err(why) => Some(why),
    }
}

/// Drops what the last search found, once nobody may use it any more.
pub fn forget_old(deps: &Deps) {
    deps.starts.elsewhere.forget_old(deps);
}

async fn search(deps: &Deps, spec: &AgentSpec, at_most: Duration) -> Result<Option<Found>, String> {
    let all = deps.starts.elsewhere.residents(deps, at_most).await.map_err(|error| error.to_string())?;
    let ours = names_of_this_town(deps, &all, &spec.identity).await?;
    let program = programs::find(deps, spec).await.program;
    let directories = deps.paths.own_directories(deps.dialect(), &spec.identity);
    let wanted =
        Wanted { identity: &spec.identity, program: &program, directories: &directories, ours: &ours };
    Ok(find(&all, wanted, &deps.sessions.place()))
}

/// The names of this town in the environments of these processes.
async fn names_of_this_town(
    deps: &Deps,
    all: &[Resident],
    agent: &Identity,
) -> Result<BTreeSet<String>, String> {
    let named: BTreeSet<&str> = all.iter().filter_map(|it| town_of(it, agent)).collect();
    let mut ours = BTreeSet::new();
    for name in named {
        let is_ours = foreign::is_this(&*deps.files, &deps.paths.mark(), Path::new(name)).await;
        if is_ours.map_err(|error| format!("{name}: {error}"))? {
            ours.insert(name.to_owned());
        }
    }
    Ok(ours)
}
