//! The adapter behind [`ConvoyStore`]: the town's own bead database, `.beads/beads.db`, in the format of `bd` 0.47 to
//! 0.49.
//!
//! It uses these columns of the schema (`internal/storage/sqlite/schema.go`): `issues` (`id`, `status`, `issue_type`)
//! and `dependencies` (`issue_id`, `depends_on_id`, `type`). A convoy tracks a bead by a dependency of type `tracks` on
//! its id or, when the bead is a rig's, on `external:<rig's directory>:<id>`. It must not open the database itself.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::{
    ports::convoy_store::{ConvoyStore, Open, StoreError},
    sqlite::{Reader, Trouble},
};

/// Reads at most 20,000 rows. A truncated convoy may look complete; Gas Town's own check decides.
const OPEN: &str = "SELECT convoy.id, tracks.depends_on_id
    FROM issues AS convoy
    LEFT JOIN dependencies AS tracks ON tracks.issue_id = convoy.id AND tracks.type = 'tracks'
    WHERE convoy.issue_type = 'convoy' AND convoy.status NOT IN ('closed', 'tombstone')
    LIMIT 20000";

/// The bead database of one town.
#[derive(Debug)]
pub struct SqliteConvoys {
    path: PathBuf,
    reader: Reader,
}

impl SqliteConvoys {
    /// The database at this path, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        SqliteConvoys { path, reader: Reader::default() }
    }
}

#[async_trait]
impl ConvoyStore for SqliteConvoys {
    async fn open(&self) -> Result<Open, StoreError> {
        let answer = self.reader.ask(&self.path, |database| {
            let mut open = Open::new();
            let mut statement = database.prepare(OPEN)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (convoy, tracked): (String, Option<String>) = (row.get(0)?, row.get(1)?);
                let of_convoy = open.entry(convoy).or_default();
                of_convoy.extend(tracked.map(|id| id.rsplit(':').next().unwrap_or_default().to_owned()));
            }
            Ok(open)
        });
        answer.await.map_err(|trouble| match trouble {
            Trouble::Missing => StoreError::Missing,
            Trouble::Unreadable(why) => StoreError::Unreadable(why),
        })
    }
}
