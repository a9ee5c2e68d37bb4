//! The rounds: the audit of one polecat with each snapshot of its rig's beads, as a part of its role.
//!
//! It judges the snapshot, closes incidents that are over, and has a task confirm what is to be mailed: one task at a
//! time. The polecats of a rig take turns, so that a rig in which all polecats stall runs one command at a time.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{
    check::{self, Suspect},
    rules::{self, Finding, Owned, Situation, Times, judge, situation},
    texts,
};
use crate::{
    agent::{
        actor::Agent,
        incidents::{Condition, Incident},
        owner::Owner,
        polecat::work,
        role::RoleEvent,
        spec::AgentSpec,
    },
    clock::Now,
    deps::Deps,
    ledger::{answer::Answer, snapshot::AgentSnapshot},
};

/// The key of the problem that its work is another's,
const REASSIGNED: &str = "reassigned";
/// and that its work makes no progress, which was mailed.
const STALLED: &str = "stalled";

/// The result of the audit's task: what to remember of a missing polecat.
#[derive(Debug)]
struct Checked(Option<FirstSeen>);

/// What is reported of a polecat if the next snapshot still says so: that it is missing, or that its work is another's.
#[derive(Debug, Clone)]
struct FirstSeen {
    hook: String,
    at: Now,
}

/// The audit of one polecat, a part of its role.
#[derive(Debug)]
pub struct Audit {
    under_way: bool,
    missing: Option<FirstSeen>,
    /// Its work that was seen to be another's.
    reassigned: Option<FirstSeen>,
    /// When the last snapshot was judged.
    last: Option<Now>,
    /// When the machine was first seen to be awake after its last sleep: no agent made progress while it slept.
    woke: Option<Timestamp>,
    turn: Arc<Semaphore>,
}

impl Audit {
    /// An audit before its first snapshot.
    pub fn new(turn: Arc<Semaphore>) -> Self {
        Audit { under_way: false, missing: None, reassigned: None, last: None, woke: None, turn }
    }

    /// Judges a snapshot of the rig's beads.
    pub fn snapshot_read(&mut self, agent: &mut Agent, snapshot: &AgentSnapshot) {
        let (deps, now) = (agent.deps.clone(), agent.deps.now());
        if self.last.replace(now).is_some_and(|last| rules::slept(last, now)) {
            self.woke = Some(now.wall);
        }
        let identity = &agent.owner.spec().identity.clone();
        let situation = self.situation(&deps, &agent.owner, now);
        let found = judge_by(&deps, snapshot, &agent.owner, situation, now);
        if let Finding::Well { hook } | Finding::Stalled { hook } | Finding::Missing { hook } = &found {
            deps.records.incident(identity, |it| Incident::hook_is(it, hook));
        }
        self.tell_reassigned(agent, &found, situation, now);
        tell_stalled(agent, &found);
        // What is being done about it may still fail.
        if situation != Situation::Busy && !matches!(found, Finding::Missing { .. } | Finding::Unknown) {
            self.missing = None;
        }
        match found {
            Finding::Unknown | Finding::Leave => {}
            Finding::Over | Finding::Well { .. } | Finding::Reassigned { .. } => {
                deps.records.incident(identity, |it| *it = None)
            }
            Finding::Stalled { hook } => {
                deps.records.incident(identity, Incident::lives);
                self.make_sure(agent, Condition::Gupp, hook, None);
            }
            Finding::Missing { hook } => self.is_missing(agent, hook, now),
        }
    }

    /// Handles the result of its task.
    pub fn handle(&mut self, _: &mut Agent, event: RoleEvent) {
        if let Some(Checked(missing)) = event.get() {
            self.under_way = false;
            self.missing = missing;
        }
    }

    /// Reports, while it lasts, that a live polecat's work was given to another. Nothing else follows.
    fn tell_reassigned(&mut self, agent: &Agent, found: &Finding, situation: Situation, now: Now) {
        let (deps, spec) = (&agent.deps, agent.owner.spec());
        let key = spec.problem_key(REASSIGNED);
        match found {
            Finding::Reassigned { hook, to } => {
                let first = self.reassigned.take().filter(|seen| seen.hook == *hook);
                let first = first.unwrap_or_else(|| FirstSeen { hook: hook.clone(), at: now });
                if rules::was_given_its_time(first.at, now, deps.settings().heartbeat.interval) {
                    deps.problems.report(key, texts::reassigned(&spec.identity, hook, to));
                }
                self.reassigned = Some(first);
            }
            Finding::Unknown => {}
            _ if situation == Situation::Unknown => {}
            _ => {
                self.reassigned = None;
                deps.problems.clear(&key);
            }
        }
    }

