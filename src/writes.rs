//! Writes: files of ours that are replaced as a whole; a write that fails is reported once and retried until it succeeds.
//!
//! One mechanism for all of them: one write at a time for each file, so that the newest content is the last on disk; a failed
//! write is kept here with the source of its content, which is asked again for each retry, so that a retry never brings an
//! older state back. Retries back off up to a minute. A content that cannot be made leaves the file as it is. It must not
//! know what is written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::deps::Deps;

/// Before the first retry; doubled for each that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

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

impl File {
    fn failed(&self) -> MutexGuard<'_, Option<Write>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("failed", &self.failed().is_some()).finish_non_exhaustive()
    }
}

impl Writes {
    /// Replaces the file. When it returns `Ok`, what its content was when this was called is on disk, or something newer. An
    /// error names the file, is a problem as long as it lasts, and is retried by [`keep_trying`].
    pub async fn replace(&self, deps: &Deps, write: Write) -> Result<(), String> {
        self.replace_unless(deps, write, || false).await
    }

    /// As [`replace`](Self::replace), unless by its turn its content is on disk already.
    pub async fn replace_unless(
        &self,
        deps: &Deps,
        write: Write,
        on_disk: impl Fn() -> bool,
    ) -> Result<(), String> {
        let file = self.files().entry(write.path.clone()).or_default().clone();
        let _turn = file.turn.lock().await;
        if on_disk() {
            return Ok(());
        }
        let result = attempt(deps, &write).await;
        *file.failed() = result.is_err().then_some(write);
        if result.is_err() {
            self.wake();
        }
        result
    }

    /// Something of another kind could not be written ([`Outbox`](crate::ledger::events::Outbox)): it is retried too.
    pub fn wake(&self) {
        self.failed.send_replace(());
    }

    /// Retries each failed write once; returns whether any still fails.
    async fn retry(&self, deps: &Deps) -> bool {
        let files: Vec<Arc<File>> = self.files().values().cloned().collect();
        let mut fails = false;
        for file in files {
            let _turn = file.turn.lock().await;
            let Some(write) = file.failed().clone() else { continue };
            match attempt(deps, &write).await {
                Ok(()) => *file.failed() = None,
                Err(_) => fails = true,
            }
        }
        if deps.outbox.waiting() > 0 {
            deps.outbox.flush(deps).await;
        }
        fails || deps.outbox.waiting() > 0
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<File>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that was given up, because nobody waits for it any more, may not have happened: it counts as failed.
struct Unwritten<'a>(Option<&'a dyn Content>);

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if let Some(content) = self.0 {
            content.failed();
        }
    }
}

async fn attempt(deps: &Deps, write: &Write) -> Result<(), String> {
    let mut unwritten = Unwritten(Some(&*write.content));
    let written = match write.content.bytes() {
        Ok(content) => {
            let written = deps.files.replace(&write.path, &content, write.mode).await;
            written.map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("its content cannot be made JSON ({error}); the file stays as it is")),
    };
    match written {
        Ok(()) => {
            unwritten.0 = None;
            deps.problems.clear(&write.key);
            Ok(())
        }
        Err(why) => {
            let text = format!("{} cannot be written: {why}", shown(deps, &write.path));
            deps.problems.report(write.key.clone(), format!("{text}; it is retried until it can"));
            Err(text)
        }
    }
}

fn shown(deps: &Deps, path: &Path) -> String {
    deps.paths.shown(path).display().to_string()
}

/// Retries what failed for as long as it fails. Never ends by itself.
pub async fn keep_trying(deps: &Deps) {
    let mut failed = deps.writes.failed.subscribe();
    // What failed under an earlier caller.
    failed.mark_changed();
    while failed.changed().await.is_ok() {
        let mut pause = FIRST_RETRY;
        loop {
            tokio::time::sleep(pause).await;
            if !deps.writes.retry(deps).await {
                break;
            }
            pause = LONGEST_RETRY.min(pause * 2);
        }
    }
}
