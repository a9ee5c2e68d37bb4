//! Which rigs are docked, as it was last read; survives the crash of any actor.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::agent::identity::RigName;

/// The rigs whose bead says that they are not to be touched, and in which words.
#[derive(Debug, Clone, Default)]
pub struct Docked {
    rigs: Arc<Mutex<BTreeMap<RigName, String>>>,
}

impl Docked {
    /// Why this rig is not operational by its bead's label; `None` when nothing says so.
    pub fn why(&self, rig: &RigName) -> Option<String> {
        self.rigs.lock().unwrap_or_else(PoisonError::into_inner).get(rig).cloned()
    }

    /// Takes in a new answer; returns whether it differs from the last.
    pub fn update(&self, rigs: BTreeMap<RigName, String>) -> bool {
        let mut known = self.rigs.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *known != rigs;
        *known = rigs;
        changed
    }
}
