//! The transcripts on the real disk.
//!
//! Nothing polls: directories are watched, and only names, times and the end of one file are read. What programs write there is
//! theirs: it is opened for reading only, and anything but a regular file is an error.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that reads transcripts")]

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use notify::EventKind;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Belongs, Candidate, HEAD, Head, Location, Silence, Tail, Transcripts, choose};
use crate::{
    terminal,
    town::{disk_task, opening, watched::Watched},
};

/// At most this many directories are watched; transcripts in others are read at heartbeats.
const WATCHES: usize = 512;
/// Changes that nobody has taken yet; beyond that, the receiver is told that it missed some.
const CHANGES: usize = 1024;
/// At most this many files of a directory are examined.
const FILES: usize = 10_000;
/// How often directories are watched anew that appear meanwhile.
const TRIES: usize = 8;

type Identity = (u64, u64);

/// The transcripts on this machine.
pub struct DiskTranscripts {
    watch: Result<Arc<Mutex<Watched<Identity>>>, String>,
    changes: broadcast::Sender<PathBuf>,
    /// How often it was asked to watch: only the last call counts, whichever thread comes first.
    asked: Arc<AtomicU64>,
}

impl DiskTranscripts {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let changes = broadcast::Sender::new(CHANGES);
        let tell = changes.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Lost events: what is not read now is read at the next change or heartbeat.
            let Ok(event) = event else { return };
            if !matches!(event.kind, EventKind::Access(_)) {
                event.paths.into_iter().for_each(|path| drop(tell.send(path)));
            }
        });
        let watch = watcher.map(|watcher| Arc::new(Mutex::new(Watched::new(watcher))));
        DiskTranscripts { watch: watch.map_err(|error| error.to_string()), changes, asked: Arc::default() }
    }
}

impl Default for DiskTranscripts {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transcripts for DiskTranscripts {
    async fn find(&self, location: &Location) -> Result<Candidate, Silence> {
        let (location, first) = (location.clone(), first(location));
        let found = disk_task::run(&first.clone(), move |_| Ok(find(&location))).await;
        found.unwrap_or_else(|error| Err(Silence::Unreadable(first, error)))
    }

    async fn find_each(&self, locations: Vec<Location>) -> Vec<Result<Candidate, Silence>> {
        let all: Vec<PathBuf> = locations.iter().map(first).collect();
        let Some(one) = all.first().cloned() else { return Vec::new() };
        let found = disk_task::run(&one, move |_| Ok(locations.iter().map(find).collect())).await;
        found.unwrap_or_else(|error| {
            let silent = |first| Err(Silence::Unreadable(first, error.kind().into()));
            all.into_iter().map(silent).collect()
        })
    }

    async fn tail(&self, path: &Path, most: usize) -> io::Result<Tail> {
        disk_task::run(path, move |path| tail(path, most)).await
    }

    fn changes(&self) -> broadcast::Receiver<PathBuf> {
        self.changes.subscribe()
    }

