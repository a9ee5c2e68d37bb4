//! Detach: starts this program as a supervisor in the background.
//!
//! The child is independent of the caller. It leads a kernel session of its own, so no hangup of a terminal or an ssh
//! connection reaches it. Its working directory is `/`. It inherits neither stdin, stdout, stderr nor any other
//! descriptor. Its error messages are read through an unnamed file. This module does not decide which process may run:
//! the child takes the lock, or reports why it cannot.
#![allow(clippy::disallowed_methods, reason = "the place that starts the own program")]

use std::{
    fs::{self, File},
    io,
    os::{
        fd::BorrowedFd,
        unix::{fs::FileExt, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::time::{sleep, timeout};

use super::{
    readiness,
    running::{self, RunningError},
};
use crate::{
    go_duration, terminal,
    town::{environment, original, paths::TownPaths, root},
};

/// The arguments, before those that name the town, that make this program a detached supervisor.
const ARGUMENTS: [&str; 2] = ["run", "--detached"];

/// How often readiness is polled.
const POLL: Duration = Duration::from_millis(20);
/// The most bytes repeated of its error output.
const WORDS: usize = 16 * 1024;

/// A supervisor that is ready.
#[derive(Debug)]
pub struct Started {
    /// The PID of the supervisor.
    pub pid: u32,
    /// What it wrote to standard error meanwhile; usually empty.
    pub complaints: String,
}

/// Why no supervisor is ready. The text contains its cause.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A supervisor is running already.
    #[error("already running (PID {pid}){}", .original.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    AlreadyRunning {
        /// The PID of that supervisor.
        pid: u32,
        /// When it is the original daemon: that it is, and what to do.
        original: Option<String>,
    },
    /// The operating system could not start the program.
    #[error("{} cannot be started: {reason}", terminal::path(.program))]
    NotStarted {
        /// The program.
        program: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// It ended before it was ready; the text is its error output, or how it ended when there is none.
    #[error("{0}")]
    Ended(String),
    /// It runs, but is not ready yet. It was left running.
    #[error(
        "PID {pid} runs, but is not ready after {limit}: {missing}; it was left running, see `gastown-supervisor logs`",
        limit = go_duration::short(*.limit)
    )]
    NotReady {
        /// The PID of the supervisor.
        pid: u32,
        /// How long the start was waited for.
        limit: Duration,
        /// What it lacks, for people.
        missing: String,
    },
    /// The town cannot be examined.
    #[error(transparent)]
    Unreadable(RunningError),
}

/// Starts a supervisor of this town, detached, and waits until it is ready, up to a limit.
///
/// Its environment is ours, without the variables that make a process an agent. Needs a tokio runtime with IO and time.
pub async fn start(paths: &TownPaths, limit: Duration) -> Result<Started, StartError> {
    match running::named(paths).await {
        Ok(Some(holder)) => {
            let (pid, original) = (holder.pid(), original::running_as(holder.pid()));
            return Err(StartError::AlreadyRunning { pid, original });
        }
        // A process holds the lock, perhaps only to probe it. The child finds out.
        Ok(None) | Err(RunningError::NotRunning { .. }) => {}
        Err(error) => return Err(StartError::Unreadable(error)),
    }
    let mut detached = Detached::spawn(paths)?;
    let mut missing = "it has only just started".to_owned();
    let ready = timeout(limit, detached.ready(paths, &mut missing)).await;
    match ready {
        Ok(Ok(())) => Ok(Started { pid: detached.child.id(), complaints: detached.words() }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StartError::NotReady { pid: detached.child.id(), limit, missing }),
    }
}

struct Detached {
    child: Child,
    complaints: File,
}

impl Detached {
    fn spawn(paths: &TownPaths) -> Result<Detached, StartError> {
        let program = std::env::current_exe();
        let program = program.map_err(|reason| not_started("this program", reason))?;
        let spawned = tempfile::tempfile().and_then(|complaints| {
            let mut command = Command::new(&program);
            // One that plays several parts knows by its name which one is meant.
            std::env::args_os().next().map(|called| command.arg0(called));
            let (option, town) = paths.named();
            command.args(ARGUMENTS).arg(option).arg(town).current_dir("/");
            environment::withhold(&mut command);
            if paths.agents_file().is_some() {
                for variable in root::GAS_TOWN_VARIABLES {
                    command.env_remove(variable);
                }
            }
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints.try_clone()?);
            in_session_of_its_own(&mut command);
            keep_descriptors_here();
            Ok(Detached { child: command.spawn()?, complaints })
        });
        spawned.map_err(|reason| not_started(program, reason))
    }

    /// Waits until it is ready or has ended; notes in `missing` what it lacks meanwhile.
    async fn ready(&mut self, paths: &TownPaths, missing: &mut String) -> Result<(), StartError> {
        loop {
            // An error would mean that another caller has waited for it.
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(StartError::Ended(self.last_words(status)));
            }
            match readiness::missing(paths, self.child.id()).await.map_err(StartError::Unreadable)? {
                None => return Ok(()),
                Some(lack) => *missing = lack,
            }
            sleep(POLL).await;
        }
    }

    fn last_words(&self, status: ExitStatus) -> String {
        let words = self.words();
        match words.strip_prefix("Error: ").unwrap_or(&words) {
            "" => {
                format!("the supervisor ended before it was ready ({status}), see `gastown-supervisor logs`")
            }
            words => words.to_owned(),
        }
    }

    fn words(&self) -> String {
        let mut words = vec![0; WORDS];
        // Not at the position where the child writes: both share it.
        let length = self.complaints.read_at(&mut words, 0).unwrap_or(0);
        String::from_utf8_lossy(words.get(..length).unwrap_or_default()).trim_end().to_owned()
    }
}

fn not_started(program: impl Into<PathBuf>, reason: io::Error) -> StartError {
    StartError::NotStarted { program: program.into(), reason }
}

/// Makes the child leader of a kernel session: without a terminal, and in no process group that a terminal's Ctrl-C
/// or hangup reaches.
#[allow(unsafe_code)]
fn in_session_of_its_own(command: &mut Command) {
    let lead = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It makes one system
    // call (setsid) and converts its error number; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(lead) };
}

/// Marks the descriptors that the caller left open (a lock of a script, a pipe of `make`) as close-on-exec: a program
/// that waits until the last one is closed must not wait for a supervisor.
#[allow(unsafe_code)]
fn keep_descriptors_here() {
    let Ok(entries) = fs::read_dir("/dev/fd") else { return };
    for entry in entries.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number: &i32| *number > 2) else { continue };
        // SAFETY: it is borrowed for this one call, which reads and writes nothing; it was open when the directory was read,
        // and no other thread closes what the caller left open. Were it closed, the call would fail.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}
