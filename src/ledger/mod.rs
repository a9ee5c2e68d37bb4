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
pub mod dolt_server;
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

/// What is known of bead databases and of their users, with the ports; clones share it. Its fields are private to the
/// modules that run `bd`. All of it survives the crash of any actor.
#[derive(Clone)]
pub struct Ledger {
    /// The effects it uses.
    pub ports: Ports,
    /// The turns in which `bd` runs, one for each database.
    turns: LedgerTurn,
    /// Which database a bead belongs to.
    databases: Databases,
    /// The last answers of `bd`, where only `bd` can be asked.
    ahead: Ahead,
    /// Bead ids that wait for the next batch.
    questions: Questions,
    /// Which version of `bd` there is.
    version: BdVersion,
    /// The last snapshot of each rig.
    snapshots: Snapshots,
}

impl Ledger {
    /// A ledger in which nothing is known yet.
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

    /// Replaces the routes by which an id's database is found.
    pub fn follow(&self, routes: &Routes) {
        self.databases.follow(routes);
    }

    /// The database of a bead's id.
    pub fn database(&self, id: &str) -> Database {
        self.databases.of(id)
    }

    /// The directories that hold the bead databases: their `.beads`, and where a `redirect` in it leads.
    pub async fn database_directories(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for database in self.databases.all() {
            let directory = database.directory(self.paths.root());
            let location = self.beads.location(&directory).await;
            found.extend([directory.join(".beads"), location]);
        }
        found
    }

    /// The database of a rig's beads, by its prefix without the trailing `-`; the town's, where that is empty.
    pub fn database_of_prefix(&self, prefix: &str) -> Database {
        self.databases.of_prefix(prefix)
    }

    /// The version of `bd`; `None` until it is known.
    pub fn bd_version(&self) -> Option<Version> {
        self.version.known()
    }

    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn snapshot(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.snapshots.last(rig)
    }

    /// Stores a newer snapshot; returns whether the rig's label changed.
    pub fn keep_snapshot(&self, snapshot: Arc<AgentSnapshot>) -> bool {
        self.snapshots.keep(snapshot)
    }

    /// Why this rig is docked or parked according to its bead's label when last read; `None` when no label says so.
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
