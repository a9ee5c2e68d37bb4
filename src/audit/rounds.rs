//! The rounds: the audit of one rig's polecats with each snapshot, as a component of the actor that owns them.
//!
//! It judges every polecat, ends what is over, and has a task make sure of what is to be mailed. One
//! polecat has one task at most; those that may ask `bd` and send mail take turns, so that a rig in which everybody stalls
//! runs one command at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{
    check::{self, Suspect},
    incidents::Condition,
    rules::{self, Finding, Owned, Situation, Times, judge, situation},
};
use crate::{
    agent::{
        identity::{AgentName, Identity, RigName},
        owner::Owner,
    },
    clock::Now,
    deps::Deps,
    ledger::{answer::Answer, snapshot::AgentSnapshot},
    work::{Post, Work},
};

/// What the audit's tasks tell it.
#[derive(Debug)]
pub struct AuditEvent {
    name: AgentName,
    /// What is to be remembered of a polecat that is missing.
    missing: Option<FirstSeen>,
}

/// A polecat found missing that may be mailed about, when it still is with the next snapshot.
#[derive(Debug, Clone)]
struct FirstSeen {
    hook: String,
    at: Now,
}

/// The component.
#[derive(Debug)]
pub struct Audit {
    deps: Arc<Deps>,
    rig: RigName,
    work: Work<AuditEvent>,
    under_way: BTreeSet<AgentName>,
    missing: BTreeMap<AgentName, FirstSeen>,
    /// When the last snapshot was judged.
    last: Option<Now>,
    /// When the machine was first seen to have woken from its last sleep: nobody got on while it slept.
    woke: Option<Timestamp>,
    turn: Arc<Semaphore>,
}

