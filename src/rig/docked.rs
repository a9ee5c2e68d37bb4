//! Which rigs are docked, as it was last read; survives the crash of any actor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::agent::identity::RigName;

/// The rigs whose bead says that they are not to be touched, and in which words.
#[derive(Debug, Clone, Default)]
pub struct Docked {
    rigs: Arc<Mutex<BTreeMap<RigName, String>>>,
    wanted: Arc<watch::Sender<u64>>,
}

impl Docked {
    /// Why this rig is not operational by its bead's label; `None` when nothing says so.
    pub fn why(&self, rig: &RigName) -> Option<String> {
        self.rigs.lock().unwrap_or_else(PoisonError::into_inner).get(rig).cloned()
    }

    /// Somebody stopped an agent by hand and perhaps docked its rig: it should be read again now.
    pub fn read_again(&self) {
        self.wanted.send_modify(|count| *count += 1);
    }

    /// Moves when it should be read again.
    pub fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// Takes in a new answer; returns whether it differs from the last.
    pub fn update(&self, rigs: BTreeMap<RigName, String>) -> bool {
        let mut known = self.rigs.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *known != rigs;
        *known = rigs;
        changed
    }
}
