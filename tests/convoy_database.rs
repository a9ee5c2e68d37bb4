//! The town's bead database as a file: its convoys, and the errors when it cannot be read.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests make databases"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use gastown_supervisor::{
    ledger::convoys::SqliteConvoys,
    ports::convoy_store::{ConvoyStore, StoreError},
};
use rusqlite::{Connection, params};

#[path = "support/limits.rs"]
mod limits;

use limits::LimitedCommand;

const SCHEMA: &str = include_str!("fixtures/convoy/beads_0.47.sql");

/// A town's `.beads`, and its reader.
struct Beads {
    directory: tempfile::TempDir,
    asked: SqliteConvoys,
}

impl Beads {
    /// Without a database.
    fn none() -> Beads {
        let directory = tempfile::tempdir().unwrap();
        let asked = SqliteConvoys::new(directory.path().join("beads.db"));
        Beads { directory, asked }
    }

    /// With an empty one of 0.47.
    fn new() -> Beads {
        limits::watched();
        let beads = Beads::none();
        beads.bd().execute_batch(SCHEMA).unwrap();
        beads
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("beads.db")
    }

    /// A connection like `bd`'s, which does not wait.
    fn bd(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection
    }

    fn issue(&self, id: &str, kind: &str, status: &str) {
        let insert = "INSERT INTO issues (id, title, issue_type, status) VALUES (?1, 'T', ?2, ?3)";
        self.bd().execute(insert, params![id, kind, status]).unwrap();
    }

    fn depends(&self, id: &str, on: &str, kind: &str) {
        let insert = "INSERT INTO dependencies (issue_id, depends_on_id, type) VALUES (?1, ?2, ?3)";
        self.bd().execute(insert, params![id, on, kind]).unwrap();
    }

    /// An open convoy that tracks these.
    fn convoy(&self, id: &str, tracks: &[&str]) {
        self.issue(id, "convoy", "open");
        tracks.iter().for_each(|on| self.depends(id, on, "tracks"));
    }

    /// Which of these beads an open convoy tracks.
    async fn tracked(&self, ids: &[&str]) -> Result<Vec<String>, StoreError> {
        let tracked: BTreeSet<String> = self.asked.open().await?.into_values().flatten().collect();
        let asked: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        Ok(asked.intersection(&tracked).cloned().collect())
    }

    async fn any_open(&self) -> Result<bool, StoreError> {
        Ok(!self.asked.open().await?.is_empty())
    }

