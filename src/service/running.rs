//! Running: finds the process that supervises a town, for commands that stop it or send it a signal.
//!
//! The lock decides, as in Gas Town 0.2.6 to 0.3. The PID file only names a candidate. A process is signalled only
//! while the lock is held and, where the system shows it, only if the process has the lock file open. A PID file may
//! be left over from a supervisor that was killed, and another program may have its PID now. Nothing here sends KILL.
#![allow(
    clippy::disallowed_methods,
    reason = "part of the adapter that finds the holder of the daemon's lock"
)]

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::{
    processes::Target,
    terminal,
    town::{
        files::{Disk, Files, LockState},
        lock,
        paths::TownPaths,
        pid,
    },
};

/// Polling interval.
const POLL: Duration = Duration::from_millis(20);

/// The process that supervises a town: this supervisor, or the original `gt daemon`.
#[derive(Debug)]
pub struct Holder {
    process: Target,
    paths: TownPaths,
}

/// Why no supervisor can be signalled. The text contains its cause.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// No process holds the lock.
    #[error("no supervisor runs in {}", terminal::path(.town))]
    NotRunning {
        /// The town.
        town: PathBuf,
    },
    /// A process holds the lock, but it is unknown which.
    #[error(
        "a process holds {lock}, but {pid_file} does not name it; nothing was signalled \
         (`fuser {lock}` shows which)",
        lock = terminal::path(.lock),
        pid_file = terminal::path(.pid_file)
    )]
    Nameless {
        /// The lock.
        lock: PathBuf,
        /// The PID file, for people.
        pid_file: PathBuf,
    },
    /// The lock could not be examined.
    #[error(
        "{} cannot be examined: {reason}; check the owner and permissions of the town's daemon directory",
        terminal::path(.lock)
    )]
    Unreadable {
        /// The lock.
        lock: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// The process exists but may not be signalled.
    #[error("PID {pid} cannot be signalled; it may belong to another user")]
    NotOurs {
        /// The process.
        pid: u32,
    },
}

/// The result of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The town has no supervisor any more.
    Gone,
    /// The process ended, and another one took over; its id, if known.
    Replaced(Option<u32>),
    /// The process still holds the lock after the time limit.
    Holds,
}

/// The process that supervises the town.
///
/// If it cannot be determined yet, this retries for up to [`lock::PATIENCE`]: others take the lock for a short time
/// to probe it, and a supervisor that has just taken it is about to write its PID file. Needs a tokio runtime with IO
/// and time.
pub async fn find(paths: &TownPaths) -> Result<Holder, RunningError> {
    let look = async {
        loop {
            if let Some(holder) = named(paths).await? {
                return Ok(holder);
            }
            sleep(POLL).await;
        }
    };
    let nameless = || {
        let pid_file = paths.shown(&paths.pid_file()).to_owned();
        Err(RunningError::Nameless { lock: paths.daemon_lock(), pid_file })
    };
    timeout(lock::PATIENCE, look).await.unwrap_or_else(|_| nameless())
}

/// The holder according to the PID file now; `None` when it names none.
pub(super) async fn named(paths: &TownPaths) -> Result<Option<Holder>, RunningError> {
    if is_free(paths).await? {
        return Err(RunningError::NotRunning { town: paths.root().to_owned() });
    }
    let lock = std::fs::metadata(paths.daemon_lock());
    let lock = lock.map_err(|reason| RunningError::Unreadable { lock: paths.daemon_lock(), reason })?;
    let process = pid::read(&paths.pid_file()).and_then(|pid| Target::with_open(pid, &lock));
    Ok(process.map(|process| Holder { process, paths: paths.clone() }))
}

/// Whether no process holds the lock.
pub async fn is_free(paths: &TownPaths) -> Result<bool, RunningError> {
    let lock = paths.daemon_lock();
    match Disk.probe_lock(&lock).await {
        Ok(state) => Ok(state == LockState::Free),
        Err(reason) => Err(RunningError::Unreadable { lock, reason }),
    }
}

/// Why a command for this file is not for the supervisor that runs in its directory: that runs another file. `None` where it runs this
/// one, or none, or does not say.
pub async fn of_another_file(paths: &TownPaths) -> Option<String> {
    paths.agents_file()?;
    if matches!(is_free(paths).await, Ok(true)) {
        return None;
    }
    another_file(paths, &Disk.read(&paths.running_file()).await.ok()?)
}

/// The same, where the supervisor runs the file of this name.
fn another_file(paths: &TownPaths, runs: &[u8]) -> Option<String> {
    let asked = paths.agents_file()?;
    let asked = asked.file_name()?;
    if runs.is_empty() || runs == asked.as_encoded_bytes() {
        return None;
    }
    let runs = paths.root().join(OsStr::from_bytes(runs));
    let (of, asked, runs) =
        (terminal::path(paths.root()), terminal::path(Path::new(asked)), terminal::path(&runs));
    Some(format!(
        "the supervisor in {of} runs {runs} and not {asked}, and one runs for each directory: name its file with `--file {runs}`, or end \
         it with `down --file {runs}` first"
    ))
}

impl Holder {
    /// Its id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a signal to exactly this process, while the lock is still held.
    pub async fn signal(&self, signal: Signal) -> Result<(), RunningError> {
        if is_free(&self.paths).await? || !self.process.lives() {
            return Err(RunningError::NotRunning { town: self.paths.root().to_owned() });
        }
        if self.process.signal(signal) || !self.process.lives() {
            return Ok(());
        }
        Err(RunningError::NotOurs { pid: self.pid() })
    }

    /// Sends SIGTERM, once, and waits up to this limit until the process has released the town. Agents keep running.
    ///
    /// The original `gt daemon` may need 121 s while it starts agents; this supervisor needs at most 0.4 s.
    pub async fn stop(&self, limit: Duration) -> Result<Stopped, RunningError> {
        self.signal(Signal::TERM).await?;
        timeout(limit, self.gone()).await.unwrap_or(Ok(Stopped::Holds))
    }

    async fn gone(&self) -> Result<Stopped, RunningError> {
        loop {
            if is_free(&self.paths).await? {
                return Ok(Stopped::Gone);
            }
            tokio::select! {
                biased;
                () = self.process.ended() => break,
                () = sleep(POLL) => {}
            }
        }
        // It has ended, which released its lock: a process that holds the lock now is another supervisor, or probes it.
        match find(&self.paths).await {
            Ok(other) => Ok(Stopped::Replaced(Some(other.pid()))),
            Err(RunningError::NotRunning { .. }) => Ok(Stopped::Gone),
            Err(RunningError::Nameless { .. }) => Ok(Stopped::Replaced(None)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_file_of_a_directory_runs() {
        for (name, asked, runs, is_another) in [
            ("this one", "/t/s.toml", "s.toml", false),
            ("the other", "/t/agents.toml", "s.toml", true),
            ("the usual one", "/t/s.toml", "agents.toml", true),
            ("an earlier supervisor does not say", "/t/s.toml", "", false),
        ] {
            let paths = TownPaths::of_file(Path::new(asked)).unwrap();
            let said = another_file(&paths, runs.as_bytes());
            assert_eq!(said.is_some(), is_another, "{name}");
            let names_both = |said: String| {
                said.contains(&format!("--file /t/{runs}")) && said.contains(asked.trim_start_matches("/t/"))
            };
            assert!(said.is_none_or(names_both), "{name}");
        }
        let gas_town = TownPaths::new("/t");
        assert_eq!(another_file(&gas_town, b"s.toml"), None, "a Gas Town has no such file");
    }
}
