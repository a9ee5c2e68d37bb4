//! The hold: whether the town that this process locked still exists, with the same lock file.
//!
//! A lock file that is deleted lets a second supervisor lock a new one; a town that is moved or deleted leaves paths
//! that lead nowhere, or to another town. Writes by name would go there. So both are identified by device and inode.
//! They are compared before each write, after each read (a file that is missing in a missing town proves nothing) and
//! every 5 s, by a thread of its own, which a hanging disk may block. Once the hold is lost, this process reads
//! and writes nothing more in the town. What cannot be examined is not lost. The hold belongs to the process, which
//! supervises one town, and must not end anything.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that touches the town's files")]

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{LazyLock, OnceLock},
    thread,
    time::Duration,
};

use tokio::sync::watch;

use super::paths::TownPaths;
use crate::terminal;

/// The interval of the comparison when nothing else happens.
const CHECK: Duration = Duration::from_secs(5);

/// Why the town is not ours any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {what}; this supervisor exits and writes nothing more, the agents keep running", terminal::path(.path))]
pub struct Lost {
    path: PathBuf,
    what: &'static str,
}

/// The identity of the locked town and its lock.
#[derive(Debug)]
pub struct Hold {
    root: (PathBuf, Identity),
    lock: (PathBuf, Identity),
}

type Identity = (u64, u64);

static HOLD: OnceLock<Hold> = OnceLock::new();
static LOST: LazyLock<watch::Sender<Option<Lost>>> = LazyLock::new(|| watch::Sender::new(None));

impl Hold {
    /// The current identity of the town and of its lock, which is this open file.
    pub fn of(paths: &TownPaths, lock: &File) -> io::Result<Hold> {
        let root = paths.root().to_owned();
        let is = identity(&fs::metadata(&root)?);
        Ok(Hold { root: (root, is), lock: (paths.daemon_lock(), identity(&lock.metadata()?)) })
    }

    /// Compares it with the disk; returns what was lost.
    pub fn check(&self) -> Option<Lost> {
        let changes = [
            (&self.root, "is gone: the town was moved or deleted", "was replaced by another directory"),
            (
                &self.lock,
                "was deleted: another supervisor may start",
                "was replaced: another supervisor may run",
            ),
        ];
        changes.into_iter().find_map(|((path, was), gone, replaced)| {
            let what = match fs::metadata(path) {
                Ok(data) if identity(&data) == *was => return None,
                Ok(_) => replaced,
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    gone
                }
                Err(_) => return None,
            };
            Some(Lost { path: path.clone(), what })
        })
    }
}

/// Whether the open lock file is still the one at its path.
pub(super) fn is_in_place(lock: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(data) => Ok(identity(&data) == identity(&lock.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn identity(data: &Metadata) -> Identity {
    (data.dev(), data.ino())
}

/// Makes this the hold of the process, and starts the comparison; only the first call counts.
pub fn take(hold: Hold) -> io::Result<()> {
    if HOLD.set(hold).is_ok() {
        thread::Builder::new().name("hold".to_owned()).spawn(|| {
            while verify().is_ok() {
                thread::sleep(CHECK);
            }
        })?;
    }
    Ok(())
}

/// An error when the hold of this process is lost. Succeeds in a process without one.
pub fn verify() -> io::Result<()> {
    let Some(hold) = HOLD.get() else { return Ok(()) };
    let before = LOST.borrow().clone();
    match before.or_else(|| hold.check()) {
        None => Ok(()),
        Some(lost) => {
            LOST.send_if_modified(|before| before.is_none().then(|| *before = Some(lost.clone())).is_some());
            Err(io::Error::other(lost))
        }
    }
}

/// Whether the hold was found to be lost.
pub fn is_lost() -> bool {
    HOLD.get().is_some() && LOST.borrow().is_some()
}

/// Waits until the hold is lost. Never returns in a process without one.
pub async fn lost() -> Lost {
    let mut changes = LOST.subscribe();
    match changes.wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone()) {
        Some(lost) => lost,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::opening::{self, Whose};

    #[test]
    fn what_was_taken_is_known_by_what_it_is() {
        type Act = fn(&Path);
        let cases: [(&str, Act, Option<&str>); 8] = [
            ("nothing", |_| (), None),
            ("other files", |town| fs::write(town.join("daemon/daemon.pid"), "1").unwrap(), None),
            (
                "the lock was written to",
                |town| fs::write(town.join("daemon/daemon.lock"), "1").unwrap(),
                None,
            ),
            (
                "moved and back",
                |town| {
                    fs::rename(town, town.with_extension("x")).unwrap();
                    fs::rename(town.with_extension("x"), town).unwrap();
                },
                None,
            ),
            (
                "lock deleted",
                |town| fs::remove_file(town.join("daemon/daemon.lock")).unwrap(),
                Some("was deleted"),
            ),
            (
                "lock replaced",
                |town| {
                    fs::write(town.join("new"), "").unwrap();
                    fs::rename(town.join("new"), town.join("daemon/daemon.lock")).unwrap();
                },
                Some("another supervisor may run"),
            ),
            ("moved", |town| fs::rename(town, town.with_extension("x")).unwrap(), Some("is gone")),
            (
                "another town in its place",
                |town| {
                    fs::rename(town, town.with_extension("x")).unwrap();
                    fs::create_dir_all(town.join("daemon")).unwrap();
                    fs::write(town.join("daemon/daemon.lock"), "").unwrap();
                },
                Some("another directory"),
            ),
        ];
        for (name, act, expected) in cases {
            let above = tempfile::tempdir().unwrap();
            let paths = TownPaths::new(above.path().join("town"));
            fs::create_dir_all(paths.daemon_dir()).unwrap();
            let (lock, _) = opening::for_writing(&paths.daemon_lock(), Whose::Ours, 0o644).unwrap();
            let hold = Hold::of(&paths, &lock).unwrap();
            act(paths.root());
            let lost = hold.check().map(|lost| lost.to_string());
            assert_eq!(lost.is_some(), expected.is_some(), "{name}: {lost:?}");
            assert!(lost.is_none_or(|lost| lost.contains(expected.unwrap())), "{name}");
        }
    }

    #[test]
    fn a_process_that_holds_nothing_has_nothing_to_lose() {
        assert!(verify().is_ok() && !is_lost());
    }
}
