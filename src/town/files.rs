//! Files: the port through which everything in the town is read and written, and its adapter on the real disk.
//!
//! It must not know what the files mean. Every write replaces the file as a whole, so that a reader sees the old or
//! the new content, never a part.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that touches the town's files")]

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt as _, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fs4::{FileExt, TryLockError};
use jiff::Timestamp;

use super::{
    disk_task, hold,
    opening::{self, Whose},
    own_directory,
    root::{Kind, Status},
    temporary::Temporary,
};
use crate::{go_duration, terminal};

/// The most bytes read of one file.
pub const LARGEST: u64 = 16 * 1024 * 1024;

/// How long to wait for the lock of a file that is appended to; its other holders hold it for one write.
const APPEND_PATIENCE: Duration = Duration::from_secs(2);

/// Whether another process holds the advisory lock (`flock(2)`) of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// There is no such file, or no process holds its lock.
    Free,
    /// A process holds it exclusively.
    Held,
}

/// A lock that is held until this is dropped.
pub type HeldLock = Box<dyn Send + Sync>;

/// The time between two tries for a lock.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// Reads and writes files.
#[async_trait]
pub trait Files: Send + Sync {
    /// The content of a file, at most 16 MiB (more is an error of kind `FileTooLarge`).
    async fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The contents of several small files, in their order, as one access: for what is read of every agent again and again.
    async fn read_each(&self, paths: Vec<PathBuf>) -> Vec<io::Result<Vec<u8>>> {
        let mut contents = Vec::new();
        for path in paths {
            contents.push(self.read(&path).await);
        }
        contents
    }

    /// Replaces a file: temporary file beside it with `mode`, write, sync, rename. Its directory is created if missing.
    async fn replace(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;

    /// Appends one line (the newline is added) with a single write, while holding `flock` on `<path>.lock`. It starts
    /// on a line of its own; on an error nothing of it stays.
    async fn append_line(&self, path: &Path, line: &str, mode: u32) -> io::Result<()>;

    /// Moves a file aside: renames it to `<path>.<suffix>`, replacing what is there.
    async fn set_aside(&self, path: &Path, suffix: &str) -> io::Result<()>;

    /// True when something of that name exists. An error when that could not be found out.
    async fn exists(&self, path: &Path) -> io::Result<bool>;

    /// When the content of a file last changed.
    async fn modified(&self, path: &Path) -> io::Result<Timestamp>;

    /// True when the path exists and is a directory.
    async fn is_dir(&self, path: &Path) -> io::Result<bool>;

    /// The absolute path without symbolic links.
    async fn real_path(&self, path: &Path) -> io::Result<PathBuf>;

    /// Creates a directory and its parents; an existing one is no error.
    async fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    async fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Probes the lock of a file with a shared lock that is released at once; never creates or deletes the file.
    async fn probe_lock(&self, path: &Path) -> io::Result<LockState>;

    /// Takes the lock of a file exclusively; the file and its directory are created if missing. An error of kind `TimedOut`
    /// when other processes hold it all the time until `limit`.
    async fn lock(&self, path: &Path, limit: Duration) -> io::Result<HeldLock>;
}

/// The real disk. Each call is a [`disk_task`]: it has a time limit, and dropping the future lets it finish.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

#[async_trait]
impl Files for Disk {
    async fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        disk_task::run(path, read).await
    }

    async fn read_each(&self, paths: Vec<PathBuf>) -> Vec<io::Result<Vec<u8>>> {
        let (Some(first), count) = (paths.first().cloned(), paths.len()) else { return Vec::new() };
        let contents =
            disk_task::run(&first, move |_| Ok(paths.iter().map(|path| read(path)).collect())).await;
        contents.unwrap_or_else(|error| (0..count).map(|_| Err(error.kind().into())).collect())
    }

    async fn replace(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let content = content.to_vec();
        disk_task::run(path, move |path| replace(path, &content, mode)).await
    }

    async fn append_line(&self, path: &Path, line: &str, mode: u32) -> io::Result<()> {
        let line = line.to_owned();
        disk_task::run(path, move |path| append_line(path, line, mode)).await
    }

    async fn set_aside(&self, path: &Path, suffix: &str) -> io::Result<()> {
        let target = suffixed(path, suffix);
        let rename = move |path: &Path| hold::verify().and_then(|()| fs::rename(path, target));
        disk_task::run(path, rename).await
    }

