//! Watching directories: counters that change when something in them was created, written, renamed or removed.
//!
//! There is one for the town's files, one for its event log, one for its bead databases, and one for the export that
//! `bd` (0.47 to 0.49) writes after each change of a database, which means that mail may have come. A database changes
//! all the time, and some readers write to its log: its counter only means that comparing its files may be worthwhile. A
//! counter is a hint to read again, never the truth: the operating system may drop events, and the counter does not say
//! what changed. Reading a file never changes a counter. Nothing is watched recursively, and nothing polls.
//!
//! Of a town that is one file only that file counts, and those that it leads to through symbolic links.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that looks at the watched directories")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use notify::{Event, EventKind, event::ModifyKind};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{disk_task, paths::TownPaths, watched::Watched};
use crate::terminal;

/// Reports that something in the town's directories changed.
#[async_trait]
pub trait FsWatcher: Send + Sync {
    /// A counter that changes with the town's files.
    fn changes(&self) -> watch::Receiver<u64>;

    /// A counter that changes with the ledger, if that can be detected: mail may have come.
    fn ledger(&self) -> watch::Receiver<u64>;

    /// A counter that changes when a bead database may have been written to.
    fn databases(&self) -> watch::Receiver<u64>;

    /// A counter that changes with the event log.
    fn events(&self) -> watch::Receiver<u64>;

    /// Watches exactly these directories from now on. For those that do not exist, the nearest existing parent is
    /// watched, so that the counter changes when they appear; the next call watches them. Returns why some cannot be
    /// watched.
    async fn retarget(&self, directories: Vec<PathBuf>) -> Option<String>;

    /// Whether all directories were watched at the last call.
    fn are_complete(&self) -> bool;
}

/// The operating system's file watch; without it, changes are noticed at the heartbeat.
pub struct SystemFsWatcher {
    watch: Result<Arc<Mutex<DirectoryWatch>>, String>,
    /// For receivers when there is no file watch: it never changes.
    still: watch::Sender<u64>,
    incomplete: AtomicBool,
}

impl SystemFsWatcher {
    /// Watches nothing yet of this town.
    pub fn of(paths: &TownPaths) -> Self {
        let watch = DirectoryWatch::of(paths).map(|watch| Arc::new(Mutex::new(watch)));
        SystemFsWatcher {
            watch: watch.map_err(|error| error.to_string()),
            still: watch::Sender::new(0),
            incomplete: AtomicBool::new(true),
        }
    }

    fn counter(&self, of: impl Fn(&DirectoryWatch) -> watch::Receiver<u64>) -> watch::Receiver<u64> {
        match &self.watch {
            Ok(watch) => of(&watch.lock()),
            Err(_) => self.still.subscribe(),
        }
    }
}

#[async_trait]
impl FsWatcher for SystemFsWatcher {
    fn changes(&self) -> watch::Receiver<u64> {
        self.counter(DirectoryWatch::changes)
    }

    fn ledger(&self) -> watch::Receiver<u64> {
        self.counter(DirectoryWatch::ledger)
    }

    fn databases(&self) -> watch::Receiver<u64> {
        self.counter(DirectoryWatch::databases)
    }

    fn events(&self) -> watch::Receiver<u64> {
        self.counter(DirectoryWatch::events)
    }

    async fn retarget(&self, directories: Vec<PathBuf>) -> Option<String> {
        let why = self.watch_these(directories).await;
        self.incomplete.store(why.is_some(), Ordering::Relaxed);
        why
    }

    fn are_complete(&self) -> bool {
        !self.incomplete.load(Ordering::Relaxed)
    }
}

impl SystemFsWatcher {
    async fn watch_these(&self, directories: Vec<PathBuf>) -> Option<String> {
        let watch = match &self.watch {
            Ok(watch) => watch.clone(),
            Err(why) => return Some(why.clone()),
        };
        let town = directories.first().cloned().unwrap_or_default();
        let retargeted = disk_task::run(&town, move |_| {
            let mut watch = watch.lock();
            Ok(watch.retarget(&directories).first().map(ToString::to_string))
        });
        retargeted.await.unwrap_or_else(|error| Some(format!("the town cannot be watched: {error}")))
    }
}

