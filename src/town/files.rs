//! Files: the port through which everything in the town is read and written, and its adapter on the real disk.
//!
//! It must not know what the files mean. Every write replaces the file as a whole, so that a reader sees the old or the
//! new content, never half of it.

use std::{io, path::Path};

use async_trait::async_trait;

/// Whether somebody else holds the advisory lock (`flock(2)`) of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// There is no such file, or nobody holds its lock.
    Free,
    /// Somebody holds it exclusively.
    Held,
}

/// The port.
#[async_trait]
pub trait Files: Send + Sync {
    /// The content of a file, at most 16 MiB (more is an error of kind `FileTooLarge`).
    async fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Replaces a file: temporary file beside it with `mode`, write, sync, rename. Its directory is created if missing.
    async fn replace(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;

    /// Appends one line (the newline is added) with a single write, while holding `flock` on `<path>.lock`.
    async fn append_line(&self, path: &Path, line: &str, mode: u32) -> io::Result<()>;

    /// Moves a file aside: renames it to `<path>.<suffix>`, replacing what is there.
    async fn set_aside(&self, path: &Path, suffix: &str) -> io::Result<()>;

    /// True when something of that name exists. An error when that could not be found out.
    async fn exists(&self, path: &Path) -> io::Result<bool>;

    /// True when it exists and is a directory.
    async fn is_dir(&self, path: &Path) -> io::Result<bool>;

    /// Creates a directory and its parents; existing is fine.
    async fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    async fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Probes the lock of a file with a shared lock that is let go at once; never creates or deletes the file.
    async fn probe_lock(&self, path: &Path) -> io::Result<LockState>;
}
