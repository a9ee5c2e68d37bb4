//! Databases: which of the town's bead databases an id belongs to, by the routes that `bd` uses.
//!
//! A register that the root updates whenever it reads `.beads/routes.jsonl` (Gas Town 0.2.6 to 0.3). It must not read
//! the disk.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::town::{identity::RigName, routes::Routes};

/// One database, named by the directory of its `.beads`, relative to the town.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Database(String);

impl Database {
    /// The town's own database.
    pub fn town() -> Self {
        Database(".".to_owned())
    }

    /// The directory that contains its `.beads`, in the town with this root.
    pub fn directory(&self, root: &Path) -> PathBuf {
        if *self == Database::town() { root.to_owned() } else { root.join(&self.0) }
    }

    /// The rig whose database it is; `None` for the town's.
    pub fn rig(&self) -> Option<RigName> {
        if *self == Database::town() { None } else { self.0.split('/').next()?.parse().ok() }
    }

    /// The database in this directory, relative to the town.
    pub(super) fn at(path: &str) -> Self {
        let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
        if path.is_empty() { Self::town() } else { Database(path.to_owned()) }
    }
}

/// The routes as last read; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Databases(Arc<Mutex<Vec<(String, Database)>>>);

impl Databases {
    /// Replaces the routes.
    pub fn follow(&self, routes: &Routes) {
        let known =
            routes.routes.iter().map(|route| (format!("{}-", route.prefix), Database::at(&route.path)));
        *self.0.lock() = known.collect();
    }

    /// The database of a bead's id: that of the longest prefix it begins with, else the town's.
    pub fn of(&self, id: &str) -> Database {
        let known = self.0.lock();
        let fitting = known.iter().filter(|(prefix, _)| id.starts_with(prefix.as_str()));
        // Of two routes with one prefix, the first counts, as everywhere.
        let longest = fitting.rev().max_by_key(|(prefix, _)| prefix.len());
        longest.map_or_else(Database::town, |(_, database)| database.clone())
    }

    /// All databases, including the town's.
    pub fn all(&self) -> BTreeSet<Database> {
        let known = self.0.lock();
        known.iter().map(|(_, database)| database.clone()).chain([Database::town()]).collect()
    }

    /// The database of a rig's beads, by its prefix without the trailing `-`. An agent without a rig has an empty
    /// prefix, and the town's database.
    pub fn of_prefix(&self, prefix: &str) -> Database {
        self.of(&format!("{prefix}-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::routes;

    #[test]
    fn the_longest_prefix_counts() {
        let databases = Databases::default();
        assert_eq!(databases.of("gt-1"), Database::town(), "no routes yet");
        databases.follow(&routes::parse(
            br#"{"prefix":"hq-","path":"."}
            {"prefix":"hq-cv-","path":"./"}
            {"prefix":"a-","path":"a/mayor/rig"}
            {"prefix":"a-b-","path":"b/mayor/rig/"}
            {"prefix":"a-","path":"late"}
            {"prefix":"old-","path":"a/mayor/rig"}"#,
        ));
        for (id, expected) in [
            ("hq-mayor", "."),
            ("hq-cv-n2nfc", "."),
            ("a-1", "a/mayor/rig"),
            ("a-c-polecat-x", "a/mayor/rig"),
            ("a-b-polecat-x", "b/mayor/rig"),
            ("old-1", "a/mayor/rig"),
            ("a", "."),
            ("zz-1", "."),
            ("", "."),
        ] {
            assert_eq!(databases.of(id), Database(expected.to_owned()), "{id:?}");
        }
        for (prefix, expected) in [("a", "a/mayor/rig"), ("a-b", "b/mayor/rig"), ("", "."), ("none", ".")] {
            assert_eq!(databases.of_prefix(prefix), Database(expected.to_owned()), "{prefix:?}");
        }
    }
}
