//! Beginnings: a counter that moves when Gas Town's program is about to begin.
//!
//! To run a program the kernel opens its file, which Linux tells through inotify: before the process has its new name, and
//! so tens of milliseconds before a command has killed anything. Only a hint to look: reading the file moves it too, and
//! who opened it is not told.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that looks at the watched files")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

/// The port.
#[async_trait]
pub trait Beginnings: Send + Sync {
    /// A counter that moves whenever one of the programs may have begun, and when its file was replaced.
    fn begun(&self) -> watch::Receiver<u64>;

    /// Tells of exactly these programs from now on. Cheap when they are the same files as before; to be called again from
    /// time to time, as a file that was replaced is another file. Returns why one of them cannot be watched.
    async fn watch(&self, programs: Vec<PathBuf>) -> Option<String>;
}

/// The operating system's word for it. Where there is none, the counter never moves.
pub struct SystemBeginnings {
    watch: Result<Arc<Mutex<ProgramWatch>>, String>,
    begun: watch::Sender<u64>,
}

impl SystemBeginnings {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let begun = watch::Sender::new(0_u64);
        let watch = ProgramWatch::new(begun.clone()).map(|watch| Arc::new(Mutex::new(watch)));
        SystemBeginnings { watch: watch.map_err(|error| error.to_string()), begun }
    }
}

impl Default for SystemBeginnings {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Beginnings for SystemBeginnings {
    fn begun(&self) -> watch::Receiver<u64> {
        self.begun.subscribe()
    }

    async fn watch(&self, programs: Vec<PathBuf>) -> Option<String> {
        if !cfg!(target_os = "linux") {
            return None; // no other system tells when a file is opened
        }
        let watch = match &self.watch {
            Ok(watch) => watch.clone(),
            Err(why) => return Some(why.clone()),
        };
        tokio::task::spawn_blocking(move || {
            watch.lock().unwrap_or_else(PoisonError::into_inner).retarget(&programs)
        })
        .await
        .ok()
        .flatten()
    }
}

/// A set of watched programs.
struct ProgramWatch {
    watcher: RecommendedWatcher,
    /// By canonical path, which file it is: device and inode, and when its inode last changed, as inodes are used again.
    watched: BTreeMap<PathBuf, (u64, u64, i64, i64)>,
}

impl ProgramWatch {
    fn new(begun: watch::Sender<u64>) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |_: notify::Result<Event>| {
            // Opened, replaced, or events were lost: each is a reason to look.
            begun.send_modify(|count| *count = count.wrapping_add(1));
        })?;
        Ok(ProgramWatch { watcher, watched: BTreeMap::new() })
    }

    fn retarget(&mut self, programs: &[PathBuf]) -> Option<String> {
        let wanted: BTreeMap<_, _> = programs.iter().filter_map(|path| file(path)).collect();
        for (path, old) in std::mem::take(&mut self.watched) {
            if wanted.get(&path) == Some(&old) {
                self.watched.insert(path, old);
            } else {
                // Fails when the file is gone, and its watch with it.
                let _ = self.watcher.unwatch(&path);
            }
        }
        let mut failed = None;
        for (path, file) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path, file)),
                Err(error) => failed = Some(format!("{} cannot be watched ({error})", path.display())),
            }
        }
        failed
    }
}

/// Where a program really is, and which file that is; `None` when there is none.
fn file(path: &Path) -> Option<(PathBuf, (u64, u64, i64, i64))> {
    let path = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some((path, (data.dev(), data.ino(), data.ctime(), data.ctime_nsec())))
}
