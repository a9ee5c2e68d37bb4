//! A polecat's role: it is kept running only while it has work.
//!
//! One that lives is watched like any other agent; one that does not is probed only when the snapshot of the rig's beads
//! nominates it. Its owner then confirms and reads its beads again before anything is done. The audit of its work goes
//! along with each snapshot.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    agent::{
        actor::Agent,
        lifecycle::{Event, State},
        owner::Owner,
        polecat::work,
        role::{Occasion, Role, RoleEvent},
    },
    ledger::snapshot::AgentSnapshot,
    roles::audit::rounds::Audit,
    sessions::scan::Scan,
    supervision::messages::Report,
};

/// What a polecat's actor keeps beside its owner.
#[derive(Debug)]
pub struct Polecat {
    audit: Audit,
}

impl Polecat {
    /// `turn`: the rig's polecats take turns when their audits run `bd` and send mail.
    pub fn new(turn: Arc<Semaphore>) -> Self {
        Polecat { audit: Audit::new(turn) }
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
        // Other work lets go who was stopped on request. What was read before that says nothing.
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

    fn handle(&mut self, agent: &mut Agent, event: RoleEvent) {
        self.audit.handle(agent, event);
    }
}

/// The last snapshot may have come before this polecat was known; however old it is, it only nominates.
fn nominate_by_the_last(agent: &mut Agent) {
    let rig = agent.owner.spec().identity.rig().cloned();
    if let Some(snapshot) = rig.and_then(|rig| agent.deps.snapshot(&rig)) {
        nominate(agent, &snapshot);
    }
}

/// Has it probed if it does not live, with what the snapshot says of its work.
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
        // What lives under a name that another agent has too is the other one.
        || deps.directory.contested(&owner.spec().session).is_some()
}

/// Nothing runs there and no work is in progress: its bead says whether there should be.
fn is_idle(owner: &Owner) -> bool {
    matches!(owner.state(), State::Unseen | State::Absent { .. })
}

fn shows(scan: &Scan, owner: &Owner) -> bool {
    scan.sessions.as_ref().is_ok_and(|sessions| sessions.contains_key(&owner.spec().session))
}
