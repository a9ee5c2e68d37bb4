//! Trial: whether writing, syncing, renaming and locking work in a directory, and how long each takes.
//!
//! This is the one thing that the doctor writes: a small file of its own, which it removes. It has a name as temporary files of a
//! supervisor have, so that the next writer removes it where the doctor was killed. It must not judge.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that tries the disk for the doctor")]

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use crate::town::opening;

/// How many bytes are written.
const CONTENT: [u8; 4096] = [b' '; 4096];

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// How long it took to write and sync.
    pub sync: Duration,
    /// How long it took to replace a file by renaming.
    pub rename: Duration,
    /// Whether a lock keeps others out.
    pub excludes: bool,
}

/// What did not work, as it is read behind "daemon/ cannot be used: ".
#[derive(Debug)]
pub struct Failed {
    /// Which step.
    pub step: &'static str,
    /// The system's reason.
    pub error: io::Error,
}

/// Tries it in this directory.
pub async fn examine(directory: &Path) -> Result<Tried, Failed> {
    let directory = directory.to_owned();
    let tried = tokio::task::spawn_blocking(move || examine_now(&directory)).await;
    tried.unwrap_or_else(|error| Err(Failed { step: "a trial", error: io::Error::other(error) }))
}

fn examine_now(directory: &Path) -> Result<Tried, Failed> {
    let failed = |step| move |error: io::Error| Failed { step, error };
    let name = |number| directory.join(format!(".doctor.json.{}-{number}.tmp", std::process::id()));
    let (one, other) = (name(0), name(1));
    let mut file = opening::new(&one, 0o600).map_err(failed("creating a file"))?;
    let _remove = Remove([one.clone(), other.clone()]);
    let began = Instant::now();
    file.write_all(&CONTENT).and_then(|()| file.sync_all()).map_err(failed("writing and syncing a file"))?;
    let sync = began.elapsed();
    let excludes = excludes(&file, &one).map_err(failed("locking a file"))?;
    drop(opening::new(&other, 0o600).map_err(failed("creating a file"))?);
    let began = Instant::now();
    fs::rename(&one, &other).map_err(failed("replacing a file"))?;
    let rename = began.elapsed();
    let length = fs::metadata(&other).map_err(failed("reading a file that was replaced"))?.len();
    if length != CONTENT.len() as u64 {
        let error = io::Error::other(format!("it has {length} bytes, not {}", CONTENT.len()));
        return Err(Failed { step: "reading a file that was replaced", error });
    }
    Ok(Tried { sync, rename, excludes })
}

/// Whether a lock of one open file keeps another open file of the same path out.
fn excludes(file: &File, path: &Path) -> io::Result<bool> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    let (other, _) = opening::for_reading(path)?;
    match flock(&other, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Removes these files at the end.
struct Remove([PathBuf; 2]);

impl Drop for Remove {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(examine(directory.path()).await.unwrap().excludes);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let gone = examine(&directory.path().join("gone")).await.unwrap_err();
        assert_eq!((gone.step, gone.error.kind()), ("creating a file", io::ErrorKind::NotFound));
    }
}
