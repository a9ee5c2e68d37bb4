//! A bead database as a file: when it answers in place of `bd show`, when it leaves the answer to `bd`, and how a
//! change of it is detected.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests make databases"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use gastown_supervisor::{
    ledger::sqlite::SqliteBeads,
    ports::bead_store::{BeadStore, Stamp},
    town::bead::Bead,
};
use rusqlite::{Connection, params};

const SCHEMA: &str = include_str!("fixtures/convoy/beads_0.47.sql");

/// A directory with its `.beads`, and its reader.
struct Place {
    directory: tempfile::TempDir,
    asked: SqliteBeads,
}

impl Place {
    /// Without a database.
    fn empty() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".beads")).unwrap();
        Place { directory, asked: SqliteBeads::default() }
    }

    fn new() -> Place {
        let place = Place::empty();
        place.bd().execute_batch(SCHEMA).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(".beads").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Sets its time this far back.
    fn age(&self, name: &str, age: Duration) {
        let file = fs::File::options().append(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    fn bd(&self) -> Connection {
        Connection::open(self.path("beads.db")).unwrap()
    }

    fn polecat(&self, id: &str, columns: (&str, &str), description: &str, updated: &str) {
        let insert =
            "INSERT INTO issues (id, title, issue_type, description, hook_bead, agent_state, updated_at)
            VALUES (?1, 'T', 'agent', ?2, ?3, ?4, ?5)";
        self.bd().execute(insert, params![id, description, columns.0, columns.1, updated]).unwrap();
    }

    fn imported(&self, at: SystemTime) {
        let at = jiff::Timestamp::try_from(at).unwrap().to_string();
        let set = "INSERT OR REPLACE INTO metadata (key, value) VALUES ('last_import_time', ?1)";
        self.bd().execute(set, params![at]).unwrap();
    }

    async fn beads(&self, ids: &[&str]) -> Result<BTreeMap<String, Bead>, String> {
        let ids: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.asked.beads(self.directory.path(), &ids).await
    }

    async fn stamp(&self) -> Option<Stamp> {
        self.asked.stamp(self.directory.path()).await
    }
}

#[tokio::test]
async fn beads_as_show_prints_them() {
    let place = Place::new();
    let time = "2026-11-22T20:44:10.305574201Z";
    place.polecat("gt-a", ("gt-1", "working"), "Words\nhook_bead: gt-old\nagent_state: idle", time);
    place.polecat("gt-b", ("", ""), "hook_bead: gt-2\nagent_state: null", "2026-11-22 20:44:10");
    place.polecat("gt-c", ("", ""), "", time);
    place
        .bd()
        .execute("UPDATE issues SET assignee = 'x', status = 'tombstone' WHERE id = 'gt-c'", [])
        .unwrap();
    for label in ["gt:agent", "a,b \"c\""] {
        place.bd().execute("INSERT INTO labels VALUES ('gt-a', ?1)", params![label]).unwrap();
    }
    let beads = place.beads(&["gt-a", "gt-b", "gt-c", "gt", "gt-none", "' OR 1=1 --"]).await.unwrap();
    assert_eq!(beads.keys().collect::<Vec<_>>(), ["gt-a", "gt-b", "gt-c"], "whole ids only");
    let (a, b, c) = (&beads["gt-a"], &beads["gt-b"], &beads["gt-c"]);
    assert_eq!((a.hook_bead.as_deref(), a.agent_state.as_deref()), (Some("gt-1"), Some("working")));
    assert_eq!(a.labels, ["a,b \"c\"", "gt:agent"]);
    assert_eq!(a.updated_at.unwrap().to_string(), time);
    assert_eq!((b.hook_bead.as_deref(), b.agent_state.as_deref()), (Some("gt-2"), None));
    assert_eq!(b.updated_at.unwrap().to_string(), "2026-11-22T20:44:10Z");
    assert!(c.is_closed() && c.is_agent() && c.assignee.as_deref() == Some("x"), "{c:?}");
}

#[tokio::test]
async fn what_is_left_to_bd() {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    type Make = Box<dyn Fn(&Place)>;
    let cases: [(&str, Make, Option<&str>); 14] = [
        ("nothing beside it", Box::new(|_| {}), None),
        (
            "an export it knows",
            Box::new(move |it| (it.write("issues.jsonl", ""), it.imported(now + hour)).1),
            None,
        ),
        ("an export, never imported", Box::new(|it| it.write("issues.jsonl", "")), None),
        (
            "an export it does not know",
            Box::new(move |it| (it.write("issues.jsonl", ""), it.imported(now - hour)).1),
            Some("its export is newer"),
        ),
        (
            "an export of the old name",
            Box::new(move |it| (it.write("beads.jsonl", ""), it.imported(now - hour)).1),
            Some("its export is newer"),
        ),
        (
            "an import at no time",
            Box::new(|it| {
                it.write("issues.jsonl", "");
                it.bd().execute("INSERT INTO metadata VALUES ('last_import_time', 'then')", []).unwrap();
            }),
            Some("its export is newer"),
        ),
        (
            "sqlite by name",
            Box::new(|it| it.write("metadata.json", r#"{"backend":"sqlite","database":"beads.db"}"#)),
            None,
        ),
        ("dolt", Box::new(|it| it.write("metadata.json", r#"{"backend":"dolt"}"#)), Some("backend \"dolt\"")),
        (
            "another database",
            Box::new(|it| it.write("metadata.json", r#"{"database":"x.db"}"#)),
            Some("x.db"),
        ),
        ("half a file", Box::new(|it| it.write("metadata.json", "{\"back")), Some("metadata.json")),
        ("a redirect to nowhere", Box::new(|it| it.write("redirect", "no/such")), Some("redirect names no")),
        ("an empty redirect", Box::new(|it| it.write("redirect", "# none\n\n")), None),
        (
            "a time that is none",
            Box::new(|it| it.bd().execute_batch("UPDATE issues SET updated_at = 'soon'").unwrap()),
            Some("updated_at of gt-a is not a time"),
        ),
        (
            "an older schema",
            Box::new(|it| it.bd().execute_batch("ALTER TABLE issues DROP COLUMN hook_bead").unwrap()),
            Some("no such column: hook_bead"),
        ),
    ];
    for (name, make, expected) in cases {
        let place = Place::new();
        place.polecat("gt-a", ("gt-1", ""), "", "2026-11-22T20:44:10Z");
        make(&place);
        match (place.beads(&["gt-a"]).await, expected) {
            (Ok(beads), None) => assert_eq!(beads.len(), 1, "{name}"),
            (Err(why), Some(expected)) => assert!(why.contains(expected), "{name}: {why}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
    let none = Place::empty();
    assert_eq!(none.beads(&["gt-a"]).await, Err("there is no beads.db".to_owned()));
    assert_eq!(none.stamp().await, None);
    assert!(!none.path("beads.db").exists(), "none is made");
}

#[tokio::test]
async fn a_redirect_is_followed_once() {
    let (place, other) = (Place::empty(), Place::new());
    other.polecat("gt-a", ("gt-1", ""), "", "2026-11-22T20:44:10Z");
    place.write("redirect", &format!("\n# moved\n{}\n", other.path("").display()));
    assert_eq!(place.beads(&["gt-a"]).await.unwrap().len(), 1);
    fs::create_dir_all(place.directory.path().join("mayor/rig")).unwrap();
    fs::rename(other.path(""), place.directory.path().join("mayor/rig/.beads")).unwrap();
    place.write("redirect", "mayor/rig/.beads");
    assert_eq!(place.beads(&["gt-a"]).await.unwrap().len(), 1, "seen from the directory that holds .beads");
}

#[tokio::test]
async fn whatever_bd_writes_changes_the_stamp() {
    let place = Place::new();
    let old = Duration::from_secs(60);
    assert_eq!(place.stamp().await, None, "it was written just now: the next write could look the same");
    place.age("beads.db", old);
    let first = place.stamp().await.unwrap();
    assert_eq!(place.stamp().await.as_ref(), Some(&first));
    let _ = place.beads(&["gt-a"]).await;
    assert_eq!(place.stamp().await.as_ref(), Some(&first), "reading changes nothing");
    place.polecat("gt-a", ("gt-1", ""), "", "2026-11-22T20:44:10Z");
    assert_eq!(place.stamp().await, None);
    place.age("beads.db", old / 2);
    let second = place.stamp().await.unwrap();
    assert_ne!(second, first);
    place.write("beads.db-wal", "");
    assert_eq!(place.stamp().await.as_ref(), Some(&second), "an empty log is none");
    place.write("beads.db-wal", "x");
    assert_eq!(place.stamp().await, None);
    place.age("beads.db-wal", old);
    let third = place.stamp().await.unwrap();
    assert_ne!(third, second);
    place.write("issues.jsonl", "");
    place.age("issues.jsonl", old);
    assert_ne!(place.stamp().await.unwrap(), third);
}
