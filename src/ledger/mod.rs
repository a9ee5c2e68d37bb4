//! The ledger: everything the supervisor does through Gas Town's own programs, `bd` and `gt`.
//!
//! Recovery must never depend on them: they may be down when they are needed most.

pub mod agents;
pub mod ahead;
pub mod answer;
pub mod bd;
pub mod beads;
pub mod convoys;
pub mod crash;
pub mod databases;
pub mod dock;
pub mod gt;
pub mod inbox;
pub mod inbox_output;
pub mod installed;
pub mod list_output;
pub mod mail;
pub mod notify;
pub mod questions;
pub mod show_output;
pub mod snapshot;
pub mod sqlite;
pub mod turn;
pub mod version;

use std::{ops::Deref, path::PathBuf, sync::Arc};

use self::{
    ahead::Ahead,
    databases::{Database, Databases},
    questions::Questions,
    snapshot::{AgentSnapshot, Snapshots},
    turn::LedgerTurn,
    version::{BdVersion, Version},
};
use crate::{
    ports::Ports,
    town::{identity::RigName, routes::Routes, wisp::Closed},
};

/// What is known of bead databases and of who is using them, with the ports; clones share it. What it keeps is private to the
/// modules that run `bd`; all of it survives the crash of any actor.
#[derive(Clone)]
pub struct Ledger {
    /// The ports.
    pub ports: Ports,
    /// Whose turn it is to run `bd`.
    turns: LedgerTurn,
    /// Which database a bead belongs to.
    databases: Databases,
    /// What `bd` last said, where only it can be asked.
    ahead: Ahead,
    /// Ids of beads that wait to be looked up together.
    questions: Questions,
    /// Which version of `bd` there is.
    version: BdVersion,
    /// What was last read of each rig.
    snapshots: Snapshots,
}

impl Ledger {
    /// Nothing is known yet.
    pub fn new(ports: Ports) -> Self {
        Ledger {
            ports,
            turns: LedgerTurn::default(),
            databases: Databases::default(),
            ahead: Ahead::default(),
            questions: Questions::default(),
            version: BdVersion::default(),
            snapshots: Snapshots::default(),
        }
    }

    /// From now on these are the routes by which an id's database is found.
    pub fn follow(&self, routes: &Routes) {
        self.databases.follow(routes);
    }

    /// The database of a bead's id.
    pub fn database(&self, id: &str) -> Database {
        self.databases.of(id)
    }

    /// The directories that hold the bead databases.
    pub fn database_directories(&self) -> Vec<PathBuf> {
        let root = self.paths.root();
        self.databases.all().iter().map(|database| database.directory(root).join(".beads")).collect()
    }

    /// The database of a rig's beads, by its prefix without the trailing `-`; the town's, where that is empty.
    pub fn database_of_prefix(&self, prefix: &str) -> Database {
        self.databases.of_prefix(prefix)
    }

    /// The version of `bd`, once it is known.
    pub fn bd_version(&self) -> Option<Version> {
        self.version.known()
    }

    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn snapshot(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.snapshots.last(rig)
    }

    /// Keeps a newer snapshot; returns whether the rig's label says otherwise than before.
    pub fn keep_snapshot(&self, snapshot: Arc<AgentSnapshot>) -> bool {
        self.snapshots.keep(snapshot)
    }

    /// Why this rig is not operational by its bead's label, as it was last read; `None` when nothing says so.
    pub fn docked(&self, rig: &RigName) -> Option<Closed> {
        self.snapshots.closed(rig)
    }

    /// Forgets a rig that is no longer supervised.
    pub fn forget_rig(&self, rig: &RigName) {
        self.snapshots.forget(rig);
    }
}

impl Deref for Ledger {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}