impl Audit {
    /// The audit of this rig, which has seen nothing yet; its tasks' events go to `post`.
    pub fn new(deps: Arc<Deps>, rig: RigName, post: Post<AuditEvent>) -> Self {
        Audit {
            deps,
            rig,
            work: Work::new(post),
            under_way: BTreeSet::new(),
            missing: BTreeMap::new(),
            last: None,
            woke: None,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// These are the rig's polecats; what was open of others is over.
    pub fn follow<'a>(&mut self, polecats: impl Iterator<Item = &'a AgentName>) {
        let there: BTreeSet<AgentName> = polecats.cloned().collect();
        self.missing.retain(|name, _| there.contains(name));
        let there = there.into_iter().map(|name| Identity::Polecat(self.rig.clone(), name)).collect();
        self.deps.incidents.keep_polecats(&self.rig, &there);
        self.save();
    }

    /// A snapshot was read; these are the owners of the rig's polecats.
    pub fn snapshot_read(&mut self, snapshot: &AgentSnapshot, polecats: &BTreeMap<AgentName, Owner>) {
        let now = self.deps.now();
        if self.last.replace(now).is_some_and(|last| rules::slept(last, now)) {
            self.woke = Some(now.wall);
        }
        for (name, owner) in polecats {
            let identity = &owner.spec().identity;
            let situation = self.situation(owner, now);
            let found = self.judge(snapshot, owner, situation, now);
            if let Finding::Well { hook } | Finding::Stalled { hook } | Finding::Missing { hook } = &found {
                self.deps.incidents.hook_is(identity, hook);
            }
            // What is being done about it may still fail.
            if situation != Situation::Busy && !matches!(found, Finding::Missing { .. } | Finding::Unknown) {
                self.missing.remove(name);
            }
            match found {
                Finding::Unknown | Finding::Leave => {}
                Finding::Over | Finding::Well { .. } => self.deps.incidents.over(identity),
                Finding::Stalled { hook } => {
                    self.deps.incidents.lives(identity);
                    self.make_sure(name, owner, Condition::Gupp, hook, None);
                }
                Finding::Missing { hook } => self.is_missing(name, owner, hook, now),
            }
        }
        self.save();
    }

    /// Takes what a task of its own told.
    pub fn handle(&mut self, AuditEvent { name, missing }: AuditEvent) {
        self.under_way.remove(&name);
        match missing {
            Some(seen) => drop(self.missing.insert(name, seen)),
            None => drop(self.missing.remove(&name)),
        }
    }

    fn judge(&self, snapshot: &AgentSnapshot, owner: &Owner, situation: Situation, now: Now) -> Finding {
        let settings = self.deps.settings();
        let agent = snapshot.agents.get(&owner.spec().identity).unwrap_or(&Answer::NotAsked);
        let hook = match agent {
            Answer::Found(agent) => agent.hook.as_ref(),
            _ => None,
        };
        let hooked = hook.and_then(|hook| snapshot.hooked.get(hook)).unwrap_or(&Answer::NotAsked);
        let times = Times {
            now: now.wall,
            seen_alive: owner.seen_alive(),
            guard: settings.polecats.spawning_guard,
            gupp_after: settings.polecats.gupp_after,
        };
        judge(agent, hooked, situation, times)
    }

    fn situation(&self, owner: &Owner, now: Now) -> Situation {
        let identity = &owner.spec().identity;
        let found = situation(Owned {
            state: owner.state(),
            lasts: owner.in_state_for(now),
            doubt: owner.doubt().is_some(),
            start_failed: owner.start_failed(),
            untold: self.deps.incidents.crash_is_untold(identity),
        });
        match (found, self.woke) {
            (Situation::Alive(created), Some(woke)) => Situation::Alive(created.max(woke)),
            _ => found,
        }
    }

    fn is_missing(&mut self, name: &AgentName, owner: &Owner, hook: String, now: Now) {
        let interval = self.deps.settings().heartbeat.interval;
        match self.missing.get(name).filter(|seen| seen.hook == hook).cloned() {
            None => self.first_seen_missing(name, owner, FirstSeen { hook, at: now }),
            Some(seen) if rules::was_given_its_time(seen.at, now, interval) => {
                self.make_sure(name, owner, Condition::Orphaned, hook, Some(seen));
            }
            Some(_) => {}
        }
    }

    /// It counts from now on, unless its rig is not to be looked after.
    fn first_seen_missing(&mut self, name: &AgentName, owner: &Owner, seen: FirstSeen) {
        if !self.under_way.insert(name.clone()) {
            return;
        }
        let (deps, spec, name) = (self.deps.clone(), owner.spec().clone(), name.clone());
        let failed = AuditEvent { name: name.clone(), missing: None };
        self.work.spawn(
            async move {
                let missing = check::is_allowed(&deps, &spec).await.then_some(seen);
                AuditEvent { name, missing }
            },
            failed,
        );
    }

    fn make_sure(
        &mut self,
        name: &AgentName,
        owner: &Owner,
        condition: Condition,
        hook: String,
        missing: Option<FirstSeen>,
    ) {
        let identity = &owner.spec().identity;
        if self.deps.incidents.is_mailed(identity, condition, &hook) || !self.under_way.insert(name.clone()) {
            return;
        }
        let (spec, seen_alive, woke) = (owner.spec().clone(), owner.seen_alive(), self.woke);
        let suspect = Suspect { spec, seen_alive, hook, condition, woke };
        let (deps, turn, name) = (self.deps.clone(), self.turn.clone(), name.clone());
        let failed = AuditEvent { name: name.clone(), missing: None };
        self.work.spawn(
            async move {
                let _turn = turn.acquire().await;
                let allowed = check::make_sure(&deps, &suspect).await;
                AuditEvent { name, missing: missing.filter(|_| allowed) }
            },
            failed,
        );
    }

    /// What is over is forgotten on disk too; nothing waits for that.
    fn save(&mut self) {
        if self.deps.incidents.is_unsaved() {
            let deps = self.deps.clone();
            self.work.run(async move { drop(deps.incidents.save(&deps).await) });
        }
    }
}
