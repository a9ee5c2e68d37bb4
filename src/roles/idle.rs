//! Idle polecats: one that has said for long that it is idle, and has no work, is ended (Gas Town 1.x).
//!
//! Part of the polecat's role. Its heartbeat file nominates it. Then its beads and the file are read again, and only when both say
//! so now does its owner end it. What could not be read, and any command of Gas Town that runs, leaves it alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::{
        actor::Agent,
        confirmation::{Assignment, SessionKey},
        denial::Unwanted,
        heartbeats,
        lifecycle::{Event, State},
        polecat::work,
        role::RoleEvent,
        spec::AgentSpec,
    },
    deps::Deps,
    go_duration,
    town::reading::Reading,
};

/// The result of the task: the session to end, and why; `None` to leave it alone.
#[derive(Debug)]
struct Asked(Option<(SessionKey, String)>);

/// The part of a polecat's role that ends it when it is idle.
#[derive(Debug, Default)]
pub struct Idle {
    /// The task is in progress.
    asking: bool,
}

impl Idle {
    /// It was probed: asks whether it has been idle for long, where such polecats are ended.
    pub fn observed(&mut self, agent: &mut Agent) {
        let State::Alive { session, .. } = agent.owner.state() else { return };
        if self.asking || !agent.deps.settings().polecats.reap_idle {
            return;
        }
        self.asking = true;
        let (deps, spec, session) = (agent.deps.clone(), agent.owner.spec().clone(), session.clone());
        let seen_alive = agent.owner.seen_alive();
        let task = async move {
            let why = ask(&deps, &spec, seen_alive).await;
            RoleEvent::new(Asked(why.map(|why| (session, why))))
        };
        agent.spawn(task, RoleEvent::new(Asked(None)));
    }

    /// Takes an event of its own; gives back any other.
    pub fn handle(&mut self, agent: &mut Agent, event: RoleEvent) -> Option<RoleEvent> {
        if !event.0.is::<Asked>() {
            return Some(event);
        }
        self.asking = false;
        if let Some(Asked(Some((session, why)))) = event.get() {
            agent.owner.apply(Event::Idle { session, why });
        }
        None
    }
}

/// Why it is to be ended: it says that it is idle, before and after its beads say that it has no work.
async fn ask(deps: &Deps, spec: &AgentSpec, seen_alive: Option<Timestamp>) -> Option<String> {
    idle_for(deps, spec).await?;
    // A command that runs may be about to give it work.
    if !deps.operations.full_scan(deps).await.is_ok_and(|running| running.is_empty()) {
        return None;
    }
    match work::read(deps, spec, &spec.prefix, seen_alive).await {
        Assignment::None(Unwanted::NoWork | Unwanted::WorkClosed(_)) => {}
        _ => return None,
    }
    let time = idle_for(deps, spec).await?;
    Some(format!("idle for {} and without work", go_duration::short_minutes(time)))
}

/// For how long it has said that it is idle, if that is long enough.
async fn idle_for(deps: &Deps, spec: &AgentSpec) -> Option<Duration> {
    let Reading::Good(heartbeat) = heartbeats::read(deps, &spec.session).await else { return None };
    let time = deps.now().age_of(heartbeat.timestamp);
    (heartbeat.is_resting() && time >= deps.settings().polecats.reap_idle_after).then_some(time)
}
