//! The histories of all agents: kept, bounded together, and written at a pace of their own.
//!
//! It must not decide anything, and nothing may depend on it.

use std::{cmp::Reverse, collections::BTreeMap, path::Path};

use jiff::Timestamp;

use super::{AgentRecord, Records, view::Book};
use crate::{
    agent::{
        history::{AGENTS, ALL_ENTRIES, Entry, History},
        phase::Phase,
    },
    ports::Ports,
    town::{
        identity::Identity,
        reading::{self, FileProblem},
    },
};

/// What their file says, for readers while no supervisor runs.
pub fn left_behind(shown: &Path, bytes: &[u8]) -> Result<BTreeMap<Identity, History>, FileProblem> {
    Ok(reading::json::<Book<_, _>>(shown, bytes)?.agents)
}

impl Records {
    pub(super) async fn load_histories(&self, ports: &Ports) {
        self.histories.load(ports).await;
        let mut agents = self.agents.lock();
        agents.values_mut().filter_map(|it| it.history.as_mut()).for_each(History::keep_to_the_bound);
        keep_to_the_bounds(&mut agents);
    }

    /// Writes what changed of them. That it cannot be written is reported and retried.
    pub async fn save_histories(&self, ports: &Ports) {
        let _ = self.histories.save(ports).await;
    }

    /// This happened to this agent. What repeats the last entry, or the one before it, is counted there.
    pub fn happened(&self, identity: &Identity, entry: Entry) {
        tracing::debug!(agent = %identity, "{} → {}", entry.seen, entry.done);
        let mut agents = self.agents.lock();
        agents.entry(identity.clone()).or_default().history.get_or_insert_default().add(entry);
        keep_to_the_bounds(&mut agents);
        self.histories.was_changed();
    }

    /// The same, told by an owner that is new to its agent: what the last one told already is not told again.
    pub fn happened_if_news(&self, identity: &Identity, entry: Entry) {
        if !self.history(identity).knows(&entry) {
            self.happened(identity, entry);
        }
    }

    /// An agent is so since then, as far as is known.
    pub fn set_phase(&self, identity: &Identity, phase: Phase, since: Timestamp) {
        let mut agents = self.agents.lock();
        let history = agents.entry(identity.clone()).or_default().history.get_or_insert_default();
        if history.phase.replace((phase, since)) != Some((phase, since)) {
            self.histories.was_changed();
        }
    }

    /// How an agent is as far as was last known, perhaps by an earlier owner or supervisor, and since when.
    pub fn phase(&self, identity: &Identity) -> Option<(Phase, Timestamp)> {
        self.agents.lock().get(identity)?.history.as_ref()?.phase
    }

    /// This supervisor stops, and leaves the agents as they are: an entry for each it was looking after.
    pub fn supervisor_stops(&self, now: Timestamp) {
        let mut agents = self.agents.lock();
        agents.values_mut().filter_map(|it| it.history.as_mut()).for_each(|it| it.supervisor_stops(now));
        keep_to_the_bounds(&mut agents);
        self.histories.was_changed();
    }

    /// What is known of this agent.
    pub fn history(&self, identity: &Identity) -> History {
        self.agents.lock().get(identity).and_then(|record| record.history.clone()).unwrap_or_default()
    }

    /// The agents of which anything is told, ordered.
    pub fn told_of(&self) -> Vec<Identity> {
        let agents = self.agents.lock();
        let told =
            agents.iter().filter(|(_, it)| it.history.as_ref().is_some_and(|it| !it.entries.is_empty()));
        told.map(|(identity, _)| identity.clone()).collect()
    }
}

/// Those that are gone are forgotten first, then those of which nothing was told for the longest time.
fn keep_to_the_bounds(agents: &mut BTreeMap<Identity, AgentRecord>) {
    while agents.values().filter(|it| it.history.is_some()).count() > AGENTS {
        let told_of = agents.values_mut().filter(|it| it.history.is_some());
        let oldest = told_of.min_by_key(|it| it.history.as_ref().map(|it| (Reverse(it.gone), it.last())));
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
