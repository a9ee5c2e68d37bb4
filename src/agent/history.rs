//! History: what happened to each agent, in order, with times and reasons. `explain` shows it.
//!
//! It is the projection of the transitions and reasons of the [`lifecycle`](super::lifecycle) ([`story`]), and of nudges, mails and
//! the supervisor's own stops. One entry is one change; a probe or a heartbeat that shows nothing new leaves none. The register
//! survives the crash of any actor and, through its file (`history.json`), a restart of the supervisor. It must not decide
//! anything, and nothing may depend on it.
//!
//! **Its cost is bounded.** An agent has at most [`ENTRIES`] entries, and all agents together [`ALL_ENTRIES`] (the agent with
//! the most loses its oldest); there are at most [`AGENTS`] agents (those that are gone are removed first), and each text has at
//! most `entry::TEXT` characters. In a town of 1000 healthy agents the file has 0.3 MB, 2 MB when each has died twice, a
//! few times that at the very most; rendering 2 MB takes 3 ms. One writer saves the whole file seconds after a change, then rests
//! a hundred times as long as that took ([`housekeeping::keep_histories`](crate::tree::housekeeping::keep_histories)): however many
//! agents die, writing takes at most a hundredth of the time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::phase::Phase;
use crate::{
    ports::{Ports, persisted::Persisted},
    town::{
        identity::{Identity, RigName},
        reading::{self, FileProblem},
    },
};

mod entry;
pub mod finding;
pub mod rendering;
pub mod story;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Kind};

/// So many entries of an agent are kept.
pub const ENTRIES: usize = 50;
/// So many entries of all agents.
pub const ALL_ENTRIES: usize = 10_000;
/// So many agents.
pub const AGENTS: usize = 2_000;

/// The register, with its file `history.json`; clones share it.
#[derive(Debug, Clone)]
pub struct Histories {
    book: Persisted<Book>,
    changed: Arc<watch::Sender<()>>,
}

/// One agent's history, as machines read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The agent.
    pub agent: Identity,
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Book {
    agents: BTreeMap<Identity, Record>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Record {
    /// How it is as far as was last known, and since when.
    #[serde(rename = "standing", skip_serializing_if = "Option::is_none")]
    phase: Option<(Phase, Timestamp)>,
    /// Nobody looks after it any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    entries: VecDeque<Entry>,
}

impl Histories {
    /// Nothing, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Histories {
            book: Persisted::large(directory.join("history.json")),
            changed: Arc::new(watch::Sender::new(())),
        }
    }

    /// What the file held, for readers while no supervisor runs.
    pub fn left_behind(directory: PathBuf, shown: &Path, bytes: &[u8]) -> Result<Self, FileProblem> {
        let histories = Histories::new(directory);
        *histories.book.value() = reading::json(shown, bytes)?;
        Ok(histories)
    }

    /// Takes over what the last supervisor left; to be called once, before any actor runs.
    pub async fn load(&self, ports: &Ports) {
        self.book.load(ports).await;
        let mut book = self.book.value();
        for record in book.agents.values_mut() {
            let surplus = record.entries.len().saturating_sub(ENTRIES);
            record.entries.drain(..surplus);
        }
        book.keep_to_the_bounds();
    }

    /// As [`Persisted::peek`]: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.book.peek(ports).await
    }

    /// Writes the file. An error is reported, as long as it lasts, and what it could not write is not saved yet.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.book.save(ports).await
    }

    /// Whether something changed since it was last written.
    pub fn is_unsaved(&self) -> bool {
        self.book.is_unsaved()
    }

    /// Moves with every change.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// This happened to this agent. What repeats the last entry, or the one before it, is counted there.
    pub fn add(&self, identity: &Identity, entry: Entry) {
        tracing::debug!(agent = %identity, "{} → {}", entry.seen, entry.done);
        self.change(|book| {
            let record = book.record(identity);
            record.gone = false;
            record.add(entry);
            book.keep_to_the_bounds();
            true
        });
    }

    /// The same, told by an owner that is new to its agent: what the last one told already is not told again.
    pub fn add_if_news(&self, identity: &Identity, entry: Entry) {
        let known = self.book.value().agents.get(identity).is_some_and(|record| record.knows(&entry));
        if !known {
            self.add(identity, entry);
        }
    }

    /// An agent is so since then, as far as is known.
    pub fn set_phase(&self, identity: &Identity, phase: Phase, since: Timestamp) {
        self.change(|book| {
            let record = book.record(identity);
            let news = record.phase != Some((phase, since));
            record.phase = Some((phase, since));
            news
        });
    }

    /// How an agent is as far as was last known, perhaps by an earlier owner or supervisor, and since when.
    pub fn phase(&self, identity: &Identity) -> Option<(Phase, Timestamp)> {
        self.book.value().agents.get(identity)?.phase
    }

    /// Nobody looks after this agent any more, and why; its history is kept as long as there is room.
    pub fn gone(&self, identity: &Identity, why: &str, now: Timestamp) {
        self.change(|book| {
            let Some(record) = book.agents.get_mut(identity) else { return false };
            record.is_gone(why, now);
            true
        });
    }

    /// The same for all agents of a rig.
    pub fn rig_is_gone(&self, rig: &RigName, now: Timestamp) {
        let why = "its rig is gone from mayor/rigs.json";
        self.change(|book| {
            let of_it = book.agents.iter_mut().filter(|(identity, _)| identity.rig() == Some(rig));
            of_it.for_each(|(_, record)| record.is_gone(why, now));
            true
        });
    }

    /// This supervisor stops, and leaves the agents as they are: an entry for each it was looking after.
    pub fn supervisor_stops(&self, now: Timestamp) {
        self.change(|book| {
            for record in book.agents.values_mut() {
                let idle = [Phase::Absent, Phase::Paused, Phase::Unknown];
                let looked_after = record.phase.is_some_and(|(phase, _)| !idle.contains(&phase));
                if looked_after && !record.gone {
                    record.add(
                        Entry::new(Kind::Ours, now, "the supervisor stopped", "left as it is")
                            .because("supervisor_stopped"),
                    );
                }
            }
            book.keep_to_the_bounds();
            true
        });
    }

    /// What is known of this agent; `None` when nothing is.
    pub fn of(&self, identity: &Identity) -> Option<History> {
        let book = self.book.value();
        let record = book.agents.get(identity).filter(|record| !record.entries.is_empty())?;
        Some(History { agent: identity.clone(), entries: record.entries.iter().cloned().collect() })
    }

    /// The agents of which anything is known, ordered.
    pub fn known(&self) -> Vec<Identity> {
        let book = self.book.value();
        let known = book.agents.iter().filter(|(_, record)| !record.entries.is_empty());
        known.map(|(identity, _)| identity.clone()).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Book) -> bool) {
        if change(&mut self.book.value()) {
            self.book.was_changed();
            self.changed.send_replace(());
        }
    }
}

