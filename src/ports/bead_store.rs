//! Bead store: the port that reads bead databases without running `bd`.
//!
//! A run of `bd` costs more processor time than everything else in a heartbeat together. So reading ahead uses the
//! database itself when that gives the same answer as `bd show`. An adapter that is not certain says why, and the
//! caller runs `bd`. It must never write, nor create a database.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use crate::town::bead::Bead;

/// A stamp of the files of a bead database; it changes whenever `bd` writes. Compare only for equality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(pub String);

/// Reads bead databases. An answer takes at most a few seconds, whatever the disk does.
#[async_trait]
pub trait BeadStore: Send + Sync {
    /// The beads with these ids in the database of `directory` (which contains `.beads`); ids that do not exist are
    /// left out. An error says why the database cannot replace `bd` here.
    async fn beads(&self, directory: &Path, ids: &BTreeSet<String>)
    -> Result<BTreeMap<String, Bead>, String>;

    /// The directory that holds the files of the database of `directory`: its `.beads`, or the one that a `redirect` in
    /// it names.
    async fn location(&self, directory: &Path) -> PathBuf {
        directory.join(".beads")
    }

    /// The current stamp of the database of `directory`; `None` when a later change could go unnoticed: there is no
    /// database, it cannot be examined, or it changed just now.
    async fn stamp(&self, directory: &Path) -> Option<Stamp>;
}
