//! A disk whose supervisor is killed at its n-th call: the write in progress may be there in part.

use std::{
    fs,
    future::pending,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use gastown_supervisor::town::{
    files::{Disk, Files, HeldLock, LockState},
    journal::{Extended, Extent, Journals, OpenJournal, disk::DiskJournals},
};
use tokio::sync::Notify;

use crate::append;

/// The real disk, until it is over.
#[derive(Clone, Default)]
pub struct Mortal(Arc<Life>);

#[derive(Default)]
struct Life {
    journals: DiskJournals,
    /// The number of calls that are left; less than 0: no limit.
    left: AtomicI64,
    over: Notify,
}

impl Mortal {
    /// So many more calls; the next never returns. Less than 0: no end.
    pub fn ends_after(&self, calls: i64) {
        self.0.left.store(calls, Ordering::SeqCst);
    }

    /// Returns when the call that never returns was made.
    pub async fn ended(&self) {
        self.0.over.notified().await;
    }

    async fn call(&self, at_the_end: impl FnOnce()) {
        let left = self.0.left.load(Ordering::SeqCst);
        if left == 0 {
            at_the_end();
            self.0.over.notify_one();
            pending::<()>().await;
        }
        if left > 0 {
            self.0.left.store(left - 1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Journals for Mortal {
    async fn open(&self, path: &Path) -> io::Result<Option<Arc<dyn OpenJournal>>> {
        self.call(|| ()).await;
        self.0.journals.open(path).await
    }

    async fn siblings(&self, path: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>> {
        self.call(|| ()).await;
        self.0.journals.siblings(path).await
    }

    async fn written(&self, path: &Path) {
        self.call(|| ()).await;
        self.0.journals.written(path).await;
    }

    async fn extend(
        &self,
        path: &Path,
        known: &[Extent],
        content: Vec<u8>,
        mode: u32,
    ) -> io::Result<Extended> {
        self.call(|| {
            if path.exists() && content.len() > 1 {
                append(path, &content[..content.len() / 2]);
            }
        })
        .await;
        let extent = self.0.journals.extend(path, known, content, mode).await;
        self.call(|| ()).await; // it was written, and that is not noted
        extent
    }

    async fn sync(&self, path: &Path) -> io::Result<()> {
        self.call(|| ()).await;
        self.0.journals.sync(path).await
    }

    async fn prepare(&self, path: &Path, keep: u64, mode: u32) -> io::Result<Extent> {
        self.call(|| drop(fs::write(path.with_extension("jsonl.half.tmp"), "ha"))).await;
        self.0.journals.prepare(path, keep, mode).await
    }

    async fn install(&self, path: &Path) -> io::Result<()> {
        self.call(|| ()).await;
        let installed = self.0.journals.install(path).await;
        self.call(|| ()).await; // it is in place, and that is not noted
        installed
    }
}

/// Only what is stored is read and written.
#[async_trait]
impl Files for Mortal {
    async fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read(path).await
    }

    async fn replace(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        self.call(|| ()).await;
        let replaced = Disk.replace(path, content, mode).await;
        self.call(|| ()).await;
        replaced
    }

    async fn append_line(&self, path: &Path, line: &str, mode: u32) -> io::Result<()> {
        Disk.append_line(path, line, mode).await
    }

    async fn set_aside(&self, path: &Path, suffix: &str) -> io::Result<()> {
        Disk.set_aside(path, suffix).await
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        Disk.exists(path).await
    }

    async fn modified(&self, path: &Path) -> io::Result<jiff::Timestamp> {
        Disk.modified(path).await
    }

    async fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Disk.is_dir(path).await
    }

    async fn real_path(&self, path: &Path) -> io::Result<std::path::PathBuf> {
        Disk.real_path(path).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Disk.list(path).await
    }

    async fn probe_lock(&self, path: &Path) -> io::Result<LockState> {
        Disk.probe_lock(path).await
    }

    async fn lock(&self, path: &Path, limit: std::time::Duration) -> io::Result<HeldLock> {
        Disk.lock(path, limit).await
    }
}
