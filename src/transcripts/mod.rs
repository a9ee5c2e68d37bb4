//! Transcripts: the port through which the files are found and read in which agents' programs record their sessions.
//!
//! The port is mechanical: it finds the one file that a process may be writing, reads its end, and reports changes. It must not
//! know what a record means, and it never writes. [`disk`] is the real adapter; the simulation has a scripted one.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::broadcast;

pub mod disk;

/// How much of a file's begin is read to find out whose it is, in bytes.
pub const HEAD: usize = 64 * 1024;

/// Where the transcript of one process may be.
#[derive(Debug, Clone)]
pub struct Location {
    /// The directories it may be in.
    pub directories: Vec<PathBuf>,
    /// Whether a file of this name is a session's.
    pub names: fn(&str) -> bool,
    /// Which of those files may be the process's.
    pub belongs: Belongs,
    /// When the process began: what was last written before is another's.
    pub since: Timestamp,
}

/// Which files of a [`Location`] may be the process's.
#[derive(Debug, Clone)]
pub enum Belongs {
    /// All.
    All,
    /// Those whose head names this directory.
    ByHead(PathBuf, fn(&[u8]) -> Head),
}

/// What the begin of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// It is a session in this directory.
    In(PathBuf),
    /// It is no session of an agent, such as one of a subagent.
    NoSession,
    /// It does not say.
    Unknown,
}

/// One file that may be the process's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its path.
    pub path: PathBuf,
    /// When it was last written.
    pub written: Timestamp,
    /// When it was created, where the file system records that.
    pub created: Option<Timestamp>,
}

/// Why a transcript is silent.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// The process has written nothing yet.
    #[error("no transcript has been written yet")]
    Nothing,
    /// Several sessions are written in the same place, and it is not known which is the process's.
    #[error("{} sessions in {}: it is not known which is the agent's", .0, crate::terminal::path(.1))]
    Ambiguous(usize, PathBuf),
    /// Its last records say nothing, or are not known here.
    #[error("{} ends with nothing that this version understands", crate::terminal::path(.0))]
    Unknown(PathBuf),
    /// A file or directory cannot be read.
    #[error("{}: {}", crate::terminal::path(.0), .1)]
    Unreadable(PathBuf, io::Error),
}

/// The end of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// Its last bytes.
    pub bytes: Vec<u8>,
    /// Whether these are all.
    pub is_whole: bool,
}

/// Finds, reads and watches transcripts.
#[async_trait]
pub trait Transcripts: Send + Sync {
    /// The one file that the process of this location writes.
    async fn find(&self, location: &Location) -> Result<Candidate, Silence>;

    /// The same of several locations, in their order, as one access: for what is searched for again and again.
    async fn find_each(&self, locations: Vec<Location>) -> Vec<Result<Candidate, Silence>> {
        let mut found = Vec::new();
        for location in locations {
            found.push(self.find(&location).await);
        }
        found
    }

    /// At most the last `most` bytes of a file, whatever its size.
    async fn tail(&self, path: &Path, most: usize) -> io::Result<Tail>;

    /// Reports each file that changed, appeared or vanished in a watched directory. A receiver that lags missed some.
    fn changes(&self) -> broadcast::Receiver<PathBuf>;

    /// Watches exactly these directories from now on; for one that does not exist, the nearest parent that does. Cheap when they are
    /// the same directories as before: one access, and no watch is set again. Returns why some cannot be watched.
    async fn watch(&self, directories: Vec<PathBuf>) -> Option<String>;
}

/// Which of these files the process writes: the one that was written last, unless another was written while it existed. `directory`
/// is for people.
pub fn choose(
    mut candidates: Vec<Candidate>,
    since: Timestamp,
    directory: &Path,
) -> Result<Candidate, Silence> {
    candidates.retain(|candidate| candidate.written >= since);
    let count = candidates.len();
    let Some(last) = candidates.iter().max_by_key(|candidate| candidate.written) else {
        return Err(Silence::Nothing);
    };
    // A program that begins a new session leaves the earlier one as it is.
    let is_over = |other: &Candidate| last.created.is_some_and(|created| other.written <= created);
    match candidates.iter().all(|other| other.path == last.path || is_over(other)) {
        true => Ok(last.clone()),
        false => Err(Silence::Ambiguous(count, directory.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    #[test]
    fn which_file_is_the_processs() {
        let since = 100;
        for (name, files, expected) in [
            ("none", vec![], Err("no transcript has been written yet")),
            ("one of before", vec![("a", 10, Some(1))], Err("no transcript has been written yet")),
            ("one", vec![("a", 150, Some(110))], Ok("a")),
            ("one that was resumed", vec![("a", 150, Some(1))], Ok("a")),
            ("one beside one of before", vec![("a", 150, Some(110)), ("b", 99, Some(1))], Ok("a")),
            ("a new session", vec![("a", 150, Some(110)), ("b", 190, Some(150))], Ok("b")),
            (
                "two at once",
                vec![("a", 180, Some(110)), ("b", 190, Some(150))],
                Err("2 sessions in /x: it is not known which is the agent's"),
            ),
            (
                "unknown when made",
                vec![("a", 150, None), ("b", 190, None)],
                Err("2 sessions in /x: it is not known which is the agent's"),
            ),
        ] {
            let candidates = files.iter().map(|(path, written, created)| Candidate {
                path: path.into(),
                written: at(*written),
                created: created.map(at),
            });
            let chosen = choose(candidates.collect(), at(since), Path::new("/x"));
            let chosen = chosen.as_ref().map(|it| it.path.to_str().unwrap()).map_err(ToString::to_string);
            assert_eq!(chosen, expected.map_err(str::to_owned), "{name}");
        }
    }
}
