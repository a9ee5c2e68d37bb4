//! Children: one-for-one supervision, used by every actor that has others under it.
//!
//! Knows which child is which incarnation, and what an ending means: expected, to be restarted, or to be suspended. It does
//! not spawn — the supervisor does, as each child is spawned differently — and it must never let one child's trouble
//! reach another. An actor's crash says nothing about agents: nothing here may start, end or touch one.

use std::{collections::BTreeMap, fmt, time::Duration};

use ractor::{ActorCell, ActorId, SupervisionEvent};

use super::budget::{Budget, Crashes, Verdict};
use crate::{go_duration, stopping};

/// The children of one supervisor: `K` names them, `R` is how they are spoken to.
#[derive(Debug)]
pub struct Children<K, R> {
    entries: BTreeMap<K, Child<R>>,
    budget: Budget,
}

#[derive(Debug)]
struct Child<R> {
    running: Option<Incarnation<R>>,
    restarts: u32,
    crashes: Crashes,
    parked: Option<String>,
}

impl<R> Default for Child<R> {
    fn default() -> Self {
        Child { running: None, restarts: 0, crashes: Crashes::default(), parked: None }
    }
}

impl<R> Child<R> {
    fn crashed<K>(&mut self, key: K, why: &str, now: Duration, budget: Budget) -> Ending<K> {
        self.running = None;
        match self.crashes.crashed(now, budget) {
            Verdict::Restart => {
                self.restarts += 1;
                Ending::Restart(key)
            }
            Verdict::Suspend(suspend_for) => {
                self.parked = Some(why.to_owned());
                Ending::Suspended(key, suspend_for)
            }
        }
    }
}

#[derive(Debug)]
struct Incarnation<R> {
    actor: R,
    cell: ActorCell,
}

/// What follows when an actor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Ending<K> {
    /// It is no child any more, or an earlier incarnation.
    Stranger,
    /// Spawn this child again now.
    Restart(K),
    /// It used its budget up; spawn it again after this time, unless it was removed meanwhile.
    Suspended(K, Duration),
}

/// One child, as a probe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildStatus {
    /// Its name.
    pub name: String,
    /// Whether an incarnation of it runs.
    pub running: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// Why it is suspended, if it is.
    pub parked: Option<String>,
}

impl<K: Ord + Clone + fmt::Display, R> Children<K, R> {
    /// No children yet.
    pub fn new(budget: Budget) -> Self {
        Children { entries: BTreeMap::new(), budget }
    }

    /// A new incarnation of `key` runs.
    pub fn started(&mut self, key: K, actor: R, cell: ActorCell) {
        let child = self.entries.entry(key).or_default();
        child.running = Some(Incarnation { actor, cell });
        child.parked = None;
    }

    /// Whether this child is known (running, or suspended).
    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// The running incarnation of a child.
    pub fn get(&self, key: &K) -> Option<&R> {
        Some(&self.entries.get(key)?.running.as_ref()?.actor)
    }

    /// The children that do not run now: suspended, or about to be restarted.
    pub fn not_running(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().filter(|(_, child)| child.running.is_none()).map(|(key, _)| key)
    }

    /// All running children in order of name.
    pub fn running(&self) -> impl Iterator<Item = (&K, &R)> {
        self.entries.iter().filter_map(|(key, child)| Some((key, &child.running.as_ref()?.actor)))
    }

    /// The names of all children.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// Forgets a child and hands its actor over to be stopped.
    pub fn remove(&mut self, key: &K) -> Option<ActorCell> {
        Some(self.entries.remove(key)?.running?.cell)
    }

    /// Forgets all children and hands their actors over, in order of name.
    pub fn remove_all(&mut self) -> Vec<ActorCell> {
        std::mem::take(&mut self.entries)
            .into_values()
            .filter_map(|child| Some(child.running?.cell))
            .collect()
    }

    /// An actor ended unasked, for this reason.
    pub fn ended(&mut self, actor: ActorId, why: &str, now: Duration) -> Ending<K> {
        let Some((key, child)) = self
            .entries
            .iter_mut()
            .find(|(_, child)| child.running.as_ref().is_some_and(|it| it.cell.get_id() == actor))
        else {
            return Ending::Stranger;
        };
        child.crashed(key.clone(), why, now, self.budget)
    }

    /// A child ended before it ran: that counts as a crash of it, and of nobody else.
    pub fn failed(&mut self, key: K, why: &str, now: Duration) -> Ending<K> {
        self.entries.entry(key.clone()).or_default().crashed(key, why, now, self.budget)
    }

    /// Whether a suspended child is still waiting to be tried again; counts the trial as a restart.
    pub fn resume(&mut self, key: &K) -> bool {
        match self.entries.get_mut(key) {
            Some(child) if child.running.is_none() => {
                child.restarts += 1;
                true
            }
            _ => false,
        }
    }

    /// All children, for a probe.
    pub fn status(&self) -> Vec<ChildStatus> {
        self.entries
            .iter()
            .map(|(key, child)| ChildStatus {
                name: key.to_string(),
                running: child.running.is_some(),
                restarts: child.restarts,
                parked: child.parked.clone(),
            })
            .collect()
    }
}

/// Which actor ended and why; `None` for events that are no ending.
pub fn ending(event: SupervisionEvent) -> Option<(ActorId, String)> {
    match event {
        SupervisionEvent::ActorTerminated(actor, _, why) => {
            Some((actor.get_id(), why.unwrap_or_else(|| "it ended".to_owned())))
        }
        SupervisionEvent::ActorFailed(actor, error) => Some((actor.get_id(), error.to_string())),
        _ => None,
    }
}

/// What is told of an actor that crashed too often.
pub fn suspended(actor: &str, suspend_for: Duration, why: &str) -> String {
    let time = go_duration::format(suspend_for);
    format!("actor {actor} crashed too often and is suspended for {time}: {why}")
}

/// Stops actors in the OTP way, all at once: ask, wait for `grace`, kill, wait. A kill takes effect at once, or nearly.
pub async fn stop_all(cells: Vec<ActorCell>, grace: Duration) {
    for cell in &cells {
        cell.stop(None);
    }
    futures::future::join_all(cells.iter().map(|cell| async move {
        if cell.wait(Some(grace)).await.is_err() {
            tracing::warn!("actor {} did not stop within {grace:?}, killed", cell.get_id());
            cell.kill();
            let _ = cell.wait(Some(stopping::KILL)).await;
        }
    }))
    .await;
}