/// Why directories cannot be watched. Everything still works without that, only later.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The operating system gives no watcher.
    #[error("files cannot be watched ({0}); changes are noticed at the next heartbeat")]
    NoWatcher(notify::Error),
    /// One directory cannot be watched.
    #[error("{} cannot be watched ({source}); changes there are noticed at the next heartbeat", terminal::path(.path))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: notify::Error,
    },
}

/// How often to check whether a directory appeared while it was not watched.
const TRIES: usize = 4;

/// A set of watched directories.
#[derive(Debug)]
pub struct DirectoryWatch {
    watched: Watched<Identity>,
    interest: Arc<Mutex<Interest>>,
    counters: Arc<Counters>,
    town: PathBuf,
    /// The file that is the town, where it is one.
    file: Option<PathBuf>,
}

/// The paths whose changes are reported.
#[derive(Debug, Default)]
struct Interest {
    /// The directories whose files are reported.
    wanted: BTreeSet<PathBuf>,
    /// The directories that are reported themselves when they appear or vanish: the wanted ones and their parents.
    on_the_way: BTreeSet<PathBuf>,
    /// The only files that are reported; `None` where all in the wanted directories may be.
    only: Option<BTreeSet<PathBuf>>,
}

impl Interest {
    fn in_these(town: &Path, directories: &[PathBuf], only: Option<BTreeSet<PathBuf>>) -> Self {
        let below = |path: &&Path| *path != town && path.starts_with(town);
        let on_the_way = directories.iter().flat_map(|path| path.ancestors().take_while(below));
        Interest {
            wanted: directories.iter().cloned().collect(),
            on_the_way: on_the_way.map(Path::to_owned).collect(),
            only,
        }
    }
}

/// The counters, one for each kind of reader.
#[derive(Debug, Default)]
struct Counters {
    town: watch::Sender<u64>,
    ledger: watch::Sender<u64>,
    databases: watch::Sender<u64>,
    events: watch::Sender<u64>,
}

impl DirectoryWatch {
    /// Watches nothing yet; `town` is the town's root.
    pub fn new(town: &Path) -> Result<Self, WatchError> {
        Self::observed(town, |_| ())
    }

    /// Watches nothing yet of this town.
    pub fn of(paths: &TownPaths) -> Result<Self, WatchError> {
        Ok(DirectoryWatch { file: paths.agents_file(), ..Self::new(paths.root())? })
    }

