//! Bead store: the port that reads bead databases without running `bd`.
//!
//! A run of `bd` costs more processor time than everything else in a heartbeat together. So reading ahead uses the database
//! itself where that gives the same answer as `bd show`. An adapter that is not certain says why, and `bd` is asked. It must
//! never write, nor create a database.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use async_trait::async_trait;

use crate::town::bead::Bead;

/// A stamp of the files of a bead database; it changes whenever `bd` writes. Only to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(pub String);

/// The port. An answer does not take longer than a few seconds, whatever the disk does.
#[async_trait]
pub trait BeadStore: Send + Sync {
    /// The beads with these ids in the database of `directory` (the directory that holds `.beads`); those that do not
    /// exist are left out. An error says why the database cannot answer in place of `bd`.
    async fn beads(&self, directory: &Path, ids: &BTreeSet<String>)
    -> Result<BTreeMap<String, Bead>, String>;

    /// The stamp of the database of `directory` now; `None` where a later change could go unnoticed: there is no
    /// database, it cannot be examined, or it changed just now.
    async fn stamp(&self, directory: &Path) -> Option<Stamp>;
}
