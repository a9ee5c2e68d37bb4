//! The ledger's turn: two runs of `bd` on one database never overlap.
//!
//! Later versions of `bd` (0.50 and up) fail on their database's lock where earlier ones waited, so whoever runs `bd` takes
//! the turn first. It is held for one run only: between two tries somebody else may come.

use std::sync::Arc;

/// Whose turn it is; clones share it.
#[derive(Debug, Clone, Default)]
pub struct LedgerTurn(Arc<tokio::sync::Mutex<()>>);

impl LedgerTurn {
    /// Waits until nobody else runs `bd`, first come first served. Dropping what is returned, or this future, ends the turn.
    pub async fn take(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.0.clone().lock_owned().await
    }
}
