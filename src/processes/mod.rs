//! Processes: the port through which the supervisor sees the processes in a session's panes, and ends them.
//!
//! It must not know what an agent is; it reports process trees and ends those that the caller names.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use rustix::process::Signal;

pub mod exec_watcher;
mod invocation;
#[cfg(target_os = "linux")]
mod linux;
pub mod own;
pub mod pidfd;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;
pub mod shared;
pub mod standstill;
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

/// What Linux appends to the path of a running program whose file was replaced or removed.
const REPLACED: &str = " (deleted)";

/// Whether the file of this program was replaced or removed since it was started; false where that cannot be seen.
pub fn own_binary_was_replaced() -> bool {
    std::env::current_exe().is_ok_and(|path| path.to_string_lossy().ends_with(REPLACED))
}

/// The base name of a program's path, without the mark that Linux adds when the file was replaced while the program
/// runs.
fn base_name(path: &str) -> Option<String> {
    let path = path.strip_suffix(REPLACED).unwrap_or(path);
    path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// One process of a pane's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The time since it started.
    pub age: Duration,
    /// The names it may be known by, without duplicates: its `comm`, the base name of its executable, and the base
    /// name of `argv[0]`, as far as they could be read.
    pub names: Vec<String>,
}

/// A process, and some variables of its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// Its program and arguments.
    pub command: Invocation,
    /// Those of the requested variables that were in its environment when it started.
    pub environment: BTreeMap<String, String>,
}

/// What is known of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Those of the requested variables that were in its environment when it started; `None` when they may not be read.
    pub environment: Option<BTreeMap<String, String>>,
    /// The directory it works in, if that may be read.
    pub directory: Option<PathBuf>,
    /// Whether it is stopped (SIGSTOP, or a debugger).
    pub is_stopped: bool,
    /// The CPU time it has used.
    pub cpu: Duration,
}

/// Why the process table could not be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the process table could not be read: {0}")]
pub struct ProcessesError(pub String);

/// The result of ending process trees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Processes that ended on the signal that asked them to.
    pub asked: usize,
    /// Processes that had to be killed.
    pub forced: usize,
}

/// Reads the process table and ends processes.
#[async_trait]
pub trait Processes: Send + Sync {
    /// For each root that exists, the root first and then all its descendants (same kernel session as the root),
    /// including those that left its process group or terminal. Roots that do not exist and zombies (ended, not
    /// reaped) are left out.
    async fn trees(&self, roots: &[u32]) -> Result<BTreeMap<u32, Vec<Process>>, ProcessesError>;

    /// The pid of the supervisor.
    fn own(&self) -> u32;

    /// The processes that run a program of this base name ([`Invocation::given_to`]), by id, without ourselves and
    /// zombies. With `young`, only those that started within this time; the cost of that does not grow with the
    /// number of processes.
    async fn invocations(
        &self,
        program: &str,
        young: Option<Duration>,
    ) -> Result<Vec<Invocation>, ProcessesError>;

    /// The processes of our own user that have one of these variables in their environment, or work in this directory or
    /// below it, by id, without ourselves and zombies. A process whose environment cannot be read has no variables.
    async fn residents(
        &self,
        variables: &'static [&'static str],
        below: &Path,
    ) -> Result<Vec<Resident>, ProcessesError>;

    /// This process, with these variables of its environment; `None` when it has ended.
    async fn details(
        &self,
        pid: u32,
        variables: &'static [&'static str],
    ) -> Result<Option<Details>, ProcessesError>;

    /// Resolves when the process of this id and start time ([`Invocation::born`]) has ended; at once if it has already.
    async fn ended(&self, pid: u32, born: u64);

    /// Ends the trees of these roots, deepest first: TERM, up to `grace` for all together, then KILL.
    /// Processes that end meanwhile are no error; a pid that was reused since it was read is never signalled.
    async fn end_trees(&self, roots: &[u32], grace: Duration) -> Result<Ended, ProcessesError> {
        self.end_trees_with(roots, Signal::TERM, grace).await
    }

    /// The same with this signal in place of TERM.
    async fn end_trees_with(
        &self,
        roots: &[u32],
        signal: Signal,
        grace: Duration,
    ) -> Result<Ended, ProcessesError>;
}
