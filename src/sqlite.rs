//! The adapter that opens bead databases: SQLite, as used by `bd` 0.47 to 0.49.
//!
//! Each query opens the database read-only and closes it again: nothing is kept open that could block a writer, and a
//! database that `bd` replaces is seen at once. A query is short and runs on a blocking thread, one at a time, so
//! that queries to a hanging disk do not pile up. It must never create a database, nor wait long for anything: a
//! query that cannot be answered soon fails, and the caller tries again later.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that opens bead databases")]

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Semaphore;

use crate::town::{opening, reading::shorten};

/// How long to wait for another process's lock.
const BUSY: Duration = Duration::from_millis(250);
/// The time limit of a statement,
const LIMIT: Duration = Duration::from_secs(1);
/// checked after this many of its steps.
const STEPS: i32 = 1000;
/// How long to wait for a disk that hangs.
const STUCK: Duration = Duration::from_secs(3);

/// Why a database gives no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// There is no database.
    Missing,
    /// It exists and cannot be read now; the text is the caller's.
    Unreadable(String),
}

/// Runs queries, one at a time.
#[derive(Debug)]
pub struct Reader {
    turn: Arc<Semaphore>,
}

impl Default for Reader {
    fn default() -> Self {
        Reader { turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Reader {
    /// Runs one query on the database at `path` on another thread, or fails at once when the previous one is still
    /// running. Dropping this stops the statement soon.
    pub async fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Trouble> {
        match self.turn.clone().try_acquire_owned() {
            Ok(turn) => answer(turn, path.to_owned(), question).await,
            Err(_) => Err(unreadable("the previous query is not answered yet")),
        }
    }

    /// Like [`ask`](Self::ask), but waits for the queries before it.
    pub async fn ask_in_turn<T: Send + 'static>(
        &self,
        path: &Path,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(STUCK, self.turn.clone().acquire_owned()).await {
            Ok(Ok(turn)) => answer(turn, path.to_owned(), question).await,
            _ => Err(unreadable("the previous queries are not answered yet")),
        }
    }
}

fn unreadable(why: &str) -> Trouble {
    Trouble::Unreadable(why.to_owned())
}

async fn answer<T: Send + 'static>(
    turn: tokio::sync::OwnedSemaphorePermit,
    path: PathBuf,
    question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Trouble> {
    let given_up = GivenUp::default();
    let flag = given_up.0.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let connection = open(&path, flag)?;
        question(&connection).map_err(|error| explain(&error))
    });
    match tokio::time::timeout(STUCK, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(unreadable("the query was interrupted")),
        Err(_) => Err(unreadable(&format!("no answer within {STUCK:?}"))),
    }
}

/// Set when no caller waits for the answer any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn open(path: &Path, given_up: Arc<AtomicBool>) -> Result<Connection, Trouble> {
    // Checked without opening it: SQLite would open any kind of file.
    let bad = |error: io::Error| Trouble::Unreadable(error.to_string());
    if opening::examine(path).map_err(bad)?.is_none() {
        return Err(Trouble::Missing);
    }
    for beside in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        opening::examine(Path::new(&name))
            .map_err(|error| bad(io::Error::other(format!("{beside}: {error}"))))?;
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

fn explain(error: &rusqlite::Error) -> Trouble {
    let told = shorten(&error.to_string());
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!("it is locked ({told})"),
        Some(ErrorCode::OperationInterrupted) => format!("it took longer than {LIMIT:?}"),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => told,
        Some(ErrorCode::Unknown) => format!("its schema is another one ({told})"),
        _ => told,
    };
    Trouble::Unreadable(why)
}
