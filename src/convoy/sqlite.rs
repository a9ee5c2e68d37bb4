//! The adapter behind [`ConvoyStore`]: the town's own bead database, `.beads/beads.db`, as `bd` 0.47 to 0.49 keeps it.
//!
//! Of the schema (`internal/storage/sqlite/schema.go`) these columns count: `issues` (`id`, `status`, `issue_type`) and
//! `dependencies` (`issue_id`, `depends_on_id`, `type`). A convoy tracks a bead by a dependency of type `tracks` on its id or,
//! when the bead is a rig's, on `external:<rig's directory>:<id>`. It must not open the database itself.

use std::{collections::BTreeSet, path::PathBuf};

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::store::{ConvoyStore, StoreError};
use crate::sqlite::{Reader, Trouble};

const ANY_OPEN: &str = "SELECT EXISTS (SELECT 1 FROM issues
    WHERE issue_type = ?1 AND status NOT IN (?2, ?3))";

/// The ids come as one list, as JSON. An id is compared as a whole or with what stands behind the last `:`, never as a
/// pattern: whatever is in it means nothing.
const TRACKED: &str = "SELECT DISTINCT asked.value
    FROM issues AS convoy
    JOIN dependencies AS tracks ON tracks.issue_id = convoy.id AND tracks.type = ?5
    JOIN json_each(?4) AS asked ON tracks.depends_on_id = asked.value
        OR substr(tracks.depends_on_id, -length(asked.value) - 1) = ':' || asked.value
    WHERE convoy.issue_type = ?1 AND convoy.status NOT IN (?2, ?3)";

const CONVOY: &str = "convoy";
const CLOSED: [&str; 2] = ["closed", "tombstone"];
const TRACKS: &str = "tracks";

/// The database of one town.
#[derive(Debug)]
pub struct SqliteConvoys {
    path: PathBuf,
    reader: Reader,
}

impl SqliteConvoys {
    /// The database at this path, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        SqliteConvoys { path, reader: Reader::default() }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.ask(&self.path, question).await.map_err(|trouble| match trouble {
            Trouble::Missing => StoreError::Missing,
            Trouble::Unreadable(why) => StoreError::Unreadable(why),
        })
    }
}

#[async_trait]
impl ConvoyStore for SqliteConvoys {
    async fn any_open(&self) -> Result<bool, StoreError> {
        self.ask(|database| {
            database.query_row(ANY_OPEN, params![CONVOY, CLOSED[0], CLOSED[1]], |row| row.get(0))
        })
        .await
    }

    async fn tracked(&self, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
        let asked = serde_json::Value::from_iter(ids.iter().cloned()).to_string();
        self.ask(move |database| {
            let mut statement = database.prepare(TRACKED)?;
            let parameters = params![CONVOY, CLOSED[0], CLOSED[1], asked, TRACKS];
            let rows = statement.query_map(parameters, |row| row.get(0))?;
            rows.collect()
        })
        .await
    }
}