    fn situation(&self, deps: &Deps, owner: &Owner, now: Now) -> Situation {
        let found = situation(Owned {
            state: owner.state(),
            lasts: owner.in_state_for(now),
            doubt: owner.doubt().is_some(),
            start_failed: owner.start_failed(),
            unreported: deps.records.incident(&owner.spec().identity, |it| {
                it.as_ref().is_some_and(Incident::crash_is_unreported)
            }),
        });
        match (found, self.could_begin(deps, owner)) {
            (Situation::Alive(created), Some(since)) => Situation::Alive(created.max(since)),
            _ => found,
        }
    }

    /// Since when nothing keeps it from working: the machine sleeps no more, and its account can be used.
    fn could_begin(&self, deps: &Deps, owner: &Owner) -> Option<Timestamp> {
        self.woke.max(deps.accounts.free_since(&owner.spec().identity))
    }

    fn is_missing(&mut self, agent: &mut Agent, hook: String, now: Now) {
        let interval = agent.deps.settings().heartbeat.interval;
        match self.missing.clone().filter(|seen| seen.hook == hook) {
            None => self.first_seen_missing(agent, FirstSeen { hook, at: now }),
            Some(seen) if rules::was_given_its_time(seen.at, now, interval) => {
                self.make_sure(agent, Condition::Orphaned, hook, Some(seen));
            }
            Some(_) => {}
        }
    }

    /// Starts to count, unless its rig is out of operation.
    fn first_seen_missing(&mut self, agent: &mut Agent, seen: FirstSeen) {
        if std::mem::replace(&mut self.under_way, true) {
            return;
        }
        let (deps, spec) = (agent.deps.clone(), agent.owner.spec().clone());
        agent.spawn(
            async move { checked(check::is_allowed(&deps, &spec).await.then_some(seen)) },
            checked(None),
        );
    }

    fn make_sure(
        &mut self,
        agent: &mut Agent,
        condition: Condition,
        hook: String,
        missing: Option<FirstSeen>,
    ) {
        let (deps, spec, seen_alive) =
            (agent.deps.clone(), agent.owner.spec().clone(), agent.owner.seen_alive());
        let woke = self.could_begin(&deps, &agent.owner);
        let is_mailed =
            |it: &mut Option<Incident>| it.as_ref().is_some_and(|it| it.is_mailed(condition, &hook));
        if deps.records.incident(&spec.identity, is_mailed) || std::mem::replace(&mut self.under_way, true) {
            return;
        }
        let suspect = Suspect { spec, seen_alive, hook, condition, woke };
        let turn = self.turn.clone();
        agent.spawn(
            async move {
                let _turn = turn.acquire().await;
                let allowed = check::make_sure(&deps, &suspect).await;
                checked(missing.filter(|_| allowed))
            },
            checked(None),
        );
    }
}

/// Keeps the problem open while what was mailed lasts; [`check`] opens it with the first mail.
fn tell_stalled(agent: &Agent, found: &Finding) {
    let (deps, spec) = (&agent.deps, agent.owner.spec());
    let (condition, hook) = match found {
        Finding::Stalled { hook } => (Condition::Gupp, hook),
        Finding::Missing { hook } => (Condition::Orphaned, hook),
        Finding::Unknown => return,
        _ => return deps.problems.clear(&spec.problem_key(STALLED)),
    };
    // An earlier supervisor may have mailed it.
    if deps.records.incident(&spec.identity, |it| it.as_ref().is_some_and(|it| it.is_mailed(condition, hook)))
    {
        note_stalled(deps, spec, condition, hook);
    }
}

/// Notes, without a line in the log, which has one of Gas Town's own, that this work makes no progress.
pub(super) fn note_stalled(deps: &Deps, spec: &AgentSpec, condition: Condition, hook: &str) {
    let limit = deps.settings().polecats.gupp_after;
    deps.problems.note(spec.problem_key(STALLED), texts::stalled(&spec.identity, condition, hook, limit));
}

fn checked(missing: Option<FirstSeen>) -> RoleEvent {
    RoleEvent::new(Checked(missing))
}

fn judge_by(deps: &Deps, snapshot: &AgentSnapshot, owner: &Owner, situation: Situation, now: Now) -> Finding {
    let settings = deps.settings();
    let agent = snapshot.agents.get(&owner.spec().identity).unwrap_or(&Answer::NotAsked);
    let hook = match agent {
        Answer::Found(agent) => agent.hook.as_ref(),
        _ => None,
    };
    let hooked = hook.and_then(|hook| snapshot.hooked.get(hook)).unwrap_or(&Answer::NotAsked);
    let assignee = work::assignee(deps, &owner.spec().identity);
    let times = Times {
        assignee: assignee.as_deref(),
        now: now.wall,
        seen_alive: owner.seen_alive(),
        guard: settings.polecats.spawning_guard,
        gupp_after: if assignee.is_some() { Duration::MAX } else { settings.polecats.gupp_after },
    };
    judge(agent, hooked, situation, times)
}
