//! A polecat's role: it is kept running only while it has work.
//!
//! A live polecat is watched like any other agent; one that does not live is probed only when the snapshot of the
//! rig's beads nominates it. Its owner then confirms and reads its beads again before anything is done. Each snapshot
//! also leads to an audit of its work.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    agent::{
        actor::Agent,
        confirmation::Observation,
        lifecycle::{Event, State},
        owner::Owner,
        polecat::work,
        role::{Occasion, Role, RoleEvent},
    },
    ledger::snapshot::AgentSnapshot,
    roles::{audit::rounds::Audit, idle::Idle},
    sessions::scan::Scan,
    supervision::messages::Report,
};

/// The state of a polecat's role.
#[derive(Debug)]
pub struct Polecat {
    audit: Audit,
    idle: Idle,
}

impl Polecat {
    /// `turn`: the rig's polecats take turns when their audits run `bd` and send mail.
    pub fn new(turn: Arc<Semaphore>) -> Self {
        Polecat { audit: Audit::new(turn), idle: Idle::default() }
    }
}

impl Role for Polecat {
    fn begin(&mut self, agent: &mut Agent) {
        nominate_by_the_last(agent);
    }

    fn is_worth_a_probe(&self, occasion: Occasion<'_>, owner: &Owner) -> bool {
        match occasion {
            Occasion::Heartbeat(scan) => !is_idle(owner) || shows(scan, owner),
            Occasion::Scan(scan) => owner.is_news(scan) && (!is_idle(owner) || shows(scan, owner)),
            Occasion::TownChange => !is_idle(owner) && !owner.is_alive(),
        }
    }

    fn town_changed(&mut self, agent: &mut Agent) {
        nominate_by_the_last(agent);
    }

    fn snapshot_read(&mut self, agent: &mut Agent, snapshot: &AgentSnapshot) {
        // Other work releases a polecat that was stopped on request. Older snapshots do not count.
        if let State::HeldOnRequest { hold } = agent.owner.state()
            && snapshot.begun.wall > hold.since
            && let Some(hook) = snapshot.hook(&agent.owner.spec().identity)
        {
            agent.owner.apply(Event::Hook(hook));
        }
        nominate(agent, snapshot);
        self.audit.snapshot_read(agent, snapshot);
    }

    fn unlisted(&mut self, agent: &mut Agent) {
        if may_be_let_go(agent) {
            agent.report(Report::Idle(agent.owner.spec().identity.clone()));
        }
    }

    fn observed(&mut self, agent: &mut Agent, _: &Observation, _: Option<RoleEvent>) {
        self.idle.observed(agent);
    }

    fn handle(&mut self, agent: &mut Agent, event: RoleEvent) {
        if let Some(event) = self.idle.handle(agent, event) {
            self.audit.handle(agent, event);
        }
    }
}

/// The last snapshot may be older than this polecat's actor; however old it is, it only nominates.
fn nominate_by_the_last(agent: &mut Agent) {
    let rig = agent.owner.spec().identity.rig().cloned();
    if let Some(snapshot) = rig.and_then(|rig| agent.deps.snapshot(&rig)) {
        nominate(agent, &snapshot);
    }
}

/// Probes it if it does not live, with the work that the snapshot shows.
fn nominate(agent: &mut Agent, snapshot: &AgentSnapshot) {
    if !is_idle(&agent.owner) {
        return;
    }
    let (identity, seen_alive) = (&agent.owner.spec().identity, agent.owner.seen_alive());
    if let Some(assignment) = work::nominated(&agent.deps, snapshot, identity, seen_alive) {
        agent.probe_knowing(assignment);
    }
}

fn may_be_let_go(agent: &Agent) -> bool {
    let Agent { deps, owner, .. } = agent;
    if deps.records.open_requests(&owner.spec().identity) > 0 {
        return false;
    }
    is_idle(owner)
        || matches!(
            owner.state(),
            State::Held { .. } | State::HeldOnRequest { .. } | State::CrashLoop { .. }
        )
        // A live agent under a contested name is the other one.
        || deps.directory.contested(&owner.spec().session).is_some()
}

/// Whether nothing runs there and no action is in progress, so that its bead decides whether it should run.
fn is_idle(owner: &Owner) -> bool {
    matches!(owner.state(), State::Unseen | State::Absent { .. })
}

fn shows(scan: &Scan, owner: &Owner) -> bool {
    scan.sessions.as_ref().is_ok_and(|sessions| sessions.contains_key(&owner.spec().session))
}