    async fn exists(&self, path: &Path) -> io::Result<bool> {
        disk_task::run(path, |path| in_the_town(path.try_exists())).await
    }

    async fn is_dir(&self, path: &Path) -> io::Result<bool> {
        disk_task::run(path, |path| in_the_town(kind(path)).map(|kind| kind == Kind::Directory)).await
    }

    async fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let changed = disk_task::run(path, |path| in_the_town(fs::metadata(path)?.modified())).await?;
        Timestamp::try_from(changed).map_err(io::Error::other)
    }

    async fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        disk_task::run(path, |path| in_the_town(fs::canonicalize(path))).await
    }

    async fn create_dir(&self, path: &Path) -> io::Result<()> {
        disk_task::run(path, |path| hold::verify().and_then(|()| fs::create_dir_all(path))).await
    }

    async fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        disk_task::run(path, |path| in_the_town(list(path))).await
    }

    async fn probe_lock(&self, path: &Path) -> io::Result<LockState> {
        disk_task::run(path, |path| in_the_town(probe_lock(path))).await
    }

    async fn lock(&self, path: &Path, limit: Duration) -> io::Result<HeldLock> {
        let until = tokio::time::Instant::now() + limit;
        loop {
            if let Some(held) = disk_task::run(path, try_lock).await? {
                return Ok(Box::new(held));
            }
            if tokio::time::Instant::now() >= until {
                let reason = format!(
                    "another process has held {} for {}",
                    terminal::path(path),
                    go_duration::short(limit)
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            tokio::time::sleep(LOCK_RETRY).await;
        }
    }
}

impl Status for Disk {
    fn kind(&self, path: &Path) -> io::Result<Kind> {
        kind(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

/// Reads a file on the calling thread, at most [`LARGEST`] bytes of it. Meant for the start, before there is a runtime.
///
/// Anything but a regular file is an error: reading a pipe could block for ever.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    in_the_town(read_whole(path))
}

/// Returns `found` only if this process's town is still there: a file missing in a town that is gone proves nothing.
pub(super) fn in_the_town<T>(found: io::Result<T>) -> io::Result<T> {
    hold::verify().and(found)
}

fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = opening::for_reading(path)?;
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(content)
}

/// Replaces a file on the calling thread, as [`Files::replace`] does. A symbolic link is replaced by the file, not
/// followed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    hold::verify()?;
    let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if own_directory::is(dir) {
        // A private file is created in a directory where others cannot exchange it, and not at the target of a link.
        own_directory::prepare(dir)?;
    } else {
        fs::create_dir_all(dir)?;
    }
    let mut temporary = Temporary::beside(path, mode)?;
    temporary.file().write_all(content)?;
    // Set again on the open file, because the umask must not change modes that others rely on.
    temporary.file().set_permissions(Permissions::from_mode(mode))?;
    temporary.file().sync_all()?;
    temporary.install()
}

/// Creates a file of the user's on the calling thread, with the mode that the umask leaves. An error of kind `AlreadyExists` when
/// anything is at the path; then nothing is written.
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = opening::new(path, 0o666)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // It is ours: it was made just now, and half of it is worse than none.
        let _ = fs::remove_file(path);
    }
    written
}

/// Replaces a file of the user's on the calling thread, as a whole and with its mode, if its content is still what it was read as;
/// returns whether it was. Where the path is a symbolic link, the file that it leads to is replaced.
pub fn amend(path: &Path, before: &[u8], content: &[u8]) -> io::Result<bool> {
    let path = fs::canonicalize(path)?;
    let mode = fs::metadata(&path)?.permissions().mode() & 0o7777;
    let mut temporary = Temporary::beside(&path, mode)?;
    temporary.file().write_all(content)?;
    temporary.file().set_permissions(Permissions::from_mode(mode))?;
    temporary.file().sync_all()?;
    // Last of all, so that what somebody saves meanwhile is not lost.
    if read_whole(&path)? != before {
        return Ok(false);
    }
    temporary.install().map(|()| true)
}

fn append_line(path: &Path, mut line: String, mode: u32) -> io::Result<()> {
    line.push('\n');
    let _lock = append_lock(path)?;
    hold::verify()?;
    let (mut file, data) = opening::for_appending(path, Whose::Others, mode)?;
    if is_torn(&file, data.len())? {
        // The writer of the last line is gone: our line must not become the end of that one.
        line.insert(0, '\n');
    }
    let written = file.write(line.as_bytes());
    if matches!(written, Ok(count) if count == line.len()) {
        return Ok(());
    }
    // A partial line would spoil the next one. No other writer writes while we hold the lock.
    let _ = file.set_len(data.len());
    let reason = format!("only {} of {} bytes of the line fitted", written?, line.len());
    Err(io::Error::new(io::ErrorKind::WriteZero, reason))
}

