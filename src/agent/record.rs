//! Records: all that is known of an agent beyond one observation, in one place for each agent.
//!
//! A record is what an actor leaves to its successor when it crashes, and what this supervisor leaves to the next. An agent's
//! actor writes it after each step of the lifecycle ([`keep`](Records::keep)), and nobody else does while the agent has an actor. The
//! files are views of the records: `holds.json`, `incidents.json`, `lives.json` and `waits.json` in `daemon/supervisor/`, and
//! `daemon/restart_state.json`, which Gas Town reads, too. One task writes what changed; who must be sure that it is on disk
//! before the next step [`save`](Records::save)s and waits. It must not decide anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    confirmation::SessionKey,
    holds::Hold,
    lifecycle::{Before, Lifecycle, State},
    restart::RestartHistory,
    waits::Wait,
};
use crate::{
    agent::incidents::Incident,
    ports::Ports,
    town::{
        identity::{Identity, RigName},
        reading::FileProblem,
    },
};

mod restarts;
pub mod screens;
mod view;

use restarts::RestartFile;
use screens::Watched;
use view::View;

/// How long after it was over a wait is still remembered: that of an agent that is no more must go some day.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is known of one agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentRecord {
    /// Where its last actor left it.
    lifecycle: Option<Lifecycle>,
    /// Its restarts.
    restarts: RestartHistory,
    /// That it was stopped on request.
    hold: Option<Hold>,
    /// That it is tried again later.
    wait: Option<Wait>,
    /// What was mailed about it and is not over.
    incident: Option<Incident>,
    /// That it was seen alive and its end is not accounted for: only what was seen alive can die.
    life: Option<Life>,
    /// Its last screen.
    watched: Option<Watched>,
}

/// The maximum number of open incidents; beyond it the oldest is forgotten.
pub const INCIDENTS: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Life {
    /// The session it was last seen alive in.
    #[serde(flatten)]
    session: SessionKey,
    /// When it was seen; what is on disk may be older.
    seen: Timestamp,
}

type Agents = Arc<Mutex<BTreeMap<Identity, AgentRecord>>>;

fn lock(agents: &Agents) -> MutexGuard<'_, BTreeMap<Identity, AgentRecord>> {
    agents.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The records of all agents; clones share them.
#[derive(Debug, Clone)]
pub struct Records {
    agents: Agents,
    holds: View<Hold>,
    incidents: View<Incident>,
    lives: View<Life>,
    waits: View<Wait>,
    restarts: RestartFile,
    changed: Arc<watch::Sender<()>>,
}

