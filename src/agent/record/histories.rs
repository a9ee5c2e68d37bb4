//! The histories of all agents, bounded together and written at a slower pace than the rest of the records.
//!
//! Histories are for people. This module must not decide anything, and no decision may depend on a history.

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use jiff::Timestamp;

use super::{AgentRecord, Records, view::Book};
use crate::{
    agent::{
        history::{AGENTS, ALL_ENTRIES, ALL_SCREENS, Entry, History},
        phase::Phase,
    },
    ports::Ports,
    supervision::status::Exit,
    town::{
        identity::Identity,
        reading::{self, FileProblem},
    },
};

/// Parses `history.json`, for readers while no supervisor runs.
pub fn left_behind(shown: &Path, bytes: &[u8]) -> Result<BTreeMap<Identity, History>, FileProblem> {
    Ok(reading::json::<Book<_, _>>(shown, bytes)?.agents)
}

impl Records {
    pub(super) async fn load_histories(&self, ports: &Ports) {
        self.histories.load(ports).await;
        let mut agents = self.agents.lock();
        agents.values_mut().filter_map(|it| it.history.as_mut()).for_each(History::keep_to_the_bound);
        keep_to_the_bounds(&mut agents);
        keep_screens_to_the_bound(&mut agents);
    }

    /// Forgets all last screens, because none is to be kept on disk.
    pub fn forget_last_screens(&self) {
        for history in self.agents.lock().values_mut().filter_map(|it| it.history.as_mut()) {
            if history.keep_screens(0) {
                self.histories.was_changed();
            }
        }
    }

    /// Writes what changed. A failure is reported and retried.
    pub async fn save_histories(&self, ports: &Ports) {
        let _ = self.histories.save(ports).await;
    }

    /// Adds an entry to an agent's history. A repetition of the last entry, or of the one before it, is counted there.
    pub fn happened(&self, identity: &Identity, entry: Entry) {
        tracing::debug!(agent = %identity, "{} → {}", entry.seen, entry.done);
        let has_screen = entry.death.as_ref().is_some_and(|death| !death.last_screen.is_empty());
        let mut agents = self.agents.lock();
        agents.entry(identity.clone()).or_default().history.get_or_insert_default().add(entry);
        keep_to_the_bounds(&mut agents);
        if has_screen {
            keep_screens_to_the_bound(&mut agents);
        }
        self.histories.was_changed();
    }

    /// Adds an entry from an owner that is new to its agent, unless the previous owner recorded the same.
    pub fn happened_if_news(&self, identity: &Identity, entry: Entry) {
        if !self.history(identity).knows(&entry) {
            self.happened(identity, entry);
        }
    }

    /// Sets the phase of an agent, and since when it lasts as far as is known.
    pub fn set_phase(&self, identity: &Identity, phase: Phase, since: Timestamp) {
        let mut agents = self.agents.lock();
        let history = agents.entry(identity.clone()).or_default().history.get_or_insert_default();
        if history.phase.replace((phase, since)) != Some((phase, since)) {
            self.histories.was_changed();
        }
    }

    /// The last known phase of an agent and its start, perhaps recorded by an earlier owner or supervisor.
    pub fn phase(&self, identity: &Identity) -> Option<(Phase, Timestamp)> {
        self.agents.lock().get(identity)?.history.as_ref()?.phase
    }

    /// Records in the history of each supervised agent that this supervisor stops and leaves the agent as it is.
    pub fn supervisor_stops(&self, now: Timestamp) {
        let mut agents = self.agents.lock();
        agents.values_mut().filter_map(|it| it.history.as_mut()).for_each(|it| it.supervisor_stops(now));
        keep_to_the_bounds(&mut agents);
        self.histories.was_changed();
    }

    /// The history of this agent; empty when there is none.
    pub fn history(&self, identity: &Identity) -> History {
        self.agents.lock().get(identity).and_then(|record| record.history.clone()).unwrap_or_default()
    }

    /// How this agent died last, as far as its history goes back.
    pub fn last_exit(&self, identity: &Identity) -> Option<Exit> {
        self.agents.lock().get(identity)?.history.as_ref()?.last_exit()
    }

    /// The last `most` entries since then, of one agent or of all, oldest first. The others are not copied.
    pub fn entries_since(
        &self,
        since: Timestamp,
        of: Option<&Identity>,
        most: usize,
    ) -> Vec<(Identity, Entry)> {
        let agents = self.agents.lock();
        let asked = agents.iter().filter(|(identity, _)| of.is_none_or(|it| it == *identity));
        let with_history = asked.filter_map(|(identity, it)| Some((identity, it.history.as_ref()?)));
        let all =
            with_history.flat_map(|(identity, it)| it.entries.iter().map(move |entry| (identity, entry)));
        let mut new: Vec<_> = all.filter(|(_, entry)| entry.latest() >= since).collect();
        new.sort_by_key(|(_, entry)| entry.latest());
        let skipped = new.len().saturating_sub(most);
        new.into_iter().skip(skipped).map(|(identity, entry)| (identity.clone(), entry.clone())).collect()
    }

    /// The agents that have entries, in order.
    pub fn with_entries(&self) -> Vec<Identity> {
        let agents = self.agents.lock();
        let with_entries =
            agents.iter().filter(|(_, it)| it.history.as_ref().is_some_and(|it| !it.entries.is_empty()));
        with_entries.map(|(identity, _)| identity.clone()).collect()
    }
}

/// Forgets the histories of agents that are gone first, then those whose last entry is oldest.
fn keep_to_the_bounds(agents: &mut BTreeMap<Identity, AgentRecord>) {
    while agents.values().filter(|it| it.history.is_some()).count() > AGENTS {
        let with_history = agents.values_mut().filter(|it| it.history.is_some());
        let oldest =
            with_history.min_by_key(|it| it.history.as_ref().map(|it| (Reverse(it.gone), it.last())));
        oldest.into_iter().for_each(|record| record.history = None);
        agents.retain(|_, record| *record != AgentRecord::default());
    }
    let mut histories: Vec<_> = agents.values_mut().filter_map(|it| it.history.as_mut()).collect();
    let mut entries: usize = histories.iter().map(|it| it.entries.len()).sum();
    while entries > ALL_ENTRIES {
        let Some(longest) = histories.iter_mut().max_by_key(|it| it.entries.len()) else { break };
        longest.entries.remove(0);
        entries -= 1;
    }
}

/// Forgets the oldest screens of the agents that have the most.
fn keep_screens_to_the_bound(agents: &mut BTreeMap<Identity, AgentRecord>) {
    let histories = agents.values_mut().filter_map(|it| it.history.as_mut());
    let mut histories: Vec<_> =
        histories.map(|it| (it.screens(), it)).filter(|(screens, _)| *screens > 0).collect();
    let mut all: usize = histories.iter().map(|(screens, _)| screens).sum();
    while all > ALL_SCREENS {
        let Some((screens, history)) = histories.iter_mut().max_by_key(|(screens, _)| *screens) else {
            break;
        };
        *screens -= 1;
        history.keep_screens(*screens);
        all -= 1;
    }
}
