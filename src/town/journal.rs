//! Journals: files that grow line by line: reading one that others write, and extending one of ours.
//!
//! This is the port with its types. Others may rename, copy, truncate, delete and recreate the file they write, so a
//! file is identified by its [`FileId`], not by its name, and an open one can be read to its end whatever happens to
//! its name. Nothing here knows what the lines mean.

use std::{io, path::Path, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub mod disk;

/// The identity of a file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The device it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// When it was created, in nanoseconds since 1970, if the file system records that: inodes are reused.
    pub made: Option<i64>,
}

/// A file of ours, and its known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Which file.
    pub file: FileId,
    /// Its length in bytes.
    pub length: u64,
}

/// The result of extending a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// The content was added; this is its new extent.
    Known(Extent),
    /// It is an unknown file; nothing was added to it.
    Stranger(Extent),
}

/// A file open for reading. It stays the same file while this is held.
#[async_trait]
pub trait OpenJournal: Send + Sync {
    /// Which file it is.
    fn id(&self) -> FileId;

    /// At most `most` bytes from this offset on; fewer only at the end.
    async fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>>;

    /// How long it is now, in bytes.
    async fn length(&self) -> io::Result<u64>;
}

/// Opens, extends and replaces journals.
#[async_trait]
pub trait Journals: Send + Sync {
    /// Opens the file of this name for reading; `None` when there is none. Anything but a regular file is an error.
    async fn open(&self, path: &Path) -> io::Result<Option<Arc<dyn OpenJournal>>>;

    /// The files that a rotation may have made of this one: those in its directory named `<name>.…` or `<name>-…`,
    /// except the lock, compressed ones and `<name>.tmp`, ordered from the oldest last write to the newest.
    async fn siblings(&self, path: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>>;

    /// Waits until a writer that holds the file's lock (`<path>.lock`) releases it, at most 2 s.
    async fn written(&self, path: &Path);

    /// Appends `content` to the file of this name, with one write; a missing file is created. A file in `known` is
    /// first truncated to its known length, so that no duplicate or partial content stays. Nothing is added to any
    /// other file: it has to become known first. On an error nothing of `content` stays, as far as the disk permits.
    async fn extend(
        &self,
        path: &Path,
        known: &[Extent],
        content: Vec<u8>,
        mode: u32,
    ) -> io::Result<Extended>;

    /// Syncs the file of this name to disk.
    async fn sync(&self, path: &Path) -> io::Result<()>;

    /// Prepares a file with the last lines of the file of this name, at most `keep` bytes, for
    /// [`install`](Self::install).
    async fn prepare(&self, path: &Path, keep: u64, mode: u32) -> io::Result<Extent>;

    /// Replaces the file of this name by the prepared one.
    async fn install(&self, path: &Path) -> io::Result<()>;
}
