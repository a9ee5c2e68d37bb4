//! Observe: one full look at an agent — its session, its processes, its permission, its state file.
//!
//! A look never decides and never changes anything. What could not be asked is in it as unknown.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    confirmation::{Observation, SessionKey, Sighting},
    kill::key,
    liveness::{Liveness, ProcessNames, liveness},
    permission, programs,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    sessions::{
        Session, SessionsError,
        sweep::{self, Glimpse, Sweep, Trees},
    },
};

/// The names under which an agent was last looked for. One that is found under them is alive, whatever the settings say by
/// now, so a heartbeat reads no settings for agents that are well.
#[derive(Debug, Clone, Default)]
pub struct KnownNames(Arc<Mutex<Option<ProcessNames>>>);

impl KnownNames {
    fn get(&self) -> Option<ProcessNames> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, names: ProcessNames) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(names);
    }
}

/// Looks at an agent: as the sweep shows it, or afresh when there is none.
pub async fn observe(
    deps: &Deps,
    spec: &AgentSpec,
    sweep: Option<Arc<Sweep>>,
    known: &KnownNames,
) -> Observation {
    let (begun, glimpse) = match sweep {
        Some(sweep) => (sweep.begun, sweep.glimpse(&spec.session)),
        None => {
            let begun = deps.now();
            (begun, sweep::glimpse(&*deps.sessions, &*deps.processes, &spec.session).await)
        }
    };
    Observation {
        begun,
        sighting: sighting(deps, spec, glimpse, known).await,
        permission: permission::ask(deps, spec).await,
        state_file: permission::state_file(deps, spec).await,
    }
}

/// Looks at the agent's session only, afresh.
pub async fn look_at_session(deps: &Deps, spec: &AgentSpec) -> Sighting {
    let glimpse = sweep::glimpse(&*deps.sessions, &*deps.processes, &spec.session).await;
    sighting(deps, spec, glimpse, &KnownNames::default()).await
}

/// Whether a session of a sweep has no process left that could be an agent at all: worth a full look. Cheap, and says
/// nothing certain.
pub fn looks_dead(sweep: &Sweep, session: &str) -> bool {
    let (Ok(sessions), Ok(trees)) = (&sweep.sessions, &sweep.trees) else {
        return false;
    };
    sessions.get(session).is_some_and(|seen| {
        seen.panes.iter().all(|pane| {
            pane.dead
                || trees.get(&pane.pid).is_none_or(|tree| {
                    tree.iter().all(|process| process.names.iter().all(|name| is_shell(name)))
                })
        })
    })
}

fn is_shell(name: &str) -> bool {
    let name = name.trim_start_matches('-');
    matches!(name, "sh" | "bash" | "zsh" | "fish" | "dash" | "ksh")
}

async fn sighting(deps: &Deps, spec: &AgentSpec, glimpse: Glimpse, known: &KnownNames) -> Sighting {
    let (session, trees) = match glimpse {
        Glimpse::Absent => return Sighting::Absent,
        Glimpse::Unknown(why) => return Sighting::Unknown(why),
        Glimpse::Present(session, trees) => (session, trees),
    };
    // A broken settings file is read again by every look, so that it is seen when it is mended.
    if !programs::are_in_trouble(deps, spec)
        && let Some(names) = known.get()
        && let alive @ Sighting::Alive(_) = judge(deps, &session, &trees, &names)
    {
        return alive;
    }
    let program = programs::find(deps, spec).await.program;
    let names = ProcessNames::new(&program, None);
    let first = judge(deps, &session, &trees, &names);
    known.set(names);
    let Sighting::Dead(_) = first else {
        return first;
    };
    // Somebody may have started another agent here and said so in the session's environment.
    match deps.sessions.environment(&spec.session, "GT_PROCESS_NAMES").await {
        Ok(None) | Err(SessionsError::NoSuchSession(_)) => first,
        Ok(also) => judge(deps, &session, &trees, &ProcessNames::new(&program, also.as_deref())),
        Err(error) => Sighting::Unknown(error.to_string()),
    }
}

fn judge(deps: &Deps, session: &Session, trees: &Trees, names: &ProcessNames) -> Sighting {
    let key: SessionKey = key(session);
    match liveness(&session.panes, trees.as_ref(), names, deps.settings().start.timeout) {
        Liveness::Alive => Sighting::Alive(key),
        Liveness::Starting => Sighting::Starting(key),
        Liveness::Dead => Sighting::Dead(key),
        Liveness::Unknown(why) => Sighting::Unknown(why),
    }
}
