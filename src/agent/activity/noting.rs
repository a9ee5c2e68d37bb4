//! Noting: what is done when it changes what an agent is doing. The one place through which every change goes.
//!
//! A source reports to [`hear`]; what follows from all of them together is [weighed](super::weighing), and only a change reaches
//! [`saw`]. No agent may be ended because of it.

use super::{Activity, Evidence, Reading, Said};
use crate::{
    agent::{history::Entry, spec::AgentSpec},
    clock::Now,
    deps::Deps,
    sessions::scan::Scan,
};

/// The kind of problem that an agent which may be hung is.
const HUNG: &str = "hung";

/// A source says something else of an agent in this session of the server.
pub fn hear(deps: &Deps, agent: &AgentSpec, session: &str, change: impl FnOnce(&mut Evidence)) {
    if let Some(reading) = deps.records.weigh(&agent.identity, session, change) {
        saw(deps, agent, reading);
    }
}

/// Its screen says that it is doing this; `None`: it does not say.
pub fn screen_shows(deps: &Deps, agent: &AgentSpec, session: &str, activity: Option<Activity>, now: Now) {
    hear(deps, agent, session, |evidence| {
        let said = activity.map(|activity| Said::at(activity, now.wall));
        evidence.screen = said.map(|said| said.continuing(evidence.screen.as_ref()));
    });
}

/// What this agent is doing has changed; `None`: it is no longer known, or its session is gone.
pub fn saw(deps: &Deps, agent: &AgentSpec, reading: Option<Reading>) {
    let before = deps.records.set_activity(&agent.identity, reading.clone());
    let (before, now) = (before.as_ref().map(|it| &it.activity), reading.as_ref().map(|it| &it.activity));
    if before == now {
        return;
    }
    report_hung(deps, agent, now);
    if let Some((code, seen)) = told(before, now) {
        // The problem is a line in the log already.
        if code != HUNG {
            tracing::info!(agent = %agent.identity, reason = code, "{seen}");
        }
        deps.records.happened(&agent.identity, Entry::word(deps.now().wall, code, &seen, "nothing is ended"));
    }
}

/// An agent that may be hung is a problem while it may be.
fn report_hung(deps: &Deps, agent: &AgentSpec, now: Option<&Activity>) {
    let key = agent.problem_key(HUNG);
    match now {
        Some(Activity::Hung(why)) => {
            let text = format!("{} may be hung: {why}; it is left alone", agent.identity);
            deps.problems.report(key, text);
        }
        _ => deps.problems.clear(&key),
    }
}

/// What of a change is told in the history of the agent: turns begin and end all day, and questions are told elsewhere.
fn told(before: Option<&Activity>, now: Option<&Activity>) -> Option<(&'static str, String)> {
    use Activity::{Hung, Idle, Limited, LoggedOut, WaitingAtQuestion, Working};
    match now {
        Some(Limited(text)) => Some(("limited", format!("its plan is used up: {text}"))),
        Some(LoggedOut(text)) => Some(("logged_out", format!("its login does not hold: {text}"))),
        Some(Hung(text)) => Some(("hung", format!("may be hung: {text}"))),
        Some(activity @ (Working | Idle | WaitingAtQuestion(_))) => {
            let was = match before? {
                Limited(_) => "at its usage limit",
                LoggedOut(_) => "without a login",
                Hung(_) => "hung",
                Working | Idle | WaitingAtQuestion(_) => return None,
            };
            Some((activity.code(), format!("is no longer {was}")))
        }
        None => None,
    }
}

/// Forgets what was known of an agent, because its session is gone or another one was created.
pub fn forget(deps: &Deps, agent: &AgentSpec) {
    if deps.records.activity(&agent.identity, None).is_some() {
        saw(deps, agent, None);
    }
    deps.records.forget_activity(&agent.identity);
}

/// Forgets what was known of agents whose sessions a scan shows to be gone.
pub fn forget_gone(deps: &Deps, scan: &Scan) {
    let Ok(sessions) = &scan.sessions else { return };
    for (identity, session) in deps.records.doing_something() {
        let Some(agent) = deps.records.watched_agent(&identity) else { continue };
        if sessions.get(&agent.session).is_none_or(|there| there.id != session) {
            forget(deps, &agent);
        }
    }
}
