//! The view of the records that Gas Town reads and people edit: `daemon/restart_state.json`.
//!
//! Entries and keys that are not ours are written back unchanged. A file that does not parse is renamed to `.corrupt`, and a new
//! one is written; one that cannot be read leaves what is known.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Agents;
use crate::{
    agent::restart::RestartHistory,
    ports::{
        Ports,
        persisted::once_it_answers,
        problems::{Condition, ProblemKey},
        writes::{Content, Write},
    },
    town::{
        identity::Identity,
        reading::Reading,
        restart_state::{self, RestartEntry, RestartState},
    },
};

/// The problem of a restart state that cannot be read; over when it was written again.
const UNREADABLE: &str = "file/daemon/restart_state.json";

#[derive(Debug, Clone)]
pub struct RestartFile {
    agents: Agents,
    /// As it was read: what others keep there.
    others: Arc<Mutex<RestartState>>,
    unsaved: Arc<AtomicBool>,
    changed: Arc<watch::Sender<()>>,
}

impl RestartFile {
    pub fn new((agents, changed): (&Agents, &Arc<watch::Sender<()>>)) -> Self {
        let (agents, changed) = (agents.clone(), changed.clone());
        RestartFile { agents, others: Arc::default(), unsaved: Arc::default(), changed }
    }

    /// Takes over what is in the file; returns whether it could be read.
    pub async fn load(&self, ports: &Ports) -> bool {
        once_it_answers(ports, &ports.paths.restart_state(), UNREADABLE).await;
        let Some(state) = self.read(ports).await else { return false };
        self.take(state);
        true
    }

    /// This is what the file holds now.
    pub fn take(&self, state: RestartState) {
        let mut agents = self.agents.lock();
        agents.values_mut().for_each(|record| record.restarts = RestartHistory::default());
        for (name, entry) in &state.agents {
            if let Ok(identity) = name.parse::<Identity>() {
                agents.entry(identity).or_default().restarts = history(entry);
            }
        }
        *self.others.lock() = state;
    }

    async fn read(&self, ports: &Ports) -> Option<RestartState> {
        let path = ports.paths.restart_state();
        match ports.files.read(&path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Some(RestartState::default()),
            Err(error) => {
                let text = format!("daemon/restart_state.json cannot be read: {error}");
                ports.problems.report(unreadable(), text);
                None
            }
            Ok(bytes) => match Reading::of(ports.paths.shown(&path), Ok(bytes), restart_state::parse) {
                Reading::Good(state) => {
                    ports.problems.clear(UNREADABLE);
                    Some(state)
                }
                Reading::Missing => Some(RestartState::default()),
                Reading::Bad(problem) => {
                    let text = format!("{problem}; it is renamed to .corrupt and starts empty");
                    ports.problems.report(unreadable(), text);
                    if let Err(error) = ports.files.set_aside(&path, "corrupt").await {
                        tracing::warn!("daemon/restart_state.json could not be renamed to .corrupt: {error}");
                    }
                    Some(RestartState::default())
                }
            },
        }
    }

    /// Forgets the restarts of this agent, or of all.
    pub fn clear(&self, whose: Option<&Identity>) {
        let mut agents = self.agents.lock();
        let those = agents.iter_mut().filter(|(identity, _)| whose.is_none_or(|whose| whose == *identity));
        those.for_each(|(_, record)| record.restarts = RestartHistory::default());
        match whose {
            Some(identity) => drop(self.others.lock().agents.remove(&identity.to_string())),
            None => self.others.lock().agents.clear(),
        }
        self.was_changed();
    }

    pub fn was_changed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
        self.changed.send_replace(());
    }

    /// Writes the file unless all of it is on disk. That it cannot be written is reported and retried.
    pub async fn save(&self, ports: &Ports) {
        let path = ports.paths.restart_state();
        let key = format!("write/{}", crate::terminal::path(ports.paths.shown(&path)));
        let write = Write { path, mode: 0o644, key, content: Arc::new(self.clone()) };
        let is_saved = || !self.unsaved.load(Ordering::Relaxed);
        // One that is being written right now is waited for, too.
        let (is_due, written) = (!is_saved(), ports.writes.replace_unless(ports, write, is_saved).await);
        if is_due && written.is_ok() {
            ports.problems.clear(UNREADABLE);
        }
    }
}

fn unreadable() -> ProblemKey {
    ProblemKey::from(UNREADABLE).meaning(Condition::CannotRead)
}

impl Content for RestartFile {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let records = self.agents.lock();
        self.unsaved.store(false, Ordering::Relaxed);
        let mut state = self.others.lock().clone();
        let none = RestartHistory::default();
        let ours: BTreeMap<String, &RestartHistory> =
            records.iter().map(|(identity, record)| (identity.to_string(), &record.restarts)).collect();
        for (name, history) in ours {
            if *history != none || state.agents.contains_key(&name) {
                let entry = state.agents.entry(name).or_default();
                *entry = self::entry(history, std::mem::take(&mut entry.other));
            }
        }
        state.to_bytes()
    }

    fn failed(&self) {
        self.unsaved.store(true, Ordering::Relaxed);
    }
}

fn history(entry: &RestartEntry) -> RestartHistory {
    RestartHistory {
        last_restart: entry.last_restart,
        restart_count: entry.restart_count,
        backoff_until: entry.backoff_until,
        crash_loop_since: entry.crash_loop_since,
        recent: entry.recent.clone(),
    }
}

fn entry(history: &RestartHistory, other: serde_json::Map<String, serde_json::Value>) -> RestartEntry {
    RestartEntry {
        last_restart: history.last_restart,
        restart_count: history.restart_count,
        backoff_until: history.backoff_until,
        crash_loop_since: history.crash_loop_since,
        recent: history.recent.clone(),
        other,
    }
}
