//! The adapter behind [`BeadStore`]: `.beads/beads.db` of the town or of a rig, in the format of `bd` 0.47 to 0.49.
//!
//! It uses these columns of the schema (`internal/storage/sqlite/schema.go` and its migrations): `issues` (`id`,
//! `status`, `issue_type`, `description`, `assignee`, `updated_at`, `hook_bead`, `agent_state`), `labels`
//! (`issue_id`, `label`) and `metadata` (`key`, `value`). The database answers only when `bd show` would answer the
//! same: an export (`issues.jsonl`) that is newer than the database's last import is imported by `bd` first, and
//! another database or backend may be named in `metadata.json`. It must not open the database itself.
#![allow(clippy::disallowed_methods, reason = "this adapter looks at the files of a bead database")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row as Line, params};

use super::show_output::Row;
use crate::{
    ports::bead_store::{BeadStore, Stamp},
    sqlite::{Reader, Trouble},
    town::{bead::Bead, disk_task, files},
};

/// The ids are passed as one JSON list; the labels are returned as one.
const BEADS: &str =
    "SELECT id, status, issue_type, description, assignee, updated_at, hook_bead, agent_state,
        (SELECT json_group_array(label) FROM labels WHERE issue_id = issues.id)
    FROM issues WHERE id IN (SELECT value FROM json_each(?1))";

const IMPORTED: &str = "SELECT value FROM metadata WHERE key = 'last_import_time'";

/// Two writes within a tick of the file system's clock look alike, so a file that was written less than this ago has
/// no stamp.
const TICK: Duration = Duration::from_secs(2);

/// Bead databases, found by the directory they belong to.
#[derive(Debug, Default)]
pub struct SqliteBeads {
    reader: Reader,
}

#[async_trait]
impl BeadStore for SqliteBeads {
    async fn beads(
        &self,
        directory: &Path,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Bead>, String> {
        let files = find(directory).await?;
        let exported = files.exported;
        let asked = serde_json::Value::from_iter(ids.iter().cloned()).to_string();
        let answer = self.reader.ask_in_turn(&files.database, move |database| {
            Ok(match stale(database, exported)? {
                Some(why) => Err(why),
                None => rows(database, &asked)?,
            })
        });
        match answer.await {
            Ok(beads) => beads,
            Err(Trouble::Missing) => Err("there is no beads.db".to_owned()),
            Err(Trouble::Unreadable(why)) => Err(format!("beads.db cannot be read: {why}")),
        }
    }

    async fn location(&self, directory: &Path) -> PathBuf {
        let beads = directory.join(".beads");
        blocking(&beads, followed).await.and_then(Result::ok).unwrap_or(beads)
    }

    async fn stamp(&self, directory: &Path) -> Option<Stamp> {
        let now = SystemTime::now();
        blocking(&directory.join(".beads"), move |beads| stamp(&find_in(beads).ok()?, now)).await?
    }
}

/// The files of one database.
#[derive(Debug)]
struct Files {
    database: PathBuf,
    /// When the export beside it was last written.
    exported: Option<SystemTime>,
}

async fn find(directory: &Path) -> Result<Files, String> {
    let beads = directory.join(".beads");
    blocking(&beads, find_in).await.unwrap_or_else(|| Err("the disk does not answer".to_owned()))
}

/// How long to wait for a disk that hangs.
const STUCK: Duration = Duration::from_secs(3);

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Option<T> {
    let work = disk_task::run(path, move |path| Ok(work(path)));
    tokio::time::timeout(STUCK, work).await.ok()?.ok()
}

fn find_in(beads: &Path) -> Result<Files, String> {
    let beads = followed(beads)?;
    only_sqlite(&beads)?;
    let written = |name: &str| match std::fs::symlink_metadata(beads.join(name)) {
        Ok(file) => file.modified().map(Some).map_err(|error| format!("{name}: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{name}: {error}")),
    };
    let exported = written("issues.jsonl")?.max(written("beads.jsonl")?);
    Ok(Files { database: beads.join("beads.db"), exported })
}

/// The directory with the beads. As in `bd`, a file `redirect` names another directory, relative to the one that
/// contains `.beads`; only once.
fn followed(beads: &Path) -> Result<PathBuf, String> {
    let content = match files::read(&beads.join("redirect")) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(beads.to_owned()),
        Err(error) => return Err(format!("redirect: {error}")),
    };
    let text = String::from_utf8(content).map_err(|_| "redirect is not text".to_owned())?;
    let target = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(target) = target else { return Ok(beads.to_owned()) };
    let target = beads.parent().unwrap_or(beads).join(target);
    if target.is_dir() { Ok(target) } else { Err("redirect names no directory".to_owned()) }
}

