//! Convoy store: the port that reads convoys from the town's bead database.
//!
//! It reports what the database contains. "There is no database", "it cannot be read" and "it has no convoy" are
//! three different answers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

/// Why the database gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is none: this town's `bd` stores its beads elsewhere, or has none yet.
    #[error("there is no .beads/beads.db")]
    Missing,
    /// It exists and cannot be read now: busy, of another schema, damaged, no database at all. The text is the
    /// adapter's.
    #[error(".beads/beads.db cannot be read: {0}")]
    Unreadable(String),
}

/// The convoys that are not closed, each with the ids of the beads it tracks, of the town and of rigs.
pub type Open = BTreeMap<String, BTreeSet<String>>;

/// Reads convoys. An answer takes at most a few seconds, whatever the database does.
#[async_trait]
pub trait ConvoyStore: Send + Sync {
    /// Reads the convoys that are not closed.
    async fn open(&self) -> Result<Open, StoreError>;
}