impl Book {
    fn record(&mut self, identity: &Identity) -> &mut Record {
        self.agents.entry(identity.clone()).or_default()
    }

    fn keep_to_the_bounds(&mut self) {
        while self.agents.len() > AGENTS {
            let oldest = self.agents.iter().min_by_key(|(_, it)| (Reverse(it.gone), it.last()));
            let Some(identity) = oldest.map(|(identity, _)| identity.clone()) else { break };
            self.agents.remove(&identity);
        }
        let mut entries: usize = self.agents.values().map(|record| record.entries.len()).sum();
        while entries > ALL_ENTRIES {
            let Some(longest) = self.agents.values_mut().max_by_key(|it| it.entries.len()) else { break };
            longest.entries.pop_front();
            entries -= 1;
        }
    }
}

impl Record {
    fn add(&mut self, entry: Entry) {
        // Two that take turns — a start that fails, the next try — are two entries, however long that goes on.
        if let Some(before) = self.entries.iter_mut().rev().take(2).find(|it| it.is_repeated_by(&entry)) {
            before.repeat(entry);
            return;
        }
        if self.entries.len() == ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Whether the last change led to where this one does, so that it is only found out again. That one runs, or is being
    /// started, is always news: nobody knows whether it is the same life.
    fn knows(&self, entry: &Entry) -> bool {
        let changes = self.entries.iter().rev().filter(|it| matches!(it.kind, Kind::Change | Kind::Ours));
        let last = changes.take(1).find(|it| it.kind == Kind::Change);
        !matches!(entry.state, Some(Phase::Alive | Phase::Starting))
            && last.is_some_and(|last| last.state == entry.state && entry.kind == Kind::Change)
    }

    fn is_gone(&mut self, why: &str, now: Timestamp) {
        if !self.gone {
            self.gone = true;
            self.phase = None;
            self.add(Entry::new(Kind::Ours, now, why, "no longer supervised").because("not_supervised"));
        }
    }

    fn last(&self) -> Option<Timestamp> {
        self.entries.iter().map(Entry::latest).max()
    }
}