    /// Like [`new`](Self::new); `observe` gets each change before a counter changes.
    fn observed(
        town: &Path,
        observe: impl Fn(&notify::Result<Event>) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let counters = Arc::new(Counters::default());
        let interest = Arc::new(Mutex::new(Interest::default()));
        let (moved, root, told) = (counters.clone(), town.to_owned(), interest.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that events were lost: read again.
            let whose = event.as_ref().map_or(EVERYBODYS, |event| {
                let interest = told.lock();
                if is_change(event.kind) { whose(&root, &interest, event) } else { NOBODYS }
            });
            if whose != NOBODYS {
                observe(&event);
            }
            moved.move_those_of(whose);
        })
        .map_err(WatchError::NoWatcher)?;
        Ok(DirectoryWatch {
            watched: Watched::new(watcher),
            interest,
            counters,
            town: town.to_owned(),
            file: None,
        })
    }

    /// The counter of the town's files.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.counters.town.subscribe()
    }

    /// The counter of the ledger.
    pub fn ledger(&self) -> watch::Receiver<u64> {
        self.counters.ledger.subscribe()
    }

    /// The counter of the bead databases.
    pub fn databases(&self) -> watch::Receiver<u64> {
        self.counters.databases.subscribe()
    }

    /// The counter of the event log.
    pub fn events(&self) -> watch::Receiver<u64> {
        self.counters.events.subscribe()
    }

    /// Watches exactly these directories from now on. For those that do not exist, the nearest existing parent in the
    /// town is watched, so that their appearance is reported; the next call finds them. Returns those that cannot be
    /// watched.
    pub fn retarget(&mut self, directories: &[PathBuf]) -> Vec<WatchError> {
        let links = self.file.as_deref().map(links);
        let of_links = links.iter().flatten().filter_map(|it| it.parent()).map(Path::to_owned);
        let directories: &[PathBuf] = &directories.iter().cloned().chain(of_links).collect::<Vec<_>>();
        let interest = Interest::in_these(&self.town, directories, links);
        let before = std::mem::replace(&mut *self.interest.lock(), interest);
        let mut failed = Vec::new();
        // A directory that appears while its parent is not watched yet is not reported.
        for _ in 0..TRIES {
            let targets = self.targets(directories);
            let (appeared, cannot) = self.watched.exactly(&targets);
            failed =
                cannot.into_iter().map(|(path, source)| WatchError::Directory { path, source }).collect();
            if appeared.iter().any(|path| before.wanted.contains(path)) {
                // It may have been filled before it was watched.
                self.counters.move_those_of(TOWNS);
            }
            if appeared.iter().any(|path| path.ends_with(".beads")) {
                self.counters.move_those_of(DATABASES);
            }
            if self.targets(directories) == targets {
                break;
            }
        }
        failed
    }

    /// The paths to watch for these directories.
    fn targets(&self, directories: &[PathBuf]) -> BTreeMap<PathBuf, Identity> {
        let nearest = |path: &PathBuf| {
            let mut above = path.ancestors();
            let own = above.next().and_then(|path| Some((path.to_owned(), identity(path)?)));
            own.or_else(|| {
                let inside = above.take_while(|path| path.starts_with(&self.town));
                inside.into_iter().find_map(|path| Some((path.to_owned(), identity(path)?)))
            })
        };
        directories.iter().filter_map(nearest).collect()
    }
}

impl Counters {
    fn move_those_of(&self, whose: Whose) {
        let counters = [
            (whose.town, &self.town),
            (whose.ledger, &self.ledger),
            (whose.databases, &self.databases),
            (whose.events, &self.events),
        ];
        for (theirs, counter) in counters {
            if theirs {
                counter.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }
}

/// The kinds of files that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Whose {
    town: bool,
    ledger: bool,
    databases: bool,
    events: bool,
}

const EVERYBODYS: Whose = Whose { town: true, ledger: true, databases: true, events: true };
const NOBODYS: Whose = Whose { town: false, ledger: false, databases: false, events: false };
const TOWNS: Whose = Whose { town: true, ..NOBODYS };
const DATABASES: Whose = Whose { databases: true, ..NOBODYS };

fn whose(town: &Path, interest: &Interest, event: &Event) -> Whose {
    if event.paths.is_empty() {
        return EVERYBODYS;
    }
    let of = |path: &PathBuf| {
        if let Some(only) = &interest.only {
            return if only.contains(path) { TOWNS } else { NOBODYS };
        }
        if interest.on_the_way.contains(path) && comes_or_goes(event.kind) {
            return TOWNS;
        }
        let wanted = path.parent().is_some_and(|directory| interest.wanted.contains(directory));
        if wanted { whose_file(town, path) } else { NOBODYS }
    };
    event.paths.iter().map(of).fold(NOBODYS, |one, other| Whose {
        town: one.town || other.town,
        ledger: one.ledger || other.ledger,
        databases: one.databases || other.databases,
        events: one.events || other.events,
    })
}

fn comes_or_goes(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Data(_)))
}

fn whose_file(town: &Path, path: &Path) -> Whose {
    let (directory, name) = (path.parent(), path.file_name().and_then(|name| name.to_str()));
    let in_beads = directory.and_then(Path::file_name).is_some_and(|name| name == ".beads");
    let in_towns = in_beads && directory.and_then(Path::parent) == Some(town);
    match name {
        Some("beads.db" | "beads.db-wal") if in_beads => DATABASES,
        // Mail and routes are stored with the town's beads.
        Some("issues.jsonl") if in_towns => Whose { ledger: true, ..NOBODYS },
        Some("routes.jsonl") if in_towns => TOWNS,
        _ if in_beads => NOBODYS,
        Some(".events.jsonl") if directory == Some(town) => Whose { events: true, ..NOBODYS },
        // Agents work in the root too, so of its other files only an emergency stop counts.
        Some(name) if directory == Some(town) && name != "ESTOP" && !name.starts_with("ESTOP.") => NOBODYS,
        _ => TOWNS,
    }
}

fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(_))
}

/// A file, and all that it leads to through symbolic links.
fn links(file: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut next = Some(file.to_owned());
    // A circle ends where it closes.
    while let Some(path) = next.filter(|path| !all.contains(path)) {
        next = fs::read_link(&path).ok().map(|target| path.parent().unwrap_or(&path).join(target));
        all.insert(path);
    }
    all
}

/// Device, inode and, because inodes are reused, the time of creation.
type Identity = (u64, u64, Option<SystemTime>);

/// The identity of a directory; `None` when the path is none.
fn identity(path: &Path) -> Option<Identity> {
    let data = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
    Some((data.dev(), data.ino(), data.created().ok()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A watch, and the paths of all reported changes, in order.
    struct Told {
        watch: DirectoryWatch,
        paths: mpsc::UnboundedReceiver<PathBuf>,
    }

    impl Told {
        fn new(town: &Path) -> Self {
            let (tell, paths) = mpsc::unbounded_channel();
            let watch = DirectoryWatch::observed(town, move |event| {
                event.as_ref().unwrap().paths.iter().for_each(|path| tell.send(path.clone()).unwrap());
            });
            Told { watch: watch.unwrap(), paths }
        }

        /// The changes reported until a change of `path` was.
        async fn until(&mut self, path: &Path) -> Vec<PathBuf> {
            let mut before = Vec::new();
            let wait = async {
                while let Some(told) = self.paths.recv().await {
                    if told == path {
                        return;
                    }
                    before.push(told);
                }
            };
            tokio::time::timeout(DEADLINE, wait)
                .await
                .unwrap_or_else(|_| panic!("{} not told", path.display()));
            before
        }
    }

    #[tokio::test]
    async fn every_kind_of_change_moves_the_counter() {
        type Act = fn(&Path);
        let acts: [(&str, Act); 4] = [
            ("create", |dir| fs::create_dir(dir.join("new")).unwrap()),
            ("modify", |dir| fs::write(dir.join("old"), "22").unwrap()),
            ("replace", |dir| crate::town::files::replace(&dir.join("old"), b"3", 0o644).unwrap()),
            ("remove", |dir| fs::remove_file(dir.join("old")).unwrap()),
        ];
        for (name, act) in acts {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("old"), "1").unwrap();
            let mut watch = DirectoryWatch::new(Path::new("/town")).unwrap();
            let mut changes = watch.changes();
            assert!(watch.retarget(&[dir.path().to_owned()]).is_empty());
            act(dir.path());
            let moved = tokio::time::timeout(DEADLINE, changes.changed()).await;
            assert!(moved.is_ok(), "{name}");
        }
    }

    #[tokio::test]
    async fn reading_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, marker) = (dir.path().join("f"), dir.path().join("marker"));
        fs::write(&file, "1").unwrap();
        let mut told = Told::new(Path::new("/town"));
        assert!(told.watch.retarget(&[dir.path().to_owned()]).is_empty());
        fs::read(&file).unwrap();
        fs::read_dir(dir.path()).unwrap().for_each(drop);
        fs::create_dir(&marker).unwrap();
        assert_eq!(told.until(&marker).await, Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn follows_directories_that_appear_are_replaced_or_no_longer_wanted() {
        let town = tempfile::tempdir().unwrap();
        let dirs = [town.path().join("a"), town.path().join("b")];
        fs::create_dir(&dirs[0]).unwrap();
        let mut told = Told::new(town.path());
        assert!(told.watch.retarget(&dirs).is_empty(), "a missing one is no error");

        fs::create_dir(&dirs[1]).unwrap();
        assert!(told.watch.retarget(&dirs).is_empty());
        fs::create_dir(dirs[1].join("appeared")).unwrap();
        told.until(&dirs[1].join("appeared")).await;

        fs::remove_dir_all(&dirs[1]).unwrap();
        fs::create_dir(&dirs[1]).unwrap();
        assert!(told.watch.retarget(&dirs).is_empty());
        fs::create_dir(dirs[1].join("replaced")).unwrap();
        told.until(&dirs[1].join("replaced")).await;

        assert!(told.watch.retarget(&dirs[1..]).is_empty());
        fs::create_dir(dirs[0].join("unwanted")).unwrap();
        fs::create_dir(dirs[1].join("wanted")).unwrap();
        let before = told.until(&dirs[1].join("wanted")).await;
        assert!(!before.contains(&dirs[0].join("unwanted")), "{before:?}");
    }

    #[tokio::test]
    async fn of_a_bead_directory_the_export_the_database_and_the_routes_count() {
        let town = tempfile::tempdir().unwrap();
        let (beads, mayor) = (town.path().join(".beads"), town.path().join("mayor"));
        fs::create_dir(&beads).unwrap();
        fs::create_dir(&mayor).unwrap();
        let mut told = Told::new(town.path());
        let (mut changes, mut ledger) = (told.watch.changes(), told.watch.ledger());
        let mut databases = told.watch.databases();
        assert!(told.watch.retarget(&[beads.clone(), mayor.clone()]).is_empty());
        for name in ["beads.db", "beads.db-wal"] {
            fs::write(beads.join(name), "1").unwrap();
            tokio::time::timeout(DEADLINE, databases.changed()).await.unwrap().unwrap();
            told.until(&beads.join(name)).await;
        }
        assert!(!ledger.has_changed().unwrap(), "no mail came");
        for name in ["beads.db-shm", "daemon.lock", "last-touched"] {
            fs::write(beads.join(name), "1").unwrap();
        }
        crate::town::files::replace(&beads.join("issues.jsonl"), b"{}", 0o644).unwrap();
        tokio::time::timeout(DEADLINE, ledger.changed()).await.unwrap().unwrap();
        assert!(!changes.has_changed().unwrap(), "the town's files did not change");
        fs::write(beads.join("routes.jsonl"), "{}").unwrap();
        tokio::time::timeout(DEADLINE, changes.changed()).await.unwrap().unwrap();
        ledger.mark_unchanged();
        fs::write(mayor.join("rigs.json"), "{}").unwrap();
        let before = told.until(&mayor.join("rigs.json")).await;
        assert!(before.iter().all(|path| !path.ends_with("beads.db-shm")), "{before:?}");
        assert!(!ledger.has_changed().unwrap(), "nor did the ledger");
    }

    #[tokio::test]
    async fn of_the_root_only_the_event_log_and_emergency_stops_count() {
        let town = tempfile::tempdir().unwrap();
        let root = town.path();
        let mut told = Told::new(root);
        let (mut changes, mut events) = (told.watch.changes(), told.watch.events());
        assert!(told.watch.retarget(&[root.to_owned()]).is_empty());
        for name in [".feed.jsonl", ".events.jsonl.lock", "notes.md"] {
            fs::write(root.join(name), "1").unwrap();
        }
        fs::write(root.join(".events.jsonl"), "{}").unwrap();
        tokio::time::timeout(DEADLINE, events.changed()).await.unwrap().unwrap();
        assert!(!changes.has_changed().unwrap(), "nothing that says how the town is to be treated");
        told.until(&root.join(".events.jsonl")).await;
        for name in ["ESTOP", "ESTOP.gastown"] {
            fs::write(root.join(name), "").unwrap();
            tokio::time::timeout(DEADLINE, changes.changed()).await.unwrap().unwrap();
            let before = told.until(&root.join(name)).await;
            assert!(before.iter().all(|path| !path.ends_with("notes.md")), "{before:?}");
        }
        fs::rename(root.join(".events.jsonl"), root.join(".events.jsonl.1")).unwrap();
        tokio::time::timeout(DEADLINE, events.changed()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_does_not_exist_is_waited_for() {
        let town = tempfile::tempdir().unwrap();
        let root = town.path();
        let wanted = [root.join(".beads-wisp/config"), root.join(".runtime/deacon")];
        let mut told = Told::new(root);
        let mut changes = told.watch.changes();
        assert!(told.watch.retarget(&wanted).is_empty());
        // Nothing else in the root counts for it.
        fs::create_dir(root.join("other")).unwrap();
        for directory in &wanted {
            fs::create_dir(directory.parent().unwrap()).unwrap();
            let before = told.until(directory.parent().unwrap()).await;
            assert!(!before.contains(&root.join("other")), "{before:?}");
            changes.mark_unchanged();
            assert!(told.watch.retarget(&wanted).is_empty());
            // It exists and is filled before anything reads again.
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("file"), "1").unwrap();
            told.until(directory).await;
            changes.mark_unchanged();
            assert!(told.watch.retarget(&wanted).is_empty());
            assert!(changes.has_changed().unwrap(), "looked at once more, now that it is watched");
            fs::write(directory.join("later"), "1").unwrap();
            told.until(&directory.join("later")).await;
        }
        // The whole path is removed, and created again.
        fs::remove_dir_all(root.join(".runtime")).unwrap();
        told.until(&root.join(".runtime/deacon")).await;
        assert!(told.watch.retarget(&wanted).is_empty());
        fs::create_dir_all(root.join(".runtime/deacon")).unwrap();
        told.until(&root.join(".runtime")).await;
    }

    #[tokio::test]
    async fn of_a_town_of_one_file_that_file_counts_wherever_it_really_is() {
        let (town, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, link) = (town.path().join("agents.toml"), elsewhere.path().join("link.toml"));
        let real = elsewhere.path().join("real.toml");
        fs::write(&real, "1").unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        std::os::unix::fs::symlink(&link, &file).unwrap();
        let paths = TownPaths::of_file(&file).unwrap();
        let mut watch = DirectoryWatch::of(&paths).unwrap();
        let mut changes = watch.changes();
        assert!(watch.retarget(&[town.path().to_owned()]).is_empty());
        let replace = |path: &Path| crate::town::files::replace(path, b"2", 0o644).unwrap();
        type Act<'a> = &'a dyn Fn();
        let acts: [(&str, Act<'_>); 4] = [
            ("the target is written", &|| fs::write(&real, "22").unwrap()),
            ("the target is replaced", &|| replace(&real)),
            ("a link on the way is removed", &|| fs::remove_file(&link).unwrap()),
            ("the file is renamed", &|| fs::rename(&file, town.path().join("other.toml")).unwrap()),
        ];
        for (name, act) in acts {
            changes.mark_unchanged();
            act();
            assert!(tokio::time::timeout(DEADLINE, changes.changed()).await.is_ok(), "{name}");
        }
        let mut told = Told::new(town.path());
        told.watch.file = Some(file.clone());
        let mut changes = told.watch.changes();
        assert!(told.watch.retarget(&[town.path().to_owned()]).is_empty());
        let others = ["agents.toml~", "ESTOP", ".events.jsonl"];
        for name in others {
            fs::write(town.path().join(name), "1").unwrap();
        }
        replace(&file);
        assert!(tokio::time::timeout(DEADLINE, changes.changed()).await.is_ok());
        let before = told.until(&file).await;
        assert!(!before.iter().any(|path| others.iter().any(|name| path.ends_with(name))), "{before:?}");
    }

    #[test]
    fn links_are_followed_to_the_end_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink("b", &a).unwrap();
        std::os::unix::fs::symlink("a", &b).unwrap();
        std::os::unix::fs::symlink("gone", &c).unwrap();
        assert_eq!(links(&a), [a.clone(), b].into(), "a circle");
        assert_eq!(links(&c), [c, dir.path().join("gone")].into(), "a target that is not there");
        assert_eq!(links(&dir.path().join("none")).len(), 1);
    }

    #[test]
    fn a_file_is_not_watched() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut watch = DirectoryWatch::new(Path::new("/town")).unwrap();
        assert!(watch.retarget(&[file.path().to_owned()]).is_empty());
        assert!(watch.watched.paths.is_empty());
    }
}
