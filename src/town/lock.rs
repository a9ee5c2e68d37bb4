//! The daemon lock: `daemon/daemon.lock`, or `.supervisor/lock` in a town of one file, which alone decides which process supervises
//! the town.
//!
//! An exclusive `flock(2)`, as Gas Town 0.2.6 to 0.3 takes and probes it. Held for the life of the process and never
//! deleted: a deleted lock file would let a second supervisor lock a new one. The PID file is only read for the message.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that takes the daemon's lock")]

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use fs4::{FileExt, TryLockError};

use super::{
    hold,
    opening::{self, Whose},
    original, own_directory,
    paths::TownPaths,
    pid,
};
use crate::terminal;

/// How long to retry when the lock is taken: other processes probe it by taking it for a short time.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct DaemonLock {
    file: File,
}

impl DaemonLock {
    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another supervisor (or the original daemon) holds it.
    #[error("already running ({}){}", who(*.pid), original(*.pid))]
    AlreadyRunning {
        /// Its PID, according to the PID file.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or locked.
    #[error(
        "{} cannot be locked: {source}; check the owner and permissions of the town's daemon directory",
        terminal::path(.path)
    )]
    Unusable {
        /// The file or its directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The directory of our own state, which has the lock, is none, or another user's.
    #[error(
        "{} cannot be used: {source}; the supervisor needs a directory of that name: move it away, or run it as its owner",
        terminal::path(.path)
    )]
    OwnDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

fn who(pid: Option<u32>) -> String {
    pid.map_or("PID unknown".to_owned(), |pid| format!("PID {pid}"))
}

fn original(pid: Option<u32>) -> String {
    pid.and_then(original::running_as).map(|it| format!(": {it}")).unwrap_or_default()
}

/// Takes the lock, trying for `patience` (normally [`PATIENCE`]); creates the directory and the file when missing.
/// Blocks the thread meanwhile.
pub fn acquire(town: &TownPaths, patience: Duration) -> Result<DaemonLock, LockError> {
    let path = town.daemon_lock();
    let unusable = |source| LockError::Unusable { path: path.clone(), source };
    prepare(town)?;
    let deadline = Instant::now() + patience;
    loop {
        // Opened for each try: the lock of a file that was deleted meanwhile excludes no other process.
        let (file, _) = opening::for_writing(&path, Whose::Ours, 0o644).map_err(unusable)?;
        match FileExt::try_lock(&file) {
            Ok(()) if hold::is_in_place(&file, &path).map_err(unusable)? => return Ok(DaemonLock { file }),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::AlreadyRunning { pid: pid::read(&town.pid_file()) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}

/// Creates the directory of the lock.
fn prepare(town: &TownPaths) -> Result<(), LockError> {
    let directory = town.daemon_dir();
    if !own_directory::is(&directory) {
        return fs::create_dir_all(directory)
            .map_err(|source| LockError::Unusable { path: town.daemon_lock(), source });
    }
    own_directory::prepare(&directory)
        .map_err(|source| LockError::OwnDirectory { path: directory.clone(), source })?;
    // Without it git lists the directory, and everything works.
    let _ = own_directory::hide(&directory);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::limits::{LimitedJoin, receive};

    fn town() -> (tempfile::TempDir, TownPaths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = TownPaths::new(dir.path());
        (dir, paths)
    }

    #[test]
    fn the_second_learns_which_process_is_the_first() {
        let (_dir, town) = town();
        let held = acquire(&town, PATIENCE).unwrap();
        for (pid_file, message) in [
            (None, "already running (PID unknown)"),
            (Some("4711"), "already running (PID 4711)"),
            (Some("4711\n"), "already running (PID 4711)"),
            (Some("4711\n470d9f1c7669584a"), "already running (PID 4711)"),
            (Some("junk"), "already running (PID unknown)"),
        ] {
            if let Some(content) = pid_file {
                fs::write(town.pid_file(), content).unwrap();
            }
            let error = acquire(&town, Duration::ZERO).unwrap_err();
            assert_eq!(error.to_string(), message, "{pid_file:?}");
        }
        drop(held);
        assert!(town.daemon_lock().exists(), "never deleted");
        acquire(&town, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_momentary_probe_does_not_turn_us_away() {
        let (_dir, town) = town();
        let probe = acquire(&town, PATIENCE).unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tell.send(()).unwrap();
                let taken = acquire(&town, Duration::from_secs(30));
                assert!(taken.is_ok(), "{taken:?}");
            });
            receive(&told, "that somebody waits");
            drop(probe);
        });
    }

    #[test]
    fn of_ten_exactly_one_gets_it() {
        let (_dir, town) = town();
        let results: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..10).map(|_| scope.spawn(|| acquire(&town, Duration::from_millis(50)))).collect();
            racers.into_iter().map(|racer| racer.limited_join("a racer")).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    }

    #[test]
    fn an_unusable_place_is_named() {
        let (dir, town) = town();
        fs::write(dir.path().join("daemon"), "a file").unwrap();
        let error = acquire(&town, PATIENCE).unwrap_err().to_string();
        assert!(error.contains("daemon/daemon.lock cannot be locked: "), "{error}");
    }

    #[test]
    fn in_a_town_of_one_file_it_is_in_a_directory_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let town = TownPaths::of_file(&dir.path().join("agents.toml")).unwrap();
        drop(acquire(&town, PATIENCE).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join(".supervisor/.gitignore")).unwrap(), "*\n");
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, [".supervisor"]);
        fs::remove_dir_all(dir.path().join(".supervisor")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(".supervisor")).unwrap();
        let error = acquire(&town, PATIENCE).unwrap_err().to_string();
        assert!(
            error.contains(".supervisor cannot be used: it is a symbolic link, not a directory; "),
            "{error}"
        );
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
