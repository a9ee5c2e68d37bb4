//! Exec watcher: a counter that changes when Gas Town's program is about to start.
//!
//! To run a program the kernel opens its file, which Linux reports through inotify: before the process has its new
//! name, and so tens of milliseconds before a command has killed anything. It is only a hint: reading the file
//! changes the counter too, and inotify does not say which process opened it.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that looks at the watched files")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use notify::Event;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{terminal, town::watched::Watched};

/// Watches the files of programs.
#[async_trait]
pub trait ExecWatcher: Send + Sync {
    /// A counter that changes whenever one of the programs may have started, and when its file was replaced.
    fn begun(&self) -> watch::Receiver<u64>;

    /// Watches exactly these programs from now on. Cheap when they are the same files as before. To be called again
    /// from time to time, as a replaced file is another file. Returns why one of them cannot be watched.
    async fn watch(&self, programs: Vec<PathBuf>) -> Option<String>;
}

/// The operating system's file watch. On systems without one, the counter never changes.
pub struct SystemExecWatcher {
    watch: Result<Arc<Mutex<Watched<File>>>, String>,
    begun: watch::Sender<u64>,
}

impl SystemExecWatcher {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let begun = watch::Sender::new(0_u64);
        let told = begun.clone();
        let watcher = notify::recommended_watcher(move |_: notify::Result<Event>| {
            // Opened, replaced, or events were lost: each is a reason to scan.
            told.send_modify(|count: &mut u64| *count = count.wrapping_add(1));
        });
        let watch = watcher.map(|watcher| Arc::new(Mutex::new(Watched::new(watcher))));
        SystemExecWatcher { watch: watch.map_err(|error| error.to_string()), begun }
    }
}

impl Default for SystemExecWatcher {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ExecWatcher for SystemExecWatcher {
    fn begun(&self) -> watch::Receiver<u64> {
        self.begun.subscribe()
    }

    async fn watch(&self, programs: Vec<PathBuf>) -> Option<String> {
        if !cfg!(target_os = "linux") {
            return None; // no other system reports that a file is opened
        }
        let watch = match &self.watch {
            Ok(watch) => watch.clone(),
            Err(why) => return Some(why.clone()),
        };
        let failed = tokio::task::spawn_blocking(move || {
            let wanted = programs.iter().filter_map(|path| file(path)).collect();
            watch.lock().exactly(&wanted).1.pop()
        });
        let (path, error) = failed.await.ok()??;
        Some(format!("{} cannot be watched ({error})", terminal::path(path)))
    }
}

/// Device, inode and time of the last change (seconds and nanoseconds).
type File = (u64, u64, i64, i64);

/// The path of a program without links, and its file; `None` when there is none.
fn file(path: &Path) -> Option<(PathBuf, File)> {
    let path = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some((path, (data.dev(), data.ino(), data.ctime(), data.ctime_nsec())))
}
