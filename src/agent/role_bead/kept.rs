//! The last values read of all role beads, in memory and on disk, and of all role files. It must not read beads or files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{description::RoleConfig, overrides::Overrides};
use crate::{
    ports::{Ports, persisted::Persisted},
    town::{
        identity::{Identity, RigName, Role},
        reading::FileProblem,
    },
};

/// The last values read of all role beads, with their file `role_beads.json`: the next supervisor starts its first
/// agents before `bd` has answered. Clones share it.
#[derive(Debug, Clone)]
pub struct RoleBeads {
    beads: Persisted<Read>,
    files: Arc<Mutex<Files>>,
}

/// What role files say, by rig (`None` for agents of the town) and role.
pub(super) type Files = BTreeMap<(Option<RigName>, Role), Known>;

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Read {
    roles: BTreeMap<Role, Known>,
}

/// What one role's bead says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its id; for a role file, its path.
    pub(super) bead: String,
    pub(super) config: RoleConfig,
}

impl RoleBeads {
    /// No values yet; the file is in this directory.
    pub fn new(directory: PathBuf) -> Self {
        RoleBeads { beads: Persisted::new(directory.join("role_beads.json")), files: Arc::default() }
    }

    /// Loads what the last supervisor stored.
    pub async fn load(&self, ports: &Ports) {
        self.beads.load(ports).await;
    }

    /// Like [`Persisted::peek`]: for callers that only read.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.beads.peek(ports).await
    }

    /// The overrides for this agent, in the town with this root; none before the first reading.
    pub fn of(&self, identity: &Identity, town: &Path) -> Overrides {
        if let Some(file) = self.files.lock().get(&(identity.rig().cloned(), identity.role())) {
            return file.config.added(&file.bead, identity, town);
        }
        let known = self.beads.value().roles.get(&identity.role()).cloned();
        known.map(|Known { bead, config }| config.overrides(&bead, identity, town)).unwrap_or_default()
    }

    /// Stores what all role files say.
    pub(super) fn replace_files(&self, files: Files) {
        *self.files.lock() = files;
    }

    /// Stores new values, if they differ.
    pub(super) async fn replace(&self, ports: &Ports, roles: BTreeMap<Role, Known>) {
        let read = Read { roles };
        let changed = *self.beads.value() != read;
        if changed {
            *self.beads.value() = read;
            // `save` reports a file that cannot be written.
            let _ = self.beads.save(ports).await;
        }
    }
}
