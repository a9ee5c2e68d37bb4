//! Journals: files that grow line by line — following one that others write, and extending one of ours.
//!
//! The port, and what is said across it. Others may rename, copy, cut short, delete and make anew the file they write, so a
//! file is known by what it is ([`FileId`]), not by what it is called, and one that was opened can be read to its end
//! whatever becomes of its name. Nothing here knows what the lines mean.

use std::{io, path::Path, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub mod disk;

/// Which file it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The device it is on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// When it was created, in nanoseconds since 1970, where the file system records it: inodes are reused.
    pub made: Option<i64>,
}

/// A file of ours, up to where we know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Which file.
    pub file: FileId,
    /// Its length in bytes.
    pub length: u64,
}

/// What came of extending a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// It has the content, and this is it now.
    Known(Extent),
    /// It is a file that was not known; nothing was added to it.
    Stranger(Extent),
}

/// A file that was opened for reading. It stays the same file for as long as this is held.
#[async_trait]
pub trait OpenJournal: Send + Sync {
    /// Which file it is.
    fn id(&self) -> FileId;

    /// At most `most` bytes from this offset on; fewer only at its end.
    async fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>>;

    /// How long it is now, in bytes.
    async fn length(&self) -> io::Result<u64>;
}

/// The port.
#[async_trait]
pub trait Journals: Send + Sync {
    /// Opens the file of this name for reading; `None` when there is none. Anything but a regular file is an error.
    async fn open(&self, path: &Path) -> io::Result<Option<Arc<dyn OpenJournal>>>;

    /// The files a rotation may have made of this one: those in its directory that are called `<name>.…` or `<name>-…`, without
    /// the lock and what is packed. First the one that was last written to the longest ago.
    async fn siblings(&self, path: &Path) -> io::Result<Vec<Arc<dyn OpenJournal>>>;

    /// Waits until whoever was writing to the file of this name under its lock (`<path>.lock`) has done so, at most 2 s.
    async fn written(&self, path: &Path);

    /// Makes `content` the end of the file of this name, with one write; a file that is not there is made. One of `known` is cut
    /// to the length it is known with first, so that what is there twice or in part never stays. To any other file nothing is
    /// added: it has to be known first. On an error nothing of `content` is left, as far as the disk lets us.
    async fn extend(
        &self,
        path: &Path,
        known: &[Extent],
        content: Vec<u8>,
        mode: u32,
    ) -> io::Result<Extended>;

    /// Has the disk keep what was written to the file of this name so far.
    async fn sync(&self, path: &Path) -> io::Result<()>;

    /// Prepares a file that has the last lines of the file of this name, at most `keep` bytes of them, to be put in its place
    /// by [`install`](Self::install).
    async fn prepare(&self, path: &Path, keep: u64, mode: u32) -> io::Result<Extent>;

    /// Puts what was prepared in the place of the file of this name.
    async fn install(&self, path: &Path) -> io::Result<()>;
}
