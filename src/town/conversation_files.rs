//! ConversationFiles: the port through which the files are reached in which agents' programs keep their conversations.
//!
//! They are the programs' own and lie outside the town, below the user's home. A record is a line. They are read, and copied
//! into the town; one is only ever changed by [`put_back`](ConversationFiles::put_back), which loses nothing of it. It must not know
//! whose conversation is in a file, or where a program keeps them.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use jiff::Timestamp;

pub mod disk;
pub mod merging;

/// One transcript in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
    /// When it was created; `None` where the file system does not say.
    pub born: Option<Timestamp>,
    /// When it was written last.
    pub modified: Timestamp,
}

/// The first and the last bytes of a transcript, at most [`EDGE`] each; they overlap in a small one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edges {
    /// From its beginning.
    pub head: Vec<u8>,
    /// To its end; the first line may be incomplete.
    pub tail: Vec<u8>,
}

/// The most bytes read at each end.
pub const EDGE: usize = 64 * 1024;

/// How a transcript compares with its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// It is there.
    There {
        /// Its complete records.
        records: u64,
        /// Whether the last complete record of the copy is among them.
        has_last: bool,
    },
    /// There is no such transcript.
    Gone,
    /// There is no such copy.
    NoCopy,
}

/// What became of a transcript that is to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutBack {
    /// It has this many records more than before.
    Done(u64),
    /// A process has it open, or that could not be found out: it was left as it is.
    InUse,
    /// There is no such copy.
    NoCopy,
}

/// Reads, copies and puts back transcripts. Each call has a time limit; an error of kind `TimedOut` says that it was exceeded.
#[async_trait]
pub trait ConversationFiles: Send + Sync {
    /// A variable of the supervisor's environment, which names where a program keeps its files.
    fn variable(&self, name: &str) -> Option<String>;

    /// The transcripts in a directory, whose names end in `.jsonl`; none where there is no such directory.
    async fn list(&self, directory: &Path) -> io::Result<Vec<Listed>>;

    /// The ends of a transcript.
    async fn edges(&self, path: &Path) -> io::Result<Edges>;

    /// Compares a transcript with its copy, without loading either.
    async fn compare(&self, copy: &Path, transcript: &Path) -> io::Result<Compared>;

    /// Copies a transcript to a file that must not exist (mode 0600, in a directory of mode 0700), sharing its blocks where the
    /// file system can, and returns the number of complete records in the copy. On an error no copy is left. Refused when the
    /// disk would be more than half full of what was free.
    async fn copy(&self, transcript: &Path, copy: &Path) -> io::Result<u64>;

    /// Gives a transcript the records back that only its copy has: those of the copy come first, in their order, then what only
    /// the transcript has. Does nothing while a process has it open.
    async fn put_back(&self, copy: &Path, transcript: &Path) -> io::Result<PutBack>;

    /// Removes a copy; one that is gone is no error.
    async fn remove_copy(&self, copy: &Path) -> io::Result<()>;
}
