//! Convoys of the world: what they track, and the town's database of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{World, bead_store::BeadFiles, millis};
use async_trait::async_trait;
use gastown_supervisor::ports::convoy_store::{ConvoyStore, Open, StoreError};
use serde_json::json;

/// The state of the town's bead database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Database {
    /// It can be read.
    #[default]
    Readable,
    /// It does not exist.
    Missing,
    /// It exists, and cannot be read for this reason.
    Unreadable(&'static str),
}

/// All convoys.
#[derive(Debug, Default)]
pub struct Convoys {
    /// The beads each open convoy tracks.
    pub open: BTreeMap<String, BTreeSet<String>>,
    /// Closed beads.
    pub closed: BTreeSet<String>,
    /// The database.
    pub database: Database,
    /// When `gt convoy check` was run.
    pub checks: Vec<Duration>,
    /// The number of queries to the database.
    pub asked: usize,
    checking: bool,
}

impl Convoys {
    /// What `gt convoy check` does and prints, as recorded.
    pub fn check(&mut self) -> String {
        let complete = |tracks: &BTreeSet<String>| tracks.is_subset(&self.closed);
        let ready: Vec<String> =
            self.open.iter().filter(|(_, tracks)| complete(tracks)).map(|(id, _)| id.clone()).collect();
        if ready.is_empty() {
            return "No convoys ready to close.\n".to_owned();
        }
        let lines: Vec<String> = ready.iter().map(|id| format!("  🚚 {id}: A convoy\n")).collect();
        self.open.retain(|id, _| !ready.contains(id));
        format!("✓ Auto-closed {} convoy(s):\n{}", ready.len(), lines.concat())
    }

    /// What the database's files depend on.
    pub fn written(&self) -> impl std::fmt::Debug {
        (&self.open, &self.closed)
    }

    /// What `bd list` prints of them.
    pub fn list(&self) -> String {
        let rows = self.open.keys().map(|id| json!({"id": id, "status": "open", "issue_type": "convoy"}));
        format!("{:#}\n", serde_json::Value::from_iter(rows))
    }
}

impl World {
    /// Somebody opens a convoy, in a town whose databases can be read.
    pub fn convoy(&self, id: &str, tracks: &[&str]) {
        let tracks = tracks.iter().map(|id| (*id).to_owned()).collect();
        let mut state = self.state();
        state.convoys.open.insert(id.to_owned(), tracks);
        state.bead_files = BeadFiles::Readable;
        drop(state);
        self.database_changes();
    }

    /// Somebody closes a bead.
    pub fn close(&self, id: &str) {
        let now = self.time();
        let mut state = self.state();
        state.note(now, true, || format!("{id} is closed"));
        state.convoys.closed.insert(id.to_owned());
        drop(state);
        self.database_changes();
    }

    /// A bead database was written to, which may go unnoticed.
    fn database_changes(&self) {
        let mut state = self.state();
        let lost = state.weather.hints;
        if !state.chance(lost) {
            drop(state);
            self.after(millis(2), |world| world.0.databases_changed.send_modify(|count| *count += 1));
        }
    }

    /// Begins a check; checks must not overlap.
    pub(super) fn convoy_check_begins(&self, words: &[&str]) -> Option<Check> {
        words.starts_with(&["convoy", "check"]).then(|| {
            let now = self.time();
            let mut state = self.state();
            state.convoys.checks.push(now);
            if std::mem::replace(&mut state.convoys.checking, true) {
                state.violated(now, "two runs of gt convoy check at the same time".to_owned());
            }
            Check(self.clone())
        })
    }
}

/// One run of `gt convoy check`, until it is dropped.
pub(super) struct Check(World);

impl Drop for Check {
    fn drop(&mut self) {
        self.0.state().convoys.checking = false;
    }
}

#[async_trait]
impl ConvoyStore for World {
    async fn open(&self) -> Result<Open, StoreError> {
        let mut state = self.state();
        state.convoys.asked += 1;
        match state.convoys.database {
            Database::Readable => Ok(state.convoys.open.clone()),
            Database::Missing => Err(StoreError::Missing),
            Database::Unreadable(why) => Err(StoreError::Unreadable(why.to_owned())),
        }
    }
}