    async fn why(&self) -> StoreError {
        self.asked.open().await.unwrap_err()
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn whether_a_convoy_is_open() {
    let beads = Beads::new();
    assert_eq!(beads.any_open().await, Ok(false), "no issues at all");
    for (id, kind, status, expected) in [
        ("gt-1", "task", "open", false),
        ("hq-cv-1", "convoy", "closed", false),
        ("hq-cv-2", "convoy", "tombstone", false),
        ("hq-cv-3", "convoy", "in_progress", true),
    ] {
        beads.issue(id, kind, status);
        assert_eq!(beads.any_open().await, Ok(expected), "{id}");
    }
    beads.bd().execute("DELETE FROM issues WHERE status = 'in_progress'", []).unwrap();
    assert_eq!(beads.any_open().await, Ok(false));
    beads.issue("hq-cv-4", "convoy", "open");
    assert_eq!(beads.any_open().await, Ok(true));
}

#[tokio::test]
async fn which_beads_are_tracked() {
    let beads = Beads::new();
    beads.convoy(
        "hq-cv-1",
        &["hq-1", "external:gastown:gt-1", "external:a:b:gt-2", "hq-o'7", "hq-ü", "external:gastown:xgt-3"],
    );
    beads.convoy("hq-cv-2", &["hq-1", "hq-%", "hq-a_c"]);
    beads.issue("hq-cv-3", "convoy", "closed");
    beads.depends("hq-cv-3", "hq-2", "tracks");
    beads.issue("hq-cv-4", "convoy", "tombstone");
    beads.depends("hq-cv-4", "hq-2", "tracks");
    beads.issue("hq-epic", "epic", "open");
    beads.depends("hq-epic", "hq-3", "tracks");
    beads.depends("hq-cv-1", "hq-4", "blocks");
    beads.depends("hq-gone", "hq-5", "tracks");
    for (name, asked, expected) in [
        ("one of the town", &["hq-1"][..], &["hq-1"][..]),
        ("one of a rig", &["gt-1"], &["gt-1"]),
        ("one whose rig has a colon", &["gt-2"], &["gt-2"]),
        ("several, some of them not", &["gt-9", "gt-1", "hq-1", "hq-2"], &["gt-1", "hq-1"]),
        ("none", &[], &[]),
        ("the end of another id", &["gt-3"], &[]),
        ("the rig alone", &["gastown"], &[]),
        ("an empty one", &[""], &[]),
        ("a quote", &["hq-o'7", "hq-o''7"], &["hq-o'7"]),
        ("an umlaut", &["hq-ü"], &["hq-ü"]),
        ("another case", &["HQ-1"], &[]),
        ("a wildcard asked for", &["%", "gt-%", "gt-_", "*", "hq-?"], &[]),
        ("a wildcard tracked", &["hq-%", "hq-abc", "hq-9"], &["hq-%"]),
        ("a piece of SQL", &["x' OR '1'='1", "'; DROP TABLE issues; --"], &[]),
        ("by closed convoys only", &["hq-2"], &[]),
        ("by what is no convoy", &["hq-3"], &[]),
        ("otherwise than tracked", &["hq-4"], &[]),
        ("by a convoy that is gone", &["hq-5"], &[]),
    ] {
        assert_eq!(beads.tracked(asked).await.as_deref(), Ok(&expected.map_owned()[..]), "{name}");
    }
    let many: Vec<String> = (0..500).map(|number| format!("gt-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(beads.tracked(&many).await.unwrap(), ["gt-1", "gt-2"]);
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|id| (*id).to_owned()).collect()
    }
}

#[tokio::test]
async fn one_that_is_not_there_is_not_made() {
    let beads = Beads::none();
    assert_eq!(beads.why().await, StoreError::Missing);
    assert_eq!(beads.files(), Vec::<String>::new());
    let nowhere = SqliteConvoys::new(beads.directory.path().join("no/such/beads.db"));
    assert_eq!(nowhere.open().await, Err(StoreError::Missing));
}

#[tokio::test]
async fn what_is_no_database_of_beads() {
    let other_tables = |sql: &'static str| move |beads: &Beads| beads.bd().execute_batch(sql).unwrap();
    let cases: [(&str, Box<dyn Fn(&Beads)>, &str); 9] = [
        ("an empty file", Box::new(|beads| fs::write(beads.path(), "").unwrap()), "no such table: issues"),
        ("text", Box::new(|beads| fs::write(beads.path(), "hello ".repeat(1000)).unwrap()), "not a database"),
        (
            "a directory",
            Box::new(|beads| fs::create_dir(beads.path()).unwrap()),
            "it is a directory, not a file",
        ),
        ("a pipe", Box::new(pipe), "it is a named pipe, not a file"),
        ("damaged", Box::new(damage), "malformed"),
        ("other tables", Box::new(other_tables("CREATE TABLE beads (id TEXT)")), "its schema is another one"),
        (
            "other columns",
            Box::new(other_tables("CREATE TABLE issues (id TEXT, status TEXT)")),
            "its schema is another one",
        ),
        (
            "other columns of dependencies",
            Box::new(other_tables(
                "CREATE TABLE issues (id TEXT, status TEXT, kind TEXT);
                CREATE TABLE dependencies (issue_id TEXT, target TEXT, type TEXT)",
            )),
            "no such column",
        ),
        ("a loop of links", Box::new(looping), "symbolic links"),
    ];
    for (name, make, expected) in cases {
        let beads = Beads::none();
        make(&beads);
        let content = || beads.path().is_file().then(|| fs::read(beads.path()).unwrap());
        let before = content();
        let began = Instant::now();
        let why = beads.why().await;
        assert!(
            matches!(why, StoreError::Unreadable(_)) && why.to_string().contains(expected),
            "{name}: {why}"
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{name}: {:?}", began.elapsed());
        assert_eq!(content(), before, "{name}: left as it was");
        assert_eq!(beads.files(), ["beads.db"], "{name}");
    }
}

fn pipe(beads: &Beads) {
    let made = std::process::Command::new("mkfifo").arg(beads.path()).limited_status();
    assert!(made.success());
}

fn looping(beads: &Beads) {
    std::os::unix::fs::symlink("beads.db", beads.path()).unwrap();
}

/// Its first page is whole, and nothing else.
fn damage(beads: &Beads) {
    beads.bd().execute_batch(SCHEMA).unwrap();
    for number in 0..200 {
        beads.issue(&format!("gt-{number}"), "task", "open");
    }
    let mut bytes = fs::read(beads.path()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(beads.path(), bytes).unwrap();
}

#[tokio::test]
async fn one_that_somebody_locked_is_not_waited_for() {
    let beads = Beads::new();
    beads.convoy("hq-cv-1", &["gt-1"]);
    let locked = beads.bd();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let why = beads.why().await;
    assert!(why.to_string().contains("it is locked (database is locked)"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    locked.execute_batch("COMMIT").unwrap();
    assert_eq!(beads.any_open().await, Ok(true), "and asked again later");
}

#[tokio::test]
async fn a_writer_and_who_asks_do_not_wait_for_each_other() {
    let beads = Beads::new();
    let mode: String = beads.bd().query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    beads.convoy("hq-cv-1", &["gt-1"]);
    let writer = beads.bd();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE issues SET status = 'closed'").unwrap();
    assert_eq!(beads.any_open().await, Ok(true), "as it was last committed");
    assert_eq!(beads.tracked(&["gt-1"]).await.unwrap(), ["gt-1"]);
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(beads.any_open().await, Ok(false));
    // Nobody is left who holds up what needs the whole database.
    let left: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

/// The files of a killed `bd`: a reader that may write would copy the log into the database when done.
#[tokio::test]
async fn the_database_is_only_read() {
    let (beads, left) = (Beads::new(), Beads::none());
    let writer = beads.bd();
    let _: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    writer
        .execute("INSERT INTO issues (id, title, issue_type) VALUES ('hq-cv-1', 'T', 'convoy')", [])
        .unwrap();
    for name in ["beads.db", "beads.db-wal"] {
        fs::copy(beads.directory.path().join(name), left.directory.path().join(name)).unwrap();
    }
    let content = |name: &str| fs::read(left.directory.path().join(name)).unwrap();
    let before = (content("beads.db"), content("beads.db-wal"));
    assert_eq!(left.any_open().await, Ok(true), "it is in the log only");
    assert!((content("beads.db"), content("beads.db-wal")) == before);
}

#[tokio::test]
async fn nothing_stays_open_between_two_questions() {
    let beads = Beads::new();
    beads.convoy("hq-cv-1", &["gt-1"]);
    let writer = beads.bd();
    for round in 0..20 {
        assert_eq!(beads.any_open().await, Ok(true));
        let locked = writer.execute_batch("BEGIN EXCLUSIVE; COMMIT");
        assert!(locked.is_ok(), "round {round}: {locked:?}");
    }
    // Another one in its place is seen at once.
    let other = Beads::new();
    drop(writer);
    fs::rename(other.path(), beads.path()).unwrap();
    assert_eq!(beads.any_open().await, Ok(false));
}

#[tokio::test]
async fn a_statement_without_end_is_given_up() {
    let beads = Beads::new();
    beads
        .bd()
        .execute_batch(
            "ALTER TABLE issues RENAME TO real;
            CREATE VIEW issues AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            SELECT 'hq-cv-1' AS id, 'open' AS status, CASE i WHEN 0 THEN 'convoy' ELSE 'task' END AS issue_type FROM n",
        )
        .unwrap();
    let began = Instant::now();
    let why = beads.why().await;
    assert!(why.to_string().contains("it took longer than 1s"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    beads.bd().execute_batch("DROP VIEW issues; ALTER TABLE real RENAME TO issues").unwrap();
    assert_eq!(beads.any_open().await, Ok(false), "other questions are answered");
}

/// More than any convoy tracks: the memory used for them is bounded.
#[tokio::test]
async fn a_convoy_of_very_many_beads() {
    let beads = Beads::new();
    beads.convoy("hq-cv-1", &[]);
    beads
        .bd()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
            INSERT INTO dependencies (issue_id, depends_on_id, type)
            SELECT 'hq-cv-1', 'external:gastown:bead-' || i, 'tracks' FROM n",
        )
        .unwrap();
    let began = Instant::now();
    assert_eq!(beads.asked.open().await.unwrap()["hq-cv-1"].len(), 20_000);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
