//! Commands: the port through which other programs are run (`bd`, `gt`, `git`), each within a limit.
//!
//! It must not interpret what they print; that is the caller's job.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{go_duration, terminal};

pub mod dies_with_us;
pub mod group;
pub mod runner;

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program: a bare name is looked up on `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The directory it runs in.
    pub directory: PathBuf,
    /// Variables set on top of the supervisor's own environment (which has `BD_ACTOR=daemon`).
    pub environment: BTreeMap<String, String>,
    /// Bytes for its standard input; `None` closes it.
    pub input: Option<Vec<u8>>,
    /// After this long its whole process group is killed.
    pub limit: Duration,
}

impl Command {
    /// The command as a person would type it, for messages.
    pub fn line(&self) -> String {
        shell_words::join(
            std::iter::once(self.program.as_str()).chain(self.arguments.iter().map(String::as_str)),
        )
    }
}

/// What a command that ended with exit code 0 printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output, at most 16 MiB.
    pub stdout: Vec<u8>,
    /// Standard error, at most 16 MiB.
    pub stderr: Vec<u8>,
}

/// Why a command did not do its work. Each variant's text names the command line.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// The program is not installed.
    #[error("{program} is not installed or not on PATH (needed for `{line}`)")]
    NotFound {
        /// The program that was not found.
        program: String,
        /// The command line.
        line: String,
    },
    /// The operating system could not start it.
    #[error("`{line}` could not be started in {}: {reason}", terminal::path(.directory))]
    NotStarted {
        /// The command line.
        line: String,
        /// Where it should have run.
        directory: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// It ended with another exit code than 0, or by a signal.
    #[error("`{line}` failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        line: String,
        /// `exit code 2` or `signal 9`.
        status: String,
        /// The exit code, when there was one.
        code: Option<i32>,
        /// Everything on standard output, for tools that report errors there.
        stdout: Vec<u8>,
        /// The end of standard error, one line, at most 500 characters.
        stderr: String,
    },
    /// It did not end within its limit and was killed with its process group.
    #[error("`{line}` did not end within {} and was killed", go_duration::short(*.limit))]
    TimedOut {
        /// The command line.
        line: String,
        /// The limit it exceeded.
        limit: Duration,
    },
    /// It printed more than the supervisor accepts.
    #[error("`{line}` printed more than {bytes} bytes and was killed")]
    TooMuchOutput {
        /// The command line.
        line: String,
        /// The most bytes accepted on one stream.
        bytes: usize,
    },
}

/// Runs other programs. Dropping a future kills the command with its process group.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Runs a command to its end.
    async fn run(&self, command: Command) -> Result<Printed, CommandError>;

    /// Where a program is: an absolute path as given if executable, a bare name looked up on `PATH`.
    async fn locate(&self, program: &str) -> Option<PathBuf>;

    /// The path at which a program is run: where it was found first, as long as it is there.
    async fn in_use(&self, program: &str) -> Option<PathBuf> {
        self.locate(program).await
    }

    /// The `PATH` on which bare names are looked up; `None` when there is none.
    fn search_path(&self) -> Option<String>;
}
