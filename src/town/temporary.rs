//! Temporary files: the new content of a file of ours before it replaces the file.
//!
//! A temporary file is beside its target and names the process that writes it, so that one whose writer was killed
//! can be recognised and removed. It must not know what is written.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that touches the town's files")]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::opening;

/// How many names to try: one may be taken by a file that a killed process of the same id left.
const TRIES: u32 = 100;

static COUNT: AtomicU64 = AtomicU64::new(0);
/// The directories that this process has cleaned.
static CLEANED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A temporary file; removed when it is dropped before it was installed.
#[derive(Debug)]
pub struct Temporary {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    /// Creates an empty one, to replace `target`.
    pub fn beside(target: &Path, mode: u32) -> io::Result<Temporary> {
        if let Some(directory) = target.parent() {
            clean_once(directory);
        }
        let name = target.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut tries = 0;
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".{}.{}-{number}.tmp", name.to_string_lossy(), std::process::id());
            let path = target.with_file_name(name);
            tries += 1;
            match opening::new(&path, mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {}
                file => return Ok(Temporary { file: file?, path, target: target.to_owned() }),
            }
        }
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Replaces the target.
    pub fn install(self) -> io::Result<()> {
        // When this fails, dropping it removes the file; when it succeeds, no file of that name is left.
        fs::rename(&self.path, &self.target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The process that writes a temporary file, by its name `.<file>.<process>-<number>.tmp`; `None` for every other name.
fn writer(name: &str) -> Option<u32> {
    let (file, tag) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (process, number) = tag.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = file.ends_with(".json")
        || file.ends_with(".jsonl")
        || ["daemon.pid", "pid", "running_file"].contains(&file);
    (is_ours && digits(process) && digits(number)).then(|| process.parse().ok())?
}

/// Removes the files that killed processes left in this directory, at the first call of this process.
pub fn clean_once(directory: &Path) {
    let is_new = CLEANED.lock().insert(directory.to_owned());
    if is_new {
        clean(directory);
    }
}

fn clean(directory: &Path) {
    // A file that cannot be listed or removed stays: it does no harm.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let process = entry.file_name().to_str().and_then(writer);
        let is_over = process.is_some_and(|process| process != std::process::id() && !lives(process));
        if is_over && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn lives(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_it_is() {
        for (name, expected) in [
            (".state.json.4711-0.tmp", Some(4711)),
            (".daemon.pid.4711-12.tmp", Some(4711)),
            (".pid.4711-0.tmp", Some(4711)),
            (".0c4e.jsonl.4711-0.tmp", Some(4711)),
            (".state.json.AbC123.tmp", None),
            (".state.json.4711.tmp", None),
            (".state.json.4711-.tmp", None),
            (".state.json.-1.tmp", None),
            (".state.json.99999999999-1.tmp", None),
            (".state.json.tmp", None),
            ("state.json.4711-0.tmp", None),
            ("state.json", None),
            (".notes.4711-0.tmp", None),
            (".json.4711-0.tmp", None),
            (".state.json.4711-0.tmp.bak", None),
            ("", None),
        ] {
            assert_eq!(writer(name), expected, "{name}");
        }
    }

    #[test]
    fn only_what_a_dead_process_left_is_taken_away() {
        let town = tempfile::tempdir().unwrap();
        let put = |name: String| {
            fs::write(town.path().join(&name), "half").unwrap();
            name
        };
        let dead = i32::MAX; // more than the kernel assigns
        let gone = [put(format!(".state.json.{dead}-1.tmp")), put(format!(".daemon.pid.{dead}-2.tmp"))];
        let stays = [
            put(format!(".state.json.{}-9999999.tmp", std::process::id())),
            put(".state.json.1-1.tmp".to_owned()),
            put(".state.json.newnew.tmp".to_owned()),
            put("state.json.tmp".to_owned()),
            put(format!(".notes.txt.{dead}-1.tmp")),
        ];
        let target = town.path().join("state.json");
        let mut temporary = Temporary::beside(&target, 0o644).unwrap();
        std::io::Write::write_all(temporary.file(), b"whole").unwrap();
        temporary.install().unwrap();
        drop(Temporary::beside(&target, 0o644).unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        for (names, expected) in [(&gone[..], false), (&stays[..], true)] {
            for name in names {
                assert_eq!(town.path().join(name).exists(), expected, "{name}");
            }
        }
        assert_eq!(fs::read_dir(town.path()).unwrap().count(), stays.len() + 1);
    }
}
