//! The docked rigs, as last read; survives the crash of any actor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{agent::identity::RigName, town::wisp::Closed};

/// The rigs whose bead says that they are not to be touched, and in which words.
#[derive(Debug, Clone, Default)]
pub struct Docked(Arc<Mutex<BTreeMap<RigName, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    why: Option<Closed>,
    wanted: watch::Sender<u64>,
}

impl Docked {
    /// Why this rig is not operational by its bead's label; `None` when nothing says so.
    pub fn why(&self, rig: &RigName) -> Option<Closed> {
        self.locked().get(rig)?.why
    }

    /// Somebody stopped an agent of this rig by hand and perhaps docked it: it should be read again now.
    pub fn read_again(&self, rig: &RigName) {
        self.locked().entry(rig.clone()).or_default().wanted.send_modify(|count| *count += 1);
    }

    /// Somebody may have changed the labels of these rigs: they should be read again now.
    pub fn read_again_if(&self, changed: impl Fn(&RigName) -> bool) {
        for (_, entry) in self.locked().iter().filter(|(rig, _)| changed(rig)) {
            entry.wanted.send_modify(|count| *count += 1);
        }
    }

    /// Moves when this rig's bead should be read again.
    pub fn wanted(&self, rig: &RigName) -> watch::Receiver<u64> {
        self.locked().entry(rig.clone()).or_default().wanted.subscribe()
    }

    /// Takes in a new answer; returns whether it differs from the last.
    pub fn update(&self, rig: &RigName, why: Option<Closed>) -> bool {
        let mut rigs = self.locked();
        let entry = rigs.entry(rig.clone()).or_default();
        let changed = entry.why != why;
        entry.why = why;
        changed
    }

    /// Forgets what is known of a rig that is no longer supervised.
    pub fn forget(&self, rig: &RigName) {
        self.update(rig, None);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<RigName, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
