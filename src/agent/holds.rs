//! Holds: agents that were stopped on request, and stay so until somebody asks for them again; on disk.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::{kept::Kept, ports::Ports, town::reading::FileProblem};

/// The register, with its file `holds.json`.
#[derive(Debug, Clone)]
pub struct Holds(Kept<Held>);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Held {
    agents: BTreeMap<Identity, Hold>,
}

/// One agent that was stopped on request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Why, for people ("asked for by mail hq-5w2").
    pub why: String,
    /// The work on its hook since then, for a polecat; `None` while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
}

/// What was on a polecat's hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Nothing.
    Nothing,
    /// This bead.
    Bead(String),
}

impl Holds {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Holds(Kept::new(directory.join("holds.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// As [`Kept::peek`]: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// Whether this agent is held, and how.
    pub fn of(&self, identity: &Identity) -> Option<Hold> {
        self.0.value().agents.get(identity).cloned()
    }

    /// All agents that are held.
    pub fn all(&self) -> Vec<Identity> {
        self.0.value().agents.keys().cloned().collect()
    }

    /// Holds an agent, or lets it go, from now on; [`save`](Self::save) makes it last.
    pub fn set(&self, identity: &Identity, hold: Option<Hold>) {
        let mut held = self.0.value();
        match hold {
            Some(hold) => drop(held.agents.insert(identity.clone(), hold)),
            None => drop(held.agents.remove(identity)),
        }
    }

    /// Writes the file.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.0.save(ports).await
    }
}