    async fn watch(&self, mut directories: Vec<PathBuf>) -> Option<String> {
        let watch = match &self.watch {
            Ok(watch) => watch.clone(),
            Err(why) => return Some(why.clone()),
        };
        let left_out = directories.len().saturating_sub(WATCHES);
        directories.truncate(WATCHES);
        let first = directories.first().cloned().unwrap_or_default();
        let number = self.asked.fetch_add(1, Relaxed) + 1;
        let (asked, changes) = (self.asked.clone(), self.changes.clone());
        let failed = disk_task::run(&first, move |_| {
            let mut watch = watch.lock();
            let is_latest = || asked.load(Relaxed) == number;
            let (mut wanted, mut failed) = (BTreeMap::new(), Vec::new());
            for _ in 0..TRIES {
                let now: BTreeMap<PathBuf, Identity> =
                    directories.iter().filter_map(|path| nearest(path)).collect();
                // Else one has appeared before that above it was watched.
                if wanted == now || !is_latest() {
                    break;
                }
                let (new, refused) = watch.exactly(&now);
                // What was written there before counts, too.
                let appeared = new.into_iter().filter(|path| directories.contains(path));
                appeared.for_each(|path| drop(changes.send(path)));
                (wanted, failed) = (now, refused);
            }
            Ok(failed.into_iter().next())
        });
        match failed.await {
            Ok(Some((path, error))) => Some(format!("{} cannot be watched: {error}", terminal::path(path))),
            Ok(None) if left_out > 0 => Some(format!("{left_out} directories are too many to be watched")),
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}

/// This directory, or the nearest above it that exists, with its identity.
fn nearest(path: &Path) -> Option<(PathBuf, Identity)> {
    path.ancestors().find_map(|path| {
        let data = fs::metadata(path).ok().filter(Metadata::is_dir)?;
        Some((path.to_owned(), (data.dev(), data.ino())))
    })
}

/// The directory by which a location is named.
fn first(location: &Location) -> PathBuf {
    location.directories.first().cloned().unwrap_or_default()
}

fn find(location: &Location) -> Result<Candidate, Silence> {
    let mut candidates = Vec::new();
    for directory in &location.directories {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Silence::Unreadable(directory.clone(), error)),
        };
        for entry in entries.take(FILES).flatten() {
            let is_wanted = entry.file_name().to_str().is_some_and(location.names);
            if let Some(candidate) = Some(entry.path()).filter(|_| is_wanted).and_then(candidate) {
                candidates.push(candidate);
            }
        }
    }
    candidates.retain(|candidate| candidate.written >= location.since);
    if let Belongs::ByHead(directory, judge) = &location.belongs {
        let mut own = Vec::new();
        for candidate in candidates {
            match head(&candidate.path).map(|head| judge(&head)) {
                Ok(Head::In(there)) if there == *directory => own.push(candidate),
                Ok(Head::In(_) | Head::NoSession) => {}
                // It may be the agent's.
                Ok(Head::Unknown) => {
                    let error = io::Error::other("its first line does not say whose session it is");
                    return Err(Silence::Unreadable(candidate.path, error));
                }
                Err(error) => return Err(Silence::Unreadable(candidate.path, error)),
            }
        }
        candidates = own;
    }
    let directory = location.directories.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
    choose(candidates, location.since, directory)
}

fn candidate(path: PathBuf) -> Option<Candidate> {
    let data = fs::metadata(&path).ok().filter(Metadata::is_file)?;
    let time = |time: io::Result<std::time::SystemTime>| Timestamp::try_from(time.ok()?).ok();
    Some(Candidate { path, written: time(data.modified())?, created: time(data.created()) })
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let (file, data) = opening::for_reading(path)?;
    part(&file, 0, data.len().min(HEAD as u64))
}

fn tail(path: &Path, most: usize) -> io::Result<Tail> {
    let (file, data) = opening::for_reading(path)?;
    let begin = data.len().saturating_sub(most as u64);
    Ok(Tail { bytes: part(&file, begin, data.len() - begin)?, is_whole: begin == 0 })
}

/// So many bytes from there, or as many as there are.
fn part(file: &fs::File, begin: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(most).unwrap_or(usize::MAX)];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], begin + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write, os::unix::fs::PermissionsExt, time::Duration};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn location(directory: &Path) -> Location {
        Location {
            directories: vec![directory.to_owned()],
            names: |name| name.ends_with(".jsonl"),
            belongs: Belongs::All,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn the_end_of_a_file_of_any_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let mut file = fs::File::create(&path).unwrap();
        // A sparse one: a gigabyte of zeros, and a line.
        file.set_len(1 << 30).unwrap();
        drop(file);
        file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"\nlast\n").unwrap();
        let disk = DiskTranscripts::new();
        let tail = disk.tail(&path, 8).await.unwrap();
        assert_eq!((tail.bytes.as_slice(), tail.is_whole), (&b"\0\0\nlast\n"[..], false));
        fs::write(&path, "short\n").unwrap();
        let tail = disk.tail(&path, 8).await.unwrap();
        assert_eq!((tail.bytes.as_slice(), tail.is_whole), (&b"short\n"[..], true), "it was replaced");
        assert_eq!(disk.find(&location(directory.path())).await.unwrap().path, path);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_silent_and_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskTranscripts::new();
        let why = async |location: Location| disk.find(&location).await.unwrap_err().to_string();
        assert_eq!(why(location(&directory.path().join("none"))).await, "no transcript has been written yet");
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(why(location(&directory.path().join("file"))).await.contains("Not a directory"));
        fs::create_dir(directory.path().join("a.jsonl")).unwrap();
        assert_eq!(why(location(directory.path())).await, "no transcript has been written yet", "no file");
        let closed = directory.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        // Root reads everything.
        let got = why(location(&closed)).await;
        assert!(got.contains("ermission denied") || rustix::process::geteuid().is_root(), "{got}");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[tokio::test]
    async fn files_of_one_directory_are_told_apart_by_their_heads() {
        fn judge(head: &[u8]) -> Head {
            match head {
                b"sub" => Head::NoSession,
                b"?" => Head::Unknown,
                directory => Head::In(String::from_utf8_lossy(directory).into_owned().into()),
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskTranscripts::new();
        let own = Location { belongs: Belongs::ByHead("/w".into(), judge), ..location(directory.path()) };
        for (name, content) in [("a.jsonl", "/w"), ("b.jsonl", "/other"), ("c.jsonl", "sub")] {
            fs::write(directory.path().join(name), content).unwrap();
        }
        assert_eq!(disk.find(&own).await.unwrap().path, directory.path().join("a.jsonl"));
        fs::write(directory.path().join("d.jsonl"), "?").unwrap();
        assert!(disk.find(&own).await.unwrap_err().to_string().contains("does not say whose session"));
    }

    #[tokio::test]
    async fn changes_are_reported_also_in_a_directory_that_appears() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, later) = (DiskTranscripts::new(), directory.path().join("later"));
        let mut changes = disk.changes();
        let mut next = async || tokio::time::timeout(DEADLINE, changes.recv()).await.unwrap().unwrap();
        assert_eq!(disk.watch(vec![later.clone()]).await, None);
        fs::create_dir(&later).unwrap();
        assert_eq!(next().await, later);
        assert_eq!(disk.watch(vec![later.clone()]).await, None);
        fs::write(later.join("a.jsonl"), "1").unwrap();
        while next().await != later.join("a.jsonl") {}
    }

    #[tokio::test]
    async fn what_is_watched_is_not_watched_anew() {
        let directory = tempfile::tempdir().unwrap();
        let all: Vec<PathBuf> = ["a", "b"].iter().map(|name| directory.path().join(name)).collect();
        all.iter().for_each(|path| fs::create_dir(path).unwrap());
        let disk = DiskTranscripts::new();
        let mut changes = disk.changes();
        assert_eq!(disk.watch(all.clone()).await, None);
        // Each that is watched anew is told as a change.
        assert_eq!([changes.try_recv().unwrap(), changes.try_recv().unwrap()].as_slice(), all);
        assert_eq!(disk.watch(all.clone()).await, None);
        assert!(changes.try_recv().is_err(), "nothing is another one");
        fs::rename(&all[1], directory.path().join("c")).unwrap();
        fs::create_dir(&all[1]).unwrap();
        assert_eq!(disk.watch(all.clone()).await, None);
        let mut told = Vec::new();
        while let Ok(path) = changes.try_recv() {
            told.push(path);
        }
        assert!(told.contains(&all[1]) && !told.contains(&all[0]), "{told:?}");
    }

    #[tokio::test]
    async fn several_are_found_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let (there, none) = (directory.path().join("there"), directory.path().join("none"));
        fs::create_dir(&there).unwrap();
        fs::write(there.join("a.jsonl"), "1").unwrap();
        let disk = DiskTranscripts::new();
        let found = disk.find_each(vec![location(&none), location(&there)]).await;
        assert!(matches!(found[0], Err(Silence::Nothing)), "{found:?}");
        assert_eq!(found[1].as_ref().unwrap().path, there.join("a.jsonl"));
        assert!(disk.find_each(Vec::new()).await.is_empty());
    }
}
