//! Turns at a database: two runs of `bd` on one database never overlap; runs on different databases are parallel.
//!
//! Later versions of `bd` (0.50 and up) fail on a locked database where earlier ones waited, so every caller takes
//! the turn first. It covers one run only: between two retries another caller may run.

use std::collections::BTreeSet;

use tokio::sync::OwnedMutexGuard;

use super::databases::Database;
use crate::turns::Turns;

/// The turns at each database; clones share them.
#[derive(Debug, Clone, Default)]
pub struct LedgerTurn(Turns<Database>);

/// A turn at some databases; dropping it ends it.
#[derive(Debug)]
pub struct Turn {
    _held: Vec<OwnedMutexGuard<()>>,
}

impl LedgerTurn {
    /// Waits until no other caller runs `bd` on any of these databases, first come first served. All callers take
    /// databases in the same order, so they do not deadlock. Dropping this future releases what it has taken so far.
    pub async fn take(&self, databases: &BTreeSet<Database>) -> Turn {
        let mut held = Vec::with_capacity(databases.len());
        for database in databases {
            held.push(self.0.take(database.clone()).await);
        }
        Turn { _held: held }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::{ledger::databases::Databases, town::routes};

    #[test]
    fn who_waits_for_whom() {
        let databases = Databases::default();
        databases.follow(&routes::parse(
            b"{\"prefix\":\"a-\",\"path\":\"a\"}\n{\"prefix\":\"b-\",\"path\":\"b\"}",
        ));
        let of = |ids: &[&str]| ids.iter().map(|id| databases.of(id)).collect::<BTreeSet<_>>();
        for (name, first, second, waits) in [
            ("one database", &["a-1"][..], &["a-2"][..], true),
            ("two", &["a-1"], &["b-1"], false),
            ("one of two", &["a-1", "b-1"], &["b-2"], true),
            ("one of two, the other way round", &["b-2"], &["a-1", "b-1"], true),
            ("the town's", &["a-1"], &["hq-1"], false),
            ("no database at all", &["a-1"], &[], false),
        ] {
            let turns = LedgerTurn::default();
            let held = turns.take(&of(first)).now_or_never();
            assert!(held.is_some(), "{name}");
            assert_eq!(turns.take(&of(second)).now_or_never().is_none(), waits, "{name}");
            drop(held);
            // The waiting future was dropped: it holds nothing.
            assert!(turns.take(&of(&["a-1", "b-1", "hq-1"])).now_or_never().is_some(), "{name}");
        }
    }
}
