//! The rounds: the pending spawns of one rig, as a component of the actor that lists its polecats.
//!
//! Each message has a task of its own; all run at the same time. The outcome of a message is remembered while the
//! message is in the inbox: a message that cannot be archived is never handled again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Semaphore;

use super::{
    attend::{self, Attended, Pending},
    rules::{self, Spawn},
};
use crate::{
    agent::spec::AgentSpec,
    clock::Now,
    deps::Deps,
    ledger::inbox::Message,
    supervision::work::{ReplyTo, Work},
    town::{
        identity::{AgentName, BadName, Identity},
        rig_plan::RigPlan,
    },
};

/// The number of a rig's messages that are handled at the same time: an inbox may contain thousands.
const SIDE_BY_SIDE: usize = 50;
/// The number of messages that are archived at the same time: each takes a run of `gt`, which locks the database.
const ARCHIVED: usize = 2;
/// The number of new messages naming another session that are logged for each reading.
const TOLD: usize = 20;

/// What a task reports about its message: whether it only needs to be archived, and why that failed.
#[derive(Debug)]
pub struct SpawnEvent {
    id: String,
    settled: bool,
    unarchived: Option<String>,
}

/// What is remembered of a message.
#[derive(Debug)]
struct Known {
    first_seen: Now,
    /// Whether a task handles it now.
    under_way: bool,
    /// Whether it only needs to be archived.
    settled: bool,
}

/// The pending spawns of one rig.
#[derive(Debug)]
pub struct Spawns {
    deps: Arc<Deps>,
    rig: RigPlan,
    work: Work<SpawnEvent>,
    known: BTreeMap<String, Known>,
    /// The rig's polecats, once they are known.
    polecats: Option<BTreeSet<AgentName>>,
    /// An inbox that was read before the polecats were known.
    waiting: Option<Arc<Vec<Message>>>,
    places: Arc<Semaphore>,
    archiving: Arc<Semaphore>,
    /// The problems with messages, by their ids. The number of messages is not ours to limit: each map is one problem.
    unusable: BTreeMap<String, String>,
    unarchived: BTreeMap<String, String>,
}

impl Spawns {
    /// The spawns of this rig; their tasks' events go to `post`.
    pub fn new(deps: Arc<Deps>, rig: RigPlan, post: ReplyTo<SpawnEvent>) -> Self {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let archiving = Arc::new(Semaphore::new(ARCHIVED));
        Spawns {
            deps,
            rig,
            work: Work::new(post),
            known: BTreeMap::new(),
            polecats: None,
            waiting: None,
            places,
            archiving,
            unusable: BTreeMap::new(),
            unarchived: BTreeMap::new(),
        }
    }

