//! Records: all that is known of an agent beyond one observation, in one place for each agent.
//!
//! A record is what an actor leaves to its successor when it crashes, and what this supervisor leaves to the next. An agent's
//! actor writes the lifecycle after each step ([`keep`](Records::keep)). The mail reader adds requests, the session watch screens,
//! and any part of the supervisor entries of the history. The files are views of the records: `claims.json`,
//! `conversations.json`, `ended.json`, `history.json`, `holds.json`, `incidents.json`, `lives.json` and `waits.json` in `daemon/supervisor/`,
//! and `daemon/restart_state.json`, which Gas Town reads, too. One task writes what changed, another the histories. A caller that needs its change on disk before the
//! next step calls [`save`](Records::save) and waits. This module must not decide anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{to_vec, to_vec_pretty};
use tokio::sync::watch;

use super::{
    confirmation::SessionKey,
    conversation::Conversations,
    ended::Ended,
    health::Course,
    history::History,
    holds::Hold,
    lifecycle::{Before, Lifecycle, State},
    requests::{ByCommand, Claim},
    restart::RestartHistory,
    waits::Wait,
};
use crate::{
    agent::{incidents::Incident, spec::AgentSpec},
    ports::Ports,
    town::{
        identity::{Identity, RigName},
        reading::FileProblem,
    },
};

mod activities;
mod health;
pub mod histories;
mod requests;
mod restarts;
pub mod screens;
mod view;

use activities::Doing;
use requests::Claims;
use restarts::RestartFile;
use screens::Watched;
use view::{Book, View, book};

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
    /// That it ended by itself, and is not started again after that.
    ended: Option<Ended>,
    /// What was mailed about it and is not over.
    incident: Option<Incident>,
    /// That it was seen alive and its end is not accounted for: only what was seen alive can die.
    life: Option<Life>,
    /// What is said of it because it was started without `gt` and runs, in a town where `gt` starts agents.
    without_gt: Option<String>,
    /// Its conversations; `None` when there is nothing to keep of them.
    conversations: Option<Conversations>,
    /// Its last screen.
    watched: Option<Watched>,
    /// What it is doing.
    doing: Doing,
    /// What the checks of its health say.
    health: Option<Course>,
    /// What happened to it, for people.
    history: Option<History>,
    /// What is asked of it by mail, by the message's id.
    requests: BTreeMap<String, Claim>,
}

/// The maximum number of open incidents; beyond it the oldest is forgotten.
pub const INCIDENTS: usize = 10_000;

/// The maximum number of agents that a file no longer has and of which is kept that they were stopped, or ended.
const LEFT: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Life {
    /// The session it was last seen alive in.
    #[serde(flatten)]
    session: SessionKey,
    /// When it was seen; what is on disk may be older.
    seen: Timestamp,
    /// The server's id for the pane in which it was last seen there, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pane: Option<String>,
}

type Agents = Arc<Mutex<BTreeMap<Identity, AgentRecord>>>;

/// The records of all agents; clones share them.
#[derive(Debug, Clone)]
pub struct Records {
    agents: Agents,
    holds: View<Book<Identity, Hold>>,
    incidents: View<Book<Identity, Incident>>,
    lives: View<Book<Identity, Life>>,
    waits: View<Book<Identity, Wait>>,
    ended: View<Book<Identity, Ended>>,
    conversations: View<Book<Identity, Conversations>>,
    histories: View<Book<Identity, History>>,
    claims: View<Claims>,
    restarts: RestartFile,
    changed: Arc<watch::Sender<()>>,
}

impl Records {
    /// No records yet; their files are in this directory.
    pub fn new(directory: PathBuf) -> Self {
        let (agents, changed) = (Agents::default(), Arc::new(watch::Sender::new(())));
        let (shared, path) = ((&agents, &changed), |name| directory.join(name));
        // The file of one field of each record.
        macro_rules! view {
            ($name:literal, $field:ident, $json:path) => {
                View::new(
                    shared,
                    path($name),
                    |all| $json(&book(all, |it| it.$field.as_ref())),
                    |file, all| file.restore(all, |it| &mut it.$field),
                )
            };
        }
        Records {
            holds: view!("holds.json", hold, to_vec_pretty),
            incidents: view!("incidents.json", incident, to_vec_pretty),
            lives: view!("lives.json", life, to_vec_pretty),
            waits: view!("waits.json", wait, to_vec_pretty),
            ended: view!("ended.json", ended, to_vec_pretty),
            conversations: view!("conversations.json", conversations, to_vec_pretty),
            // It is large: without line breaks it takes a third of the time.
            histories: view!("history.json", history, to_vec),
            claims: View::new(
                shared,
                path("claims.json"),
                |all| to_vec_pretty(&Claims::of(all)),
                Claims::restore,
            ),
            restarts: RestartFile::new(shared),
            agents,
            changed,
        }
    }