impl Records {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        let agents = Agents::default();
        let path = |name| directory.join(name);
        Records {
            holds: View::new(&agents, path("holds.json"), |record| &mut record.hold),
            incidents: View::new(&agents, path("incidents.json"), |record| &mut record.incident),
            lives: View::new(&agents, path("lives.json"), |record| &mut record.life),
            waits: View::new(&agents, path("waits.json"), |record| &mut record.wait),
            restarts: RestartFile::new(&agents),
            changed: Arc::new(watch::Sender::new(())),
            agents,
        }
    }

    /// Takes over what the last supervisor left; to be called once, before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.restarts.load(ports).await;
        self.holds.load(ports).await;
        self.incidents.load(ports).await;
        self.waits.load(ports).await;
        self.lives.load(ports).await;
    }

    /// As [`Persisted::peek`](crate::ports::persisted::Persisted::peek), for each file of ours: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> [(bool, Option<FileProblem>); 4] {
        let (holds, lives) = (self.holds.peek(ports).await, self.lives.peek(ports).await);
        [holds, lives, self.waits.peek(ports).await, self.incidents.peek(ports).await]
    }

    /// Writes what changed. When it returns, all that was known when this was called is on disk, but for what is reported as a
    /// problem and retried.
    pub async fn save(&self, ports: &Ports) {
        tokio::join!(
            self.holds.save(ports),
            self.incidents.save(ports),
            self.lives.save(ports),
            self.waits.save(ports),
            self.restarts.save(ports)
        );
    }

    /// Moves with every change that is to be saved.
    pub fn changed(&self) -> watch::Receiver<()> {
        let mut changed = self.changed.subscribe();
        // What changed under an earlier caller.
        changed.mark_changed();
        changed
    }

    /// What an actor that is new to this agent begins with, and when the agent was last seen alive.
    pub fn resume(&self, identity: &Identity) -> (RestartHistory, Before, Option<Timestamp>) {
        let agents = self.locked();
        let Some(AgentRecord { lifecycle, restarts, hold, wait, life, .. }) = agents.get(identity) else {
            return Default::default();
        };
        let (lifecycle, hold, wait) = (lifecycle.clone(), hold.clone(), wait.clone());
        let before = Before { lifecycle, hold, wait, missed: life.is_some() };
        (restarts.clone(), before, life.as_ref().map(|life| life.seen))
    }

    /// Keeps how an agent is after a step of its lifecycle.
    pub fn keep(&self, identity: &Identity, now: &Lifecycle, at: Timestamp) {
        let mut agents = self.locked();
        let record = agents.entry(identity.clone()).or_default();
        let mut changed = false;
        // What somebody changed in the file meanwhile reaches the lifecycle as an event, and is not to be undone here.
        let before = record.lifecycle.as_ref().map_or(&record.restarts, Lifecycle::history);
        if before != now.history() && record.restarts != *now.history() {
            record.restarts = now.history().clone();
            self.restarts.was_changed();
            changed = true;
        }
        changed |= self.holds.put(record, now.hold().cloned());
        let (wait, life) = (now.wait(), record.life_after(now, at));
        let of_another_session = |(before, now): (&Life, &Life)| before.session != now.session;
        if record.life.is_some() != life.is_some()
            || record.life.as_ref().zip(life.as_ref()).is_some_and(of_another_session)
        {
            self.lives.was_changed();
            changed = true;
        }
        record.life = life;
        let waits_otherwise = self.waits.put(record, wait);
        record.lifecycle = Some(now.clone());
        if waits_otherwise {
            let old = |wait: &mut Wait| at.duration_since(wait.until) > FORGOTTEN_AFTER;
            agents.values_mut().for_each(|record| drop(record.wait.take_if(old)));
        }
        drop(agents);
        if changed || waits_otherwise {
            self.changed.send_replace(());
        }
    }

    /// The restarts of this agent.
    pub fn restarts(&self, identity: &Identity) -> RestartHistory {
        self.locked().get(identity).map(|record| record.restarts.clone()).unwrap_or_default()
    }

    /// Reads `daemon/restart_state.json` again, as somebody changed it. Agents it does not name have no restarts any more. Returns
    /// whether it could be read.
    pub async fn read_restarts(&self, ports: &Ports) -> bool {
        self.restarts.load(ports).await
    }

    /// Nothing is remembered of the restarts of this agent, or of any, from now on.
    pub fn clear_restarts(&self, whose: Option<&Identity>) {
        self.restarts.clear(whose);
        self.changed.send_replace(());
    }

    /// How this agent is held on request, if it is.
    pub fn hold(&self, identity: &Identity) -> Option<Hold> {
        self.locked().get(identity)?.hold.clone()
    }

    /// All agents that are held on request.
    pub fn held(&self) -> Vec<Identity> {
        let agents = self.locked();
        let held = agents.iter().filter(|(_, record)| record.hold.is_some());
        held.map(|(identity, _)| identity.clone()).collect()
    }

    /// What is open of this agent, to be read or changed; a change is saved.
    pub fn incident<A>(&self, identity: &Identity, change: impl FnOnce(&mut Option<Incident>) -> A) -> A {
        let mut agents = self.locked();
        let record = agents.entry(identity.clone()).or_default();
        let mut now = record.incident.clone();
        let answer = change(&mut now);
        let changed = self.incidents.put(record, now);
        if changed && agents.len() > INCIDENTS {
            self.forget_oldest_incident(&mut agents);
        }
        drop(agents);
        if changed {
            self.changed.send_replace(());
        }
        answer
    }

    fn forget_oldest_incident(&self, agents: &mut BTreeMap<Identity, AgentRecord>) {
        if agents.values().filter(|record| record.incident.is_some()).count() > INCIDENTS {
            let open = agents.values_mut().filter(|record| record.incident.is_some());
            if let Some(oldest) = open.min_by_key(|record| record.incident.as_ref().and_then(Incident::since))
            {
                oldest.incident = None;
            }
        }
    }

    /// A rig has these polecats and no others: what was open of others is over.
    pub fn keep_incidents(&self, rig: &RigName, there: &BTreeSet<Identity>) {
        let mut changed = false;
        let not_there = |it: &Identity| it.rig() == Some(rig) && !there.contains(it);
        for (_, record) in self.locked().iter_mut().filter(|(identity, _)| not_there(identity)) {
            changed |= self.incidents.put(record, None);
        }
        if changed {
            self.changed.send_replace(());
        }
    }

    /// This agent is no more: what was stopped and then removed for good is held no longer, and its end is meant.
    pub fn forget(&self, identity: &Identity) {
        self.forget_lives(|other| other == identity);
        let mut agents = self.locked();
        if let Some(record) = agents.get_mut(identity) {
            self.holds.put(record, None);
            record.watched = None;
            // Polecats come and go for weeks: of one without restarts nothing is left to remember.
            if *record == AgentRecord::default() {
                agents.remove(identity);
            }
        }
        drop(agents);
        self.changed.send_replace(());
    }

    /// A rig is no longer supervised: what happens to its agents meanwhile is not ours to judge or report later.
    pub fn forget_rig(&self, rig: &RigName) {
        self.forget_lives(|identity| identity.rig() == Some(rig));
        self.changed.send_replace(());
    }

    fn forget_lives(&self, whose: impl Fn(&Identity) -> bool) {
        for (_, record) in self.locked().iter_mut().filter(|(identity, _)| whose(identity)) {
            record.lifecycle = None;
            self.lives.put(record, None);
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Identity, AgentRecord>> {
        lock(&self.agents)
    }
}

impl AgentRecord {
    /// Its life after a step. While its end is being judged, it is the one that may have ended.
    fn life_after(&self, now: &Lifecycle, seen: Timestamp) -> Option<Life> {
        match (now.is_missed(), now.state()) {
            (true, State::Alive { session, .. }) => Some(Life { session: session.clone(), seen }),
            (true, _) => self.life.clone(),
            (false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