    /// Replaces the list of the rig's polecats.
    pub fn follow<'a>(&mut self, polecats: impl Iterator<Item = &'a AgentName>) {
        self.polecats = Some(polecats.cloned().collect());
        if let Some(inbox) = self.waiting.take() {
            self.mail(&inbox);
        }
    }

    /// Handles an inbox, complete as read.
    pub fn mail(&mut self, inbox: &Arc<Vec<Message>>) {
        if self.polecats.is_none() {
            self.waiting = Some(inbox.clone());
            return;
        }
        let spawns = rules::of_rig(&self.rig.name, inbox);
        self.forget_all_but(&spawns);
        let mut told = 0;
        for (spawn, is_superseded) in spawns.iter().zip(rules::superseded(&spawns)) {
            self.attend_to(spawn, is_superseded, &mut told);
        }
        self.report();
    }

    fn attend_to(&mut self, spawn: &Spawn, is_superseded: bool, told: &mut usize) {
        let now = self.deps.now();
        let is_new = !self.known.contains_key(&spawn.id);
        let new = || Known { first_seen: now, under_way: false, settled: false };
        let known = self.known.entry(spawn.id.clone()).or_insert_with(new);
        if known.under_way {
            return;
        }
        let prune_after = self.deps.settings().spawns.prune_after;
        let is_old = rules::is_old(spawn, now.wall, now.since(known.first_seen), prune_after);
        match &spawn.polecat {
            _ if known.settled => self.archive(&spawn.id),
            Err(why) => self.unusable(spawn, why, is_old),
            Ok(name) => {
                let identity = Identity::Polecat(self.rig.name.clone(), name.clone());
                let spec =
                    Arc::new(AgentSpec::new(identity, self.deps.settings().tmux.naming, &self.rig.prefix));
                if is_new && *told < TOLD {
                    *told += usize::from(tells_other_session(spawn, &spec));
                }
                let is_known = self.polecats.as_ref().is_some_and(|there| there.contains(name));
                self.attend(Pending { id: spawn.id.clone(), spec, is_known, is_old, is_superseded });
            }
        }
    }

    /// Handles the report of a task.
    pub fn handle(&mut self, SpawnEvent { id, settled, unarchived }: SpawnEvent) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.under_way = false;
        known.settled |= settled;
        match unarchived {
            Some(why) => self.unarchived.insert(id, why),
            None => self.unarchived.remove(&id),
        };
        // Not for each of thousands of messages: once no task runs, and with each reading.
        if !self.known.values().any(|known| known.under_way) {
            self.report();
        }
    }

    fn report(&self) {
        let problems = &self.deps.problems;
        problems.report_all(&format!("rig/{}/spawns/names", self.rig.name), self.unusable.values());
        problems.report_all(&format!("rig/{}/spawns/archive", self.rig.name), self.unarchived.values());
    }

    /// Forgets messages that are no longer in the inbox, once no task handles them.
    fn forget_all_but(&mut self, spawns: &[Spawn]) {
        let there: BTreeSet<&str> = spawns.iter().map(|spawn| spawn.id.as_str()).collect();
        let gone: Vec<String> = self
            .known
            .iter()
            .filter(|(id, known)| !known.under_way && !there.contains(id.as_str()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.known.remove(&id);
            self.unusable.remove(&id);
            self.unarchived.remove(&id);
        }
    }

    fn attend(&mut self, pending: Pending) {
        let (deps, places, id) = (self.deps.clone(), self.places.clone(), pending.id.clone());
        let archiving = self.archiving.clone();
        self.run(id, async move {
            let place = places.acquire().await;
            let attended = attend::attend(&deps, &pending).await;
            drop(place);
            match attended {
                Attended::Later => (false, None),
                Attended::Settled => {
                    let _place = archiving.acquire().await;
                    (true, attend::archive(&deps, &pending.id).await.err())
                }
            }
        });
    }

    fn archive(&mut self, id: &str) {
        let (deps, archiving, id) = (self.deps.clone(), self.archiving.clone(), id.to_owned());
        self.run(id.clone(), async move {
            let _place = archiving.acquire().await;
            (true, attend::archive(&deps, &id).await.err())
        });
    }

    fn unusable(&mut self, spawn: &Spawn, why: &BadName, is_old: bool) {
        let text = format!(
            "mail {} in the deacon's inbox names an impossible polecat of rig {}: {why}",
            spawn.id, self.rig.name
        );
        self.unusable.insert(spawn.id.clone(), text);
        if is_old {
            self.archive(&spawn.id);
        }
    }

    fn run(&mut self, id: String, task: impl Future<Output = (bool, Option<String>)> + Send + 'static) {
        if let Some(known) = self.known.get_mut(&id) {
            known.under_way = true;
        }
        // A task that panics may have typed already: its message is settled.
        let failed = SpawnEvent { id: id.clone(), settled: true, unarchived: None };
        let event = async move {
            let (settled, unarchived) = task.await;
            SpawnEvent { id, settled, unarchived }
        };
        self.work.spawn(event, failed);
    }
}

/// Logs a message that names another session; returns whether it does.
fn tells_other_session(spawn: &Spawn, spec: &AgentSpec) -> bool {
    let other = rules::names_another_session(spawn, &spec.session);
    if let Some(other) = other {
        tracing::warn!(
            agent = %spec.identity, "mail {} says that it runs in session {other:?}; only its own, {}, is attended",
            spawn.id,
            spec.session
        );
    }
    other.is_some()
}
