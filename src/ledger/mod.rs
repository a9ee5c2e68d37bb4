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
pub mod fault;
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
    fault::Faults,
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
    /// The databases that `bd` cannot use.
    faults: Faults,
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
            faults: Faults::default(),
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

    /// The database of an agent's bead.
    pub fn database_of_agent(&self, id: &str) -> Database {
        match self.dialect().facts().agent_beads_in_town {
            true => Database::town(),
            false => self.databases.of(id),
        }
    }

    /// The database of a rig's own bead and of its polecats' work, by its prefix without the trailing `-`; the one in the
    /// rig's directory, where `bd` follows no routes and none has this prefix.
    pub fn database_of_rig(&self, rig: &RigName, prefix: &str) -> Database {
        let routed = self.databases.of_prefix(prefix);
        match routed == Database::town() && !self.dialect().facts().bd_follows_routes {
            true => Database::at(rig.as_str()),
            false => routed,
        }
    }

    /// The database of a bead that a polecat of this rig works on, which may be another rig's.
    pub fn database_of_work(&self, rig: &RigName, prefix: &str, id: &str) -> Database {
        let own = id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-'));
        if own { self.database_of_rig(rig, prefix) } else { self.databases.of(id) }
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

    /// Whether this `bd` has a daemon, and its beads are in SQLite files; false until its version is known.
    pub fn bd_has_daemon(&self) -> bool {
        self.dialect().facts().bd_has_daemon && self.bd_version().is_some_and(Version::has_daemon)
    }

    /// Notes how the reading of the inbox ended, which `gt` does through `bd`. Returns whether `bd` cannot use the town's
    /// database, which is reported then.
    pub fn note_inbox(&self, read: Result<(), String>) -> bool {
        self.faults.note(self, &Database::town(), "mail", read)
    }

    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn snapshot(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.snapshots.last(rig)
    }

    /// Stores a newer snapshot; returns whether what the rig's label permits changed.
    pub fn keep_snapshot(&self, snapshot: Arc<AgentSnapshot>) -> bool {
        let rig = snapshot.rig.clone();
        let permits = || (self.docked(&rig), self.is_label_unread(&rig));
        let before = permits();
        self.snapshots.keep(snapshot);
        permits() != before
    }

    /// Why this rig is docked or parked according to its bead's label when last read; `None` when no label says so.
    pub fn docked(&self, rig: &RigName) -> Option<Closed> {
        self.snapshots.label(rig).flatten()
    }

    /// Whether the label of this rig's bead was never read, in a town where nothing else may say that it is docked.
    pub fn is_label_unread(&self, rig: &RigName) -> bool {
        self.dialect().facts().label_must_be_read && self.snapshots.label(rig).is_none()
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