/// Whether a file of this length ends in the middle of a line.
pub(super) fn is_torn(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    Ok(length > 0 && file.read_at(&mut last, length - 1)? == 1 && last != *b"\n")
}

/// Takes the lock of a file that is appended to, `<path>.lock`; dropping the returned file releases it. An error of
/// kind `TimedOut` when another process has held it for 2 s.
pub(super) fn append_lock(path: &Path) -> io::Result<File> {
    hold::verify()?;
    let lock_path = suffixed(path, "lock");
    let (lock, _) = opening::for_writing(&lock_path, Whose::Others, 0o644).map_err(|error| {
        let name = terminal::path(lock_path.file_name().unwrap_or_default());
        io::Error::new(error.kind(), format!("its lock {name} cannot be opened: {error}"))
    })?;
    let deadline = Instant::now() + APPEND_PATIENCE;
    loop {
        match FileExt::try_lock(&lock) {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another process has held {}.lock for 2s", terminal::path(path));
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn kind(path: &Path) -> io::Result<Kind> {
    match fs::metadata(path) {
        Ok(data) if data.is_dir() => Ok(Kind::Directory),
        Ok(_) => Ok(Kind::File),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Kind::Missing)
        }
        Err(error) => Err(error),
    }
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The locked file; `None` while another process holds the lock.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    hold::verify()?;
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let (file, _) = opening::for_writing(path, Whose::Others, 0o644)?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn probe_lock(path: &Path) -> io::Result<LockState> {
    let file = match opening::for_reading(path) {
        Ok((file, _)) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockState::Free),
        Err(error) => return Err(error),
    };
    match FileExt::try_lock_shared(&file) {
        Ok(()) => FileExt::unlock(&file).map(|()| LockState::Free),
        Err(TryLockError::WouldBlock) => Ok(LockState::Held),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn replaces_as_a_whole_with_its_mode_and_leaves_nothing_behind() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("a/b/state.json");
        for (content, bits) in [("one", 0o644), ("two two", 0o600), ("", 0o666)] {
            Disk.replace(&path, content.as_bytes(), bits).await.unwrap();
            assert_eq!(Disk.read(&path).await.unwrap(), content.as_bytes());
            assert_eq!(mode(&path), bits);
            assert_eq!(Disk.list(path.parent().unwrap()).await.unwrap(), ["state.json"]);
        }
    }

    #[tokio::test]
    async fn a_failed_replace_keeps_the_old_and_leaves_nothing_behind() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("state.json");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("in it"), "x").unwrap();
        assert!(Disk.replace(&path, b"new", 0o644).await.is_err());
        assert_eq!(Disk.list(town.path()).await.unwrap(), ["state.json"]);
        fs::write(town.path().join("file"), "").unwrap();
        assert!(Disk.replace(&town.path().join("file/state.json"), b"new", 0o644).await.is_err());
    }

    #[test]
    fn a_file_of_the_users_is_made_once_and_amended_only_as_it_was_read() {
        let town = tempfile::tempdir().unwrap();
        let (file, link) = (town.path().join("agents.toml"), town.path().join("link.toml"));
        create(&file, b"one").unwrap();
        let again = create(&file, b"two").unwrap_err();
        assert_eq!((again.kind(), fs::read(&file).unwrap()), (io::ErrorKind::AlreadyExists, b"one".to_vec()));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(!amend(&link, b"other", b"lost").unwrap(), "somebody wrote it meanwhile");
        assert!(amend(&link, b"one", b"one two").unwrap());
        assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"one two".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        std::os::unix::fs::symlink(town.path().join("nowhere"), town.path().join("dangling")).unwrap();
        assert!(create(&town.path().join("dangling"), b"x").is_err());
        assert!(amend(&town.path().join("missing"), b"", b"x").is_err());
        assert_eq!(list(town.path()).unwrap(), ["agents.toml", "dangling", "link.toml"]);
    }

    #[tokio::test]
    async fn a_link_is_replaced_not_followed() {
        let town = tempfile::tempdir().unwrap();
        let (link, target) = (town.path().join("link"), town.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        Disk.replace(&link, b"new", 0o644).await.unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[tokio::test]
    async fn what_is_no_file_is_an_error_and_not_waited_for() {
        let town = tempfile::tempdir().unwrap();
        assert!(Disk.read(town.path()).await.is_err(), "a directory");
        let pipe = town.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(Disk.read(&pipe).await.unwrap_err().to_string(), "it is a named pipe, not a file");
        let missing = Disk.read(&town.path().join("missing")).await.unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let large = town.path().join("large");
        File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(Disk.read(&large).await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test]
    async fn lines_appended_side_by_side_stay_whole() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join(".events.jsonl");
        let lines: Vec<_> = (0..20).map(|n| format!("{n:02}").repeat(2000)).collect();
        let appended = lines.iter().map(|line| Disk.append_line(&path, line, 0o644));
        futures::future::join_all(appended).await.into_iter().for_each(|result| result.unwrap());
        let mut found: Vec<_> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        found.sort();
        assert_eq!(found, lines);
        assert_eq!(mode(&path) & 0o600, 0o600);
        assert!(town.path().join(".events.jsonl.lock").exists());
    }

    #[tokio::test]
    async fn a_lock_that_is_never_let_go_is_an_error() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("log");
        let holder = File::create(town.path().join("log.lock")).unwrap();
        FileExt::lock(&holder).unwrap();
        let error = Disk.append_line(&path, "x", 0o644).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_lock_is_taken_with_its_file_and_directory_and_held_by_one() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("queue/al-nux/.lock");
        let first = Disk.lock(&path, Duration::ZERO).await.unwrap();
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Held);
        let error = Disk.lock(&path, Duration::ZERO).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        let (second, ()) = tokio::join!(Disk.lock(&path, Duration::from_secs(60)), async { drop(first) });
        let _second = second.unwrap();
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Held);
        fs::create_dir(town.path().join("directory")).unwrap();
        assert!(Disk.lock(&town.path().join("directory"), Duration::ZERO).await.is_err());
    }

    #[tokio::test]
    async fn locks_are_probed_without_taking_or_making_them() {
        let town = tempfile::tempdir().unwrap();
        let path = town.path().join("shutdown.lock");
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Free, "missing");
        assert!(!path.exists());
        let holder = File::create(&path).unwrap();
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Free, "there, but nobody holds it");
        FileExt::lock_shared(&holder).unwrap();
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Free, "another probe");
        FileExt::unlock(&holder).unwrap();
        FileExt::lock(&holder).unwrap();
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Held, "held");
        drop(holder);
        assert_eq!(Disk.probe_lock(&path).await.unwrap(), LockState::Free, "let go");
        assert!(
            Disk.probe_lock(&town.path().join("shutdown.lock/x")).await.is_err(),
            "could not be found out"
        );
    }

    #[tokio::test]
    async fn checks_and_renames() {
        let town = tempfile::tempdir().unwrap();
        let file = town.path().join("state.json");
        fs::write(&file, "x").unwrap();
        fs::write(town.path().join("state.json.corrupt"), "older").unwrap();
        assert!(Disk.exists(&file).await.unwrap() && !Disk.is_dir(&file).await.unwrap());
        assert!(Disk.is_dir(town.path()).await.unwrap());
        Disk.set_aside(&file, "corrupt").await.unwrap();
        assert!(!Disk.exists(&file).await.unwrap());
        assert_eq!(fs::read_to_string(town.path().join("state.json.corrupt")).unwrap(), "x");
        let deep = town.path().join("a/b");
        Disk.create_dir(&deep).await.unwrap();
        Disk.create_dir(&deep).await.unwrap();
        assert_eq!(Disk.list(town.path()).await.unwrap(), ["a", "state.json.corrupt"]);
        assert!(!Disk.is_dir(&town.path().join("state.json.corrupt/x")).await.unwrap());
    }

    #[test]
    fn finds_a_real_town_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let town = dir.path().canonicalize().unwrap().join("town");
        fs::create_dir_all(town.join("mayor")).unwrap();
        fs::write(town.join("mayor/town.json"), "{}").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&town, &link).unwrap();
        let root = crate::town::root::find(
            crate::town::root::Named::directory(Some(&link)),
            &|_| None,
            Path::new("/"),
            &Disk,
        );
        let root = root.unwrap().root().to_owned();
        assert_eq!(root, town);
    }
}
