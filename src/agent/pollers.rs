//! Nudge pollers of Gas Town 1.x: whether each agent that needs one has one.
//!
//! Nudges are queued as files. Claude Code reads its queue with each prompt; an agent that nobody speaks to, or that has no
//! hooks, gets them from a background process `gt nudge-poller <session>` (`internal/nudge/poller.go`; gt 1.0.1). `gt`
//! starts it with the agent, and nothing starts it again. Nothing here does: what we start ends with us. It is
//! reported.

use std::time::Duration;

use super::{program::Provider, programs, spec::AgentSpec};
use crate::{
    deps::Deps,
    operator::register,
    processes::Invocation,
    sessions::scan::Scan,
    town::identity::{Identity, Role},
};

/// `gt` starts the poller within this time after the session.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// The longest that the process table may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Reports the agents that live in this scan without the poller they need, each once. To be run as a task at a heartbeat:
/// it reads the process table once, whatever the number of agents.
pub async fn check(deps: &Deps, scan: &Scan) {
    let Ok(sessions) = &scan.sessions else { return };
    if !deps.dialect().facts().shares_typing {
        return;
    }
    let (mut needing, mut others) = (Vec::new(), Vec::new());
    for (spec, is_alive) in deps.records.watched_agents(may_need_one) {
        let age = sessions.get(&spec.session).map(|session| scan.begun.age_of(session.created));
        let is_settled = is_alive && age.is_some_and(|age| age >= STARTS_WITHIN);
        if is_settled && needs_one(deps, &spec).await { &mut needing } else { &mut others }.push(spec);
    }
    others.iter().for_each(|spec| deps.problems.clear(&key(spec)));
    if needing.is_empty() {
        return;
    }
    let Some(running) = pollers(deps).await else { return };
    for spec in &needing {
        match running.iter().any(|words| words.contains(&spec.session)) {
            true => deps.problems.clear(&key(spec)),
            false => deps.problems.report(
                key(spec),
                format!(
                    "{}: queued nudges do not reach it, as its poller does not run; start it in the town's directory: \
                     gt nudge-poller {} &",
                    spec.identity, spec.session
                ),
            ),
        }
    }
}

fn key(spec: &AgentSpec) -> String {
    spec.problem_key("nudge_poller")
}

fn may_need_one(identity: &Identity) -> bool {
    matches!(identity.role(), Role::Witness | Role::Refinery | Role::Crew)
}

/// Patrollers sleep while nobody speaks to them; a person speaks to a crew member, whose hooks then read its queue.
async fn needs_one(deps: &Deps, spec: &AgentSpec) -> bool {
    spec.identity.role() != Role::Crew
        || programs::find(deps, spec).await.program.provider != Provider::Claude
}

/// The arguments of the pollers that run; `None` when the process table could not be read.
async fn pollers(deps: &Deps) -> Option<Vec<Vec<String>>> {
    let mut found = Vec::new();
    for program in register::programs(deps) {
        let running = tokio::time::timeout(LIMIT, deps.processes.invocations(&program, None)).await.ok()?;
        found.extend(running.ok()?.iter().filter_map(|it| poller(it, &program)));
    }
    Some(found)
}

fn poller(running: &Invocation, program: &str) -> Option<Vec<String>> {
    let words = running.given_to(program)?;
    (words.first()? == "nudge-poller").then(|| words.get(1..).unwrap_or_default().to_vec())
}
