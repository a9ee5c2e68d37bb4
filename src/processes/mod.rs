//! Processes: the port through which the supervisor sees the processes in a session's panes, and ends them.
//!
//! It must not know what an agent is; it reports process trees and ends the ones it is told to.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_trait::async_trait;

pub mod exec_watcher;
mod invocation;
#[cfg(target_os = "linux")]
mod linux;
pub mod pidfd;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
pub mod shared;
pub mod table;
mod target;
mod tree;

#[cfg(target_os = "linux")]
use linux as source;
#[cfg(not(target_os = "linux"))]
use portable as source;

pub use invocation::Invocation;
pub(crate) use invocation::is_interpreter;
pub use target::Target;

/// The base name of a program's path; the mark Linux puts on one that was replaced while it runs is taken off.
fn base_name(path: &str) -> Option<String> {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// One process of a pane's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// How long it has been running.
    pub age: Duration,
    /// The names it may be known by, without doubles: its `comm`, the base name of its executable, the base name of
    /// `argv[0]`; those that could be read.
    pub names: Vec<String>,
}

/// A process, and variables it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// What runs.
    pub command: Invocation,
    /// Those of the variables asked for that were in its environment when it began.
    pub environment: BTreeMap<String, String>,
}

/// Why the process table could not be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the process table could not be read: {0}")]
pub struct ProcessesError(pub String);

/// How the end of a process tree went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Processes that ended on TERM.
    pub asked: usize,
    /// Processes that had to be killed.
    pub forced: usize,
}

/// The port.
#[async_trait]
pub trait Processes: Send + Sync {
    /// For each root that exists, the root first and then all its descendants, those that left its process group or
    /// terminal included (same kernel session as the root). A root that does not exist is left out; zombies
    /// (ended, not reaped) are left out.
    async fn trees(&self, roots: &[u32]) -> Result<BTreeMap<u32, Vec<Process>>, ProcessesError>;

    /// The id of our own process.
    fn own(&self) -> u32;

    /// The processes that run a program of this base name ([`Invocation::given_to`]), by id; neither ourselves nor
    /// zombies. With `young`, only those that began within this time; what that costs does not grow with the number of
    /// processes.
    async fn invocations(
        &self,
        program: &str,
        young: Option<Duration>,
    ) -> Result<Vec<Invocation>, ProcessesError>;

    /// The processes of our own user that were given one of these variables, or work in this directory or below it, by id; neither
    /// ourselves nor zombies. Whose environment cannot be read has none.
    async fn residents(
        &self,
        variables: &'static [&'static str],
        below: &Path,
    ) -> Result<Vec<Resident>, ProcessesError>;

    /// Resolves when the process of this id that began then ([`Invocation::born`]) has ended; at once when it has.
    async fn ended(&self, pid: u32, born: u64);

    /// Ends the trees of these roots, deepest first: TERM, up to `grace` for all together, then KILL.
    /// Processes that end meanwhile are no error; a pid that was reused since it was read is never signalled.
    async fn end_trees(&self, roots: &[u32], grace: Duration) -> Result<Ended, ProcessesError>;
}
