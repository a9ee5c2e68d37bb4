//! Writes: files of ours that are replaced as a whole; a write that fails is reported once and retried until it
//! succeeds.
//!
//! One mechanism for all of them. There is one write at a time per file, so the newest content is the last on disk. A
//! failed write is stored with the source of its content, which each retry reads again, so a retry never restores an
//! older state. Retries back off up to 1 minute. Content that cannot be serialised leaves the file as it is. It must
//! not know what is written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    ports::{
        Ports,
        outbox::Outbox,
        problems::{Condition, ProblemKey},
    },
    terminal,
};

/// The source of a file's content.
pub trait Content: Send + Sync {
    /// The current content.
    fn bytes(&self) -> serde_json::Result<Vec<u8>>;

    /// Called when the last content could not be written.
    fn failed(&self) {}
}

/// Fixed content.
impl Content for Vec<u8> {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        Ok(self.clone())
    }
}

/// One file, and its content.
#[derive(Clone)]
pub struct Write {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// The key under which a failure is reported.
    pub key: String,
    /// The source of its content.
    pub content: Arc<dyn Content>,
}

/// The failed writes of all files; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Writes {
    /// Lines for the event log.
    pub events: Outbox,
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<File>>>>,
    failed: Arc<watch::Sender<()>>,
}

/// The state of one file.
#[derive(Default)]
struct File {
    turn: tokio::sync::Mutex<()>,
    /// The last failed write, unless a later one succeeded.
    failed: Mutex<Option<Write>>,
}

impl File {}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("failed", &self.failed.lock().is_some()).finish_non_exhaustive()
    }
}

impl Writes {
    /// Replaces the file. When it returns `Ok`, the content as of this call, or a newer one, is on disk. An error
    /// names the file, is a problem while it lasts, and is retried by
    /// [`keep_writing`](crate::tree::housekeeping::keep_writing).
    pub async fn replace(&self, ports: &Ports, write: Write) -> Result<(), String> {
        self.replace_unless(ports, write, || false).await
    }

    /// Like [`replace`](Self::replace), unless the content is on disk already when its turn comes.
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

    /// Requests retries, because a line of the event log could not be written.
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

    /// Changes whenever a write fails.
    pub fn failures(&self) -> watch::Receiver<()> {
        self.failed.subscribe()
    }
}

/// A write whose caller is gone may not have happened: it counts as failed.
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
            let key = ProblemKey::from(&*write.key).meaning(Condition::CannotWrite);
            ports.problems.report(key, format!("{text}; retried until it succeeds"));
            Err(text)
        }
    }
}

fn shown(ports: &Ports, path: &Path) -> String {
    terminal::path(ports.paths.shown(path))
}
