//! Store: the port that reads convoys from the town's bead database.
//!
//! It reports what the database contains. "There is no database", "it cannot be read" and "it has no convoy" are three different
//! answers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

/// Why the database says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is none: this town's `bd` keeps its beads elsewhere, or has none yet.
    #[error("there is no .beads/beads.db")]
    Missing,
    /// It is there and cannot be read now: busy, of another schema, damaged, no database at all. In the words of whoever
    /// tried.
    #[error(".beads/beads.db cannot be read: {0}")]
    Unreadable(String),
}

/// The convoys that are not closed, each with the ids of the beads it tracks, of the town and of rigs.
pub type Open = BTreeMap<String, BTreeSet<String>>;

/// The port. An answer does not take longer than a few seconds, whatever the database does.
#[async_trait]
pub trait ConvoyStore: Send + Sync {
    /// The convoys that are not closed.
    async fn open(&self) -> Result<Open, StoreError>;
}
