//! Writes: files of ours that are replaced as a whole; a write that fails is reported once and retried until it succeeds.
//!
//! One mechanism for all of them. There is one write at a time per file, so the newest content is the last on disk. A failed
//! write is kept with the source of its content, which is asked again for each retry, so a retry never restores an older state.
//! Retries back off up to a minute. Content that cannot be serialised leaves the file as it is. It must not know what is
//! written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    ports::{Ports, outbox::Outbox},
    terminal,
};

/// What a file is to hold.
pub trait Content: Send + Sync {
    /// It, as it is now.
    fn bytes(&self) -> serde_json::Result<Vec<u8>>;

    /// What was returned last is not on disk.
    fn failed(&self) {}
}

/// One that never changes.
impl Content for Vec<u8> {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        Ok(self.clone())
    }
}

/// One file, and what it is to hold.
#[derive(Clone)]
pub struct Write {
    /// Which file.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// The key under which a failure is reported.
    pub key: String,
    /// What it is to hold.
    pub content: Arc<dyn Content>,
}

/// The register; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// Lines for the event log.
    pub events: Outbox,
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<File>>>>,
    failed: Arc<watch::Sender<()>>,
}

/// A file that was written, or could not be.
#[derive(Default)]
struct File {
    turn: tokio::sync::Mutex<()>,
    /// The write that failed last, unless one succeeded since.
    failed: Mutex<Option<Write>>,
}

impl File {}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("failed", &self.failed.lock().is_some()).finish_non_exhaustive()
    }
}

impl Writes {
    /// Replaces the file. When it returns `Ok`, what its content was when this was called is on disk, or something newer. An
    /// error names the file, is a problem as long as it lasts, and is retried by [`keep_writing`](crate::tree::housekeeping::keep_writing).
    pub async fn replace(&self, ports: &Ports, write: Write) -> Result<(), String> {
        self.replace_unless(ports, write, || false).await
    }

    /// As [`replace`](Self::replace), unless by its turn its content is on disk already.
    pub async fn replace_unless(
        &self,
        ports: &Ports,
        write: Write,
        on_disk: impl Fn() -> bool,
    ) -> Result<(), String> {
        let file = self.files.lock().entry(write.path.clone()).or_default().clone();
        let _turn = file.turn.lock().await;
        if on_disk() {
            return Ok(());
        }
        let result = attempt(ports, &write).await;
        *file.failed.lock() = result.is_err().then_some(write);
        if result.is_err() {
            self.wake();
        }
        result
    }

    /// A line of the event log could not be written: it is retried too.
    pub fn wake(&self) {
        self.failed.send_replace(());
    }

    /// Retries each failed write once, and the events; returns whether any still fails.
    pub async fn retry(&self, ports: &Ports) -> bool {
        let files: Vec<Arc<File>> = self.files.lock().values().cloned().collect();
        let mut fails = false;
        for file in files {
            let _turn = file.turn.lock().await;
            let Some(write) = file.failed.lock().clone() else { continue };
            match attempt(ports, &write).await {
                Ok(()) => *file.failed.lock() = None,
                Err(_) => fails = true,
            }
        }
        if self.events.waiting() > 0 {
            self.events.flush(ports).await;
        }
        fails || self.events.waiting() > 0
    }

    /// Moves when a write failed.
    pub fn failures(&self) -> watch::Receiver<()> {
        self.failed.subscribe()
    }
}

/// A write that was given up, because its caller is gone, may not have happened: it counts as failed.
struct Unwritten<'a>(Option<&'a dyn Content>);

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if let Some(content) = self.0 {
            content.failed();
        }
    }
}

async fn attempt(ports: &Ports, write: &Write) -> Result<(), String> {
    let mut unwritten = Unwritten(Some(&*write.content));
    let written = match write.content.bytes() {
        Ok(content) => {
            let written = ports.files.replace(&write.path, &content, write.mode).await;
            written.map_err(|error| error.to_string())
        }
        Err(error) => {
            Err(format!("its content cannot be written as JSON ({error}); the file is left as it is"))
        }
    };
    match written {
        Ok(()) => {
            unwritten.0 = None;
            ports.problems.clear(&write.key);
            Ok(())
        }
        Err(why) => {
            let text = format!("{} cannot be written: {why}", shown(ports, &write.path));
            ports.problems.report(write.key.clone(), format!("{text}; retried until it succeeds"));
            Err(text)
        }
    }
}

fn shown(ports: &Ports, path: &Path) -> String {
    terminal::path(ports.paths.shown(path))
}
