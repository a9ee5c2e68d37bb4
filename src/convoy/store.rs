//! Store: the port through which the town's bead database is asked about convoys.
//!
//! It says what the database says. Whether it says nothing because it is not there, or because it cannot be read, is told
//! apart from its saying no.

use std::collections::BTreeSet;

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

/// The port. An answer does not take longer than a few seconds, whatever the database does.
#[async_trait]
pub trait ConvoyStore: Send + Sync {
    /// Whether there is a convoy that is not closed.
    async fn any_open(&self) -> Result<bool, StoreError>;

    /// Which of these beads are tracked by a convoy that is not closed itself, as a bead of the town or of a rig.
    async fn tracked(&self, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError>;
}
