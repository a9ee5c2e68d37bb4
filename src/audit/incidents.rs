//! Incidents: what was mailed about which agent and is not over yet, so that nobody is mailed the same twice, also across
//! our own restart.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{agent::identity::Identity, deps::Deps, kept::Kept};

/// The register, with its file `incidents.json`.
#[derive(Debug, Clone)]
pub struct Incidents(Kept<Open>);

/// Everything that is open.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Open {
    agents: BTreeMap<Identity, String>,
}

impl Incidents {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Incidents(Kept::new(directory.join("incidents.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, deps: &Deps) {
        self.0.load(deps).await;
    }
}
