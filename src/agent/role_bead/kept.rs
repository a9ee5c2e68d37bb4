//! The last values read of all role beads, in memory and on disk. It must not read the beads.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{description::RoleConfig, overrides::Overrides};
use crate::{
    ports::{Ports, persisted::Persisted},
    town::{
        identity::{Identity, Role},
        reading::FileProblem,
    },
};

/// The last values read of all role beads, with their file `role_beads.json`: the next supervisor starts its first
/// agents before `bd` has answered. Clones share it.
#[derive(Debug, Clone)]
pub struct RoleBeads(Persisted<Read>);

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Read {
    roles: BTreeMap<Role, Known>,
}

/// What one role's bead says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Its id.
    pub(super) bead: String,
    pub(super) config: RoleConfig,
}

impl RoleBeads {
    /// No values yet; the file is in this directory.
    pub fn new(directory: PathBuf) -> Self {
        RoleBeads(Persisted::new(directory.join("role_beads.json")))
    }

    /// Loads what the last supervisor stored.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// Like [`Persisted::peek`]: for callers that only read.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// The overrides for this agent, in the town with this root; none before the first reading.
    pub fn of(&self, identity: &Identity, town: &Path) -> Overrides {
        let known = self.0.value().roles.get(&identity.role()).cloned();
        known.map(|Known { bead, config }| config.overrides(&bead, identity, town)).unwrap_or_default()
    }

    /// Stores new values, if they differ.
    pub(super) async fn replace(&self, ports: &Ports, roles: BTreeMap<Role, Known>) {
        let read = Read { roles };
        let changed = *self.0.value() != read;
        if changed {
            *self.0.value() = read;
            // `save` reports a file that cannot be written.
            let _ = self.0.save(ports).await;
        }
    }
}