    /// Takes over what the last supervisor left; to be called once, before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.restarts.load(ports).await;
        self.holds.load(ports).await;
        self.incidents.load(ports).await;
        self.waits.load(ports).await;
        if !ports.dialect().is_gas_town() {
            self.ended.load(ports).await;
        }
        self.lives.load(ports).await;
        self.conversations.load(ports).await;
        self.claims.load(ports).await;
        self.let_go_after_down();
        self.load_histories(ports).await;
    }

    /// What was ended with the whole town is held by nobody: it ended with the last supervisor, and what was left of that is not done.
    fn let_go_after_down(&self) {
        for record in self.agents.lock().values_mut() {
            if record.hold.as_ref().is_some_and(|hold| hold.down) {
                self.holds.put(&mut record.hold, None);
            }
            let before = record.requests.len();
            record
                .requests
                .retain(|_, claim| !(claim.is_open() && claim.by.as_ref().is_some_and(ByCommand::is_down)));
            if record.requests.len() != before {
                self.claims.was_changed();
            }
        }
    }

    /// As [`Persisted::peek`](crate::ports::persisted::Persisted::peek), for each file of ours, for readers that change nothing.
    pub async fn peek(&self, ports: &Ports) -> [(bool, Option<FileProblem>); 8] {
        let (holds, lives, waits) =
            (self.holds.peek(ports).await, self.lives.peek(ports).await, self.waits.peek(ports).await);
        let (incidents, histories) = (self.incidents.peek(ports).await, self.histories.peek(ports).await);
        let (claims, conversations) = (self.claims.peek(ports).await, self.conversations.peek(ports).await);
        let ended = self.ended.peek(ports).await;
        [claims, conversations, holds, lives, waits, incidents, histories, ended]
    }

    /// Writes what changed, but for histories. When it returns, all that was known when this was called is on disk, but for what
    /// is reported as a problem and retried.
    pub async fn save(&self, ports: &Ports) {
        let _ = tokio::join!(
            self.holds.save(ports),
            self.incidents.save(ports),
            self.lives.save(ports),
            self.waits.save(ports),
            self.ended.save(ports),
            self.conversations.save(ports),
            self.claims.save(ports),
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
        let agents = self.agents.lock();
        let Some(AgentRecord { lifecycle, restarts, hold, wait, ended, life, .. }) = agents.get(identity)
        else {
            return Default::default();
        };
        let (lifecycle, hold, wait) = (lifecycle.clone(), hold.clone(), wait.clone());
        let before = Before { lifecycle, hold, wait, ended: *ended, missed: life.is_some() };
        (restarts.clone(), before, life.as_ref().map(|life| life.seen))
    }

    /// Keeps how an agent is after a step of its lifecycle.
    pub fn keep(&self, identity: &Identity, now: &Lifecycle, at: Timestamp) {
        let mut agents = self.agents.lock();
        let record = agents.entry(identity.clone()).or_default();
        // What somebody changed in the file meanwhile reaches the lifecycle as an event, and is not to be undone here.
        let before = record.lifecycle.as_ref().map_or(&record.restarts, Lifecycle::history);
        if before != now.history() && record.restarts != *now.history() {
            record.restarts = now.history().clone();
            self.restarts.was_changed();
        }
        self.holds.put(&mut record.hold, now.hold().cloned());
        self.ended.put(&mut record.ended, now.ended());
        let life = record.life_after(now, at);
        // When it was seen is no news.
        let session = |life: &Option<Life>| life.as_ref().map(|it| (it.session.clone(), it.pane.clone()));
        if session(&record.life) != session(&life) {
            self.lives.was_changed();
        }
        record.life = life;
        record.lifecycle = Some(now.clone());
        if self.waits.put(&mut record.wait, now.wait()) {
            let old = |wait: &mut Wait| at.duration_since(wait.until) > FORGOTTEN_AFTER;
            agents.values_mut().for_each(|record| drop(record.wait.take_if(old)));
        }
    }

    /// The restarts of this agent.
    pub fn restarts(&self, identity: &Identity) -> RestartHistory {
        self.agents.lock().get(identity).map(|record| record.restarts.clone()).unwrap_or_default()
    }

    /// Reads `daemon/restart_state.json` again, as somebody changed it. Agents it does not name have no restarts any more. Returns
    /// whether it could be read.
    pub async fn read_restarts(&self, ports: &Ports) -> bool {
        self.restarts.load(ports).await
    }

    /// Whether something delays a start of this agent, or of any, or would at its next end.
    pub fn has_backoff(&self, whose: Option<&Identity>) -> bool {
        let agents = self.agents.lock();
        let mut meant = agents.iter().filter(|(identity, _)| whose.is_none_or(|whose| whose == *identity));
        meant.any(|(_, AgentRecord { lifecycle, restarts, hold, .. })| {
            let none = RestartHistory { last_restart: restarts.last_restart, ..RestartHistory::default() };
            *restarts != none || hold.is_some() || lifecycle.as_ref().is_some_and(Lifecycle::is_delayed)
        })
    }

    /// Nothing is remembered of the restarts of this agent, or of any, from now on.
    pub fn clear_restarts(&self, whose: Option<&Identity>) {
        self.restarts.clear(whose);
    }

    /// How this agent is held on request, if it is.
    pub fn hold(&self, identity: &Identity) -> Option<Hold> {
        self.agents.lock().get(identity)?.hold.clone()
    }

    /// Whether this agent ended by itself, and is not started again after that.
    pub fn has_ended(&self, identity: &Identity) -> bool {
        self.agents.lock().get(identity).is_some_and(|record| record.ended.is_some())
    }

    /// All agents that are held on request.
    pub fn held(&self) -> Vec<Identity> {
        let agents = self.agents.lock();
        let held = agents.iter().filter(|(_, record)| record.hold.is_some());
        held.map(|(identity, _)| identity.clone()).collect()
    }

    /// Notes what is said of an agent that was started without `gt`, or that this does not hold any more; true when that is new.
    pub fn set_without_gt(&self, identity: &Identity, line: Option<String>) -> bool {
        let mut agents = self.agents.lock();
        match (agents.get_mut(identity), line) {
            (Some(record), line) => std::mem::replace(&mut record.without_gt, line.clone()) != line,
            (None, None) => false,
            (None, line) => {
                agents.entry(identity.clone()).or_default().without_gt = line;
                true
            }
        }
    }

    /// What is said of the agents that were started without `gt`.
    pub fn without_gt(&self) -> Vec<String> {
        self.agents.lock().values().filter_map(|record| record.without_gt.clone()).collect()
    }

    /// How often in a row `gt` did not start this agent by now, and why it did not the last time.
    pub fn gt_failures(&self, identity: &Identity) -> Option<(u32, String)> {
        self.agents.lock().get(identity)?.lifecycle.as_ref()?.gt_failures()
    }

    /// The agents of this kind that an actor keeps, and whether each was alive when last probed.
    pub fn watched_agents(&self, which: impl Fn(&Identity) -> bool) -> Vec<(AgentSpec, bool)> {
        let agents = self.agents.lock();
        let watched = agents.iter().filter(|(identity, _)| which(identity)).filter_map(|(_, record)| {
            let state = record.lifecycle.as_ref().map(Lifecycle::state);
            Some((record.watched.as_ref()?.agent().clone(), matches!(state, Some(State::Alive { .. }))))
        });
        watched.collect()
    }

    /// The conversations of this agent.
    pub fn conversations(&self, identity: &Identity) -> Conversations {
        let agents = self.agents.lock();
        agents.get(identity).and_then(|record| record.conversations.clone()).unwrap_or_default()
    }

    /// The ids of the conversations of all other agents.
    pub fn conversations_of_others(&self, than: &Identity) -> BTreeSet<String> {
        let agents = self.agents.lock();
        let others = agents.iter().filter(|(whose, _)| *whose != than);
        let kept = others.filter_map(|(_, record)| record.conversations.as_ref());
        kept.flat_map(Conversations::ids).map(str::to_owned).collect()
    }

    /// Changes what is kept of this agent's conversations, and returns what the change does; it is saved.
    pub fn change_conversations<A>(
        &self,
        whose: &Identity,
        change: impl FnOnce(&mut Conversations) -> A,
    ) -> A {
        let mut agents = self.agents.lock();
        let record = agents.entry(whose.clone()).or_default();
        let mut now = record.conversations.clone().unwrap_or_default();
        let answer = change(&mut now);
        self.conversations.put(&mut record.conversations, Some(now).filter(|now| !now.is_empty()));
        answer
    }

    /// The copies of transcripts that are still needed, of all agents.
    pub fn needed_copies(&self) -> BTreeSet<PathBuf> {
        let agents = self.agents.lock();
        let kept = agents.values().filter_map(|record| record.conversations.as_ref());
        kept.flat_map(|kept| &kept.copied).map(|copied| copied.copy.clone()).collect()
    }

    /// How this agent is watched, while an actor keeps it.
    pub fn watched_agent(&self, identity: &Identity) -> Option<AgentSpec> {
        Some(self.agents.lock().get(identity)?.watched.as_ref()?.agent().clone())
    }

    /// Asks about the lifecycle of this agent as its last step left it; `None` while there was none.
    pub fn of_lifecycle<A>(&self, identity: &Identity, ask: impl FnOnce(Option<&Lifecycle>) -> A) -> A {
        let agents = self.agents.lock();
        ask(agents.get(identity).and_then(|record| record.lifecycle.as_ref()))
    }

    /// Whether an actor keeps this agent, and it was alive when last probed.
    pub fn lives(&self, identity: &Identity) -> bool {
        self.living(identity).is_some()
    }

    /// An agent that an actor keeps and that was alive when last probed, and its session.
    pub fn living(&self, identity: &Identity) -> Option<(AgentSpec, SessionKey)> {
        let agents = self.agents.lock();
        let record = agents.get(identity)?;
        match record.lifecycle.as_ref()?.state() {
            State::Alive { session, .. } => Some((record.watched.as_ref()?.agent().clone(), session.clone())),
            _ => None,
        }
    }

    /// What is open of this agent, to be read or changed; a change is saved.
    pub fn incident<A>(&self, identity: &Identity, change: impl FnOnce(&mut Option<Incident>) -> A) -> A {
        let mut agents = self.agents.lock();
        let record = agents.entry(identity.clone()).or_default();
        let mut now = record.incident.clone();
        let answer = change(&mut now);
        if self.incidents.put(&mut record.incident, now) && agents.len() > INCIDENTS {
            self.forget_oldest_incident(&mut agents);
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
        let not_there = |it: &Identity| it.rig() == Some(rig) && !there.contains(it);
        for (_, record) in self.agents.lock().iter_mut().filter(|(identity, _)| not_there(identity)) {
            self.incidents.put(&mut record.incident, None);
        }
    }

    /// This agent is no more, for this reason: what was stopped and then removed for good is held no longer, and its end is meant.
    pub fn forget(&self, identity: &Identity, why: &str, now: Timestamp) {
        let mut agents = self.agents.lock();
        let Some(record) = agents.get_mut(identity) else { return };
        self.unsupervised(record, why, now);
        self.holds.put(&mut record.hold, None);
        self.ended.put(&mut record.ended, None);
        self.conversations.put(&mut record.conversations, None);
        // Polecats come and go for weeks: of one without restarts and a history nothing is left to remember.
        if *record == AgentRecord::default() {
            agents.remove(identity);
        }
    }

    /// The file no longer has this agent, for this reason. Its name may come back: that a person stopped it, or that it ended and is not
    /// started again, holds until then. What `file` stopped is held no longer.
    pub fn left_file(&self, identity: &Identity, (file, why): (&str, &str), now: Timestamp) {
        let mut agents = self.agents.lock();
        let (hold, ended) = agents.get(identity).map(|it| (it.hold.clone(), it.ended)).unwrap_or_default();
        drop(agents);
        self.forget(identity, why, now);
        let hold = hold.filter(|hold| !hold.down && hold.by.as_deref() != Some(file));
        if hold.is_none() && ended.is_none() {
            return;
        }
        agents = self.agents.lock();
        let record = agents.entry(identity.clone()).or_default();
        self.holds.put(&mut record.hold, hold);
        self.ended.put(&mut record.ended, ended);
        let since = |it: &AgentRecord| it.hold.as_ref().map(|it| it.since).max(it.ended.map(|it| it.at));
        let left = agents.values_mut().filter(|it| it.lifecycle.is_none() && since(it).is_some());
        let mut left: Vec<&mut AgentRecord> = left.collect();
        if left.len() > LEFT
            && let Some(oldest) = left.iter_mut().min_by_key(|it| since(it))
        {
            self.holds.put(&mut oldest.hold, None);
            self.ended.put(&mut oldest.ended, None);
        }
    }

    /// A rig is no longer supervised: what happens to its agents meanwhile is not ours to judge or report later.
    pub fn forget_rig(&self, rig: &RigName, now: Timestamp) {
        for (_, record) in self.agents.lock().iter_mut().filter(|(identity, _)| identity.rig() == Some(rig)) {
            self.unsupervised(record, "its rig is gone from mayor/rigs.json", now);
        }
    }

    fn unsupervised(&self, record: &mut AgentRecord, why: &str, now: Timestamp) {
        (record.lifecycle, record.watched, record.without_gt) = (None, None, None);
        record.doing = Doing::default();
        self.lives.put(&mut record.life, None);
        if let Some(history) = &mut record.history {
            history.is_gone(why, now);
            self.histories.was_changed();
        }
    }
}

impl AgentRecord {
    /// Its life after a step. While its end is being judged, it is the one that may have ended.
    fn life_after(&self, now: &Lifecycle, seen: Timestamp) -> Option<Life> {
        match (now.is_missed(), now.state()) {
            (true, State::Alive { session, .. }) => {
                Some(Life { session: session.clone(), seen, pane: self.last_pane(session) })
            }
            (true, _) => self.life.clone(),
            (false, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
