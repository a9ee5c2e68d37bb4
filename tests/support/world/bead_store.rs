//! The bead databases of the world as files, for readers without `bd`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use async_trait::async_trait;
use gastown_supervisor::{
    ledger::show_output::{self, Shown},
    ports::bead_store::{BeadStore, Stamp},
    town::bead::Bead,
};
use serde_json::json;

use super::World;

/// What can be read of the databases without `bd`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BeadFiles {
    /// Nothing.
    #[default]
    None,
    /// Only whether they changed.
    Opaque,
    /// Their content.
    Readable,
}

#[async_trait]
impl BeadStore for World {
    async fn beads(&self, _: &Path, ids: &BTreeSet<String>) -> Result<BTreeMap<String, Bead>, String> {
        let state = self.state();
        if state.bead_files != BeadFiles::Readable {
            return Err("it is not readable in this world".to_owned());
        }
        let closed = ids.intersection(&state.convoys.closed).map(|id| json!({"id": id, "status": "closed"}));
        let rows: Vec<_> = ids.iter().filter_map(|id| state.beads.get(id)).cloned().chain(closed).collect();
        let printed = serde_json::to_vec(&rows).unwrap_or_default();
        match show_output::parse(&printed, "") {
            Ok(Shown::Beads { beads, .. }) => {
                Ok(beads.into_iter().map(|bead| (bead.id.clone(), bead)).collect())
            }
            other => Err(format!("{other:?}")),
        }
    }

    async fn stamp(&self, _: &Path) -> Option<Stamp> {
        let state = self.state();
        let files = state.bead_files != BeadFiles::None;
        files.then(|| Stamp(format!("{:?} {:?} {:?}", state.beads, state.mailbox, state.convoys.written())))
    }
}
