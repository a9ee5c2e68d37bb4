//! What was last read of all role beads, in memory and on disk. It must not read them.

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

/// What was last read of all role beads, with its file `role_beads.json`: the first agents that the next supervisor starts
/// are started before `bd` has answered. Clones share it.
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
    /// Nothing, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        RoleBeads(Persisted::new(directory.join("role_beads.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// As [`Persisted::peek`]: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// What is known for this agent, in the town with this root; nothing as long as nothing was read.
    pub fn of(&self, identity: &Identity, town: &Path) -> Overrides {
        let known = self.0.value().roles.get(&identity.role()).cloned();
        known.map(|Known { bead, config }| config.overrides(&bead, identity, town)).unwrap_or_default()
    }

    /// Keeps what was read, if it is news.
    pub(super) async fn replace(&self, ports: &Ports, roles: BTreeMap<Role, Known>) {
        let read = Read { roles };
        let changed = *self.0.value() != read;
        if changed {
            *self.0.value() = read;
            // That it cannot be written is reported there.
            let _ = self.0.save(ports).await;
        }
    }
}
