//! The adapter behind [`ConvoyStore`]: the town's own bead database, `.beads/beads.db`, as `bd` 0.47 to 0.49 keeps it.
//!
//! It is opened for each question, for reading only, and closed again: nothing is kept that could hold up a writer, and
//! what `bd` puts in its place is seen at once. A question is one short statement on a thread for blocking work. It must
//! never make a database, nor wait long for anything: who cannot be answered soon asks again later.
//!
//! Of the schema (`internal/storage/sqlite/schema.go`) these columns count: `issues` (`id`, `status`, `issue_type`) and
//! `dependencies` (`issue_id`, `depends_on_id`, `type`). A convoy tracks a bead by a dependency of type `tracks` on its id or,
//! when the bead is a rig's, on `external:<rig's directory>:<id>`.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that reads the bead database")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use tokio::sync::Semaphore;

use super::store::{ConvoyStore, StoreError};
use crate::town::reading::shorten;

/// How long a lock of somebody else is waited for.
const BUSY: Duration = Duration::from_millis(250);
/// How long a statement may take,
const LIMIT: Duration = Duration::from_secs(1);
/// looked at after so many steps of it.
const STEPS: i32 = 1000;
/// A disk that hangs longer than this is not waited for.
const STUCK: Duration = Duration::from_secs(3);

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
    /// One question at a time: those of a disk that hangs do not pile up.
    turn: Arc<Semaphore>,
}

impl SqliteConvoys {
    /// The database at this path, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        SqliteConvoys { path, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Asks one question on another thread. Dropping this makes the statement stop soon.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unreadable = |why: &str| StoreError::Unreadable(why.to_owned());
        let turn = self.turn.clone().try_acquire_owned();
        let turn = turn.map_err(|_| unreadable("the question before this one is not answered yet"))?;
        let path = self.path.clone();
        let given_up = GivenUp::default();
        let flag = given_up.0.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let connection = open(&path, flag)?;
            question(&connection).map_err(|error| explain(&error))
        });
        match tokio::time::timeout(STUCK, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unreadable("the question was cut short")),
            Err(_) => Err(unreadable(&format!("no answer within {STUCK:?}"))),
        }
    }
}

/// Set when nobody waits for the answer any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn open(path: &Path, given_up: Arc<AtomicBool>) -> Result<Connection, StoreError> {
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => {}
        // Opening one of these could wait for ever.
        Ok(_) => return Err(StoreError::Unreadable("it is no file".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(StoreError::Missing),
        Err(error) => return Err(StoreError::Unreadable(error.to_string())),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|mut connection| {
        connection.busy_timeout(BUSY)?;
        let until = Instant::now() + BUSY + LIMIT;
        let over = move || given_up.load(Ordering::Relaxed) || Instant::now() >= until;
        connection.progress_handler(STEPS, Some(over))?;
        Ok(connection)
    });
    opened.map_err(|error| explain(&error))
}

fn explain(error: &rusqlite::Error) -> StoreError {
    let told = shorten(&error.to_string());
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!("it is locked ({told})"),
        Some(ErrorCode::OperationInterrupted) => format!("it took longer than {LIMIT:?}"),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => told,
        Some(ErrorCode::Unknown) => format!("its schema is another one ({told})"),
        _ => told,
    };
    StoreError::Unreadable(why)
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