/// An error when `bd`'s own notes name another place or backend for its beads.
fn only_sqlite(beads: &Path) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Said {
        database: Option<String>,
        backend: Option<String>,
    }
    let content = match files::read(&beads.join("metadata.json")) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("metadata.json: {error}")),
    };
    let said: Said = serde_json::from_slice(&content).map_err(|error| format!("metadata.json: {error}"))?;
    let other = |value: Option<String>, ours: &str| value.filter(|value| !value.is_empty() && value != ours);
    match (other(said.backend, "sqlite"), other(said.database, "beads.db")) {
        (None, None) => Ok(()),
        (Some(backend), _) => Err(format!("metadata.json names the backend {backend:?}")),
        (None, Some(database)) => Err(format!("metadata.json names the database {database:?}")),
    }
}

/// Why the database is older than its export, if it is: `bd` would import that first, or refuse.
fn stale(database: &Connection, exported: Option<SystemTime>) -> rusqlite::Result<Option<String>> {
    let Some(exported) = exported else { return Ok(None) };
    let imported: Option<String> = database.query_row(IMPORTED, [], |row| row.get(0)).optional()?;
    Ok(match (imported.as_deref().map(time), Timestamp::try_from(exported)) {
        // As in `bd`, a database without any import is not out of date.
        (None, Ok(_)) => None,
        (Some(Some(imported)), Ok(exported)) if exported <= imported => None,
        _ => Some("its export is newer than its last import".to_owned()),
    })
}

fn rows(database: &Connection, ids: &str) -> rusqlite::Result<Result<BTreeMap<String, Bead>, String>> {
    let mut statement = database.prepare(BEADS)?;
    let mut rows = statement.query(params![ids])?;
    let mut beads = BTreeMap::new();
    while let Some(line) = rows.next()? {
        match bead(line)? {
            Ok(bead) => drop(beads.insert(bead.id.clone(), bead)),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(beads))
}

/// One row, converted as if `bd show` had printed it: empty fields count as absent.
fn bead(line: &Line<'_>) -> rusqlite::Result<Result<Bead, String>> {
    let text = |at: usize| line.get::<_, Option<String>>(at).map(|text| text.filter(|text| !text.is_empty()));
    let id: String = line.get(0)?;
    let updated: Option<String> = text(5)?;
    let time = updated.as_deref().map(time);
    if time == Some(None) {
        return Ok(Err(format!("updated_at of {id} is not a time: {updated:?}")));
    }
    let labels = serde_json::from_str(&line.get::<_, String>(8)?).unwrap_or_default();
    let printed = Row {
        status: text(1)?,
        issue_type: text(2)?,
        description: text(3)?,
        assignee: text(4)?,
        updated_at: time.flatten().map(|time| time.to_string().into()),
        hook_bead: text(6)?,
        agent_state: text(7)?,
        labels: Some(labels),
        id,
    };
    Ok(Ok(printed.bead()))
}

/// A time in the database's format: RFC 3339 with `T` or a blank, or UTC without a zone (`CURRENT_TIMESTAMP`).
fn time(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// The stamp of the files: it differs when one is replaced or written to. An empty log counts as none, as readers
/// create and remove it.
fn stamp(files: &Files, now: SystemTime) -> Option<Stamp> {
    let mut text = String::new();
    for suffix in ["", "-wal"] {
        let mut path = files.database.clone().into_os_string();
        path.push(suffix);
        match std::fs::metadata(path) {
            Ok(file) if file.len() == 0 && !suffix.is_empty() => {}
            Ok(file) => {
                settled(file.modified().ok()?, now)?;
                let (seconds, nanos) = (file.mtime(), file.mtime_nsec());
                write!(text, "{}:{}:{}:{seconds}.{nanos:09} ", file.dev(), file.ino(), file.len()).ok()?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(_) => return None,
        }
    }
    if let Some(exported) = files.exported {
        settled(exported, now)?;
        write!(text, "{exported:?}").ok()?;
    }
    Some(Stamp(text))
}

/// `None` when the file was written just now, or in the future.
fn settled(written: SystemTime, now: SystemTime) -> Option<()> {
    now.duration_since(written).is_ok_and(|age| age >= TICK).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_databases_keep_them() {
        for (text, expected) in [
            ("2026-11-22T20:44:10.305574201Z", Some("2026-11-22T20:44:10.305574201Z")),
            ("2026-11-22T20:44:10-08:00", Some("2026-11-23T04:44:10Z")),
            ("2026-11-22 20:44:10.5+00:00", Some("2026-11-22T20:44:10.5Z")),
            ("2026-11-22 20:44:10", Some("2026-11-22T20:44:10Z")),
            ("2026-11-22 20:44:10.5 +0000 UTC m=+0.1", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(time(text).map(|time| time.to_string()).as_deref(), expected, "{text:?}");
        }
    }
}
