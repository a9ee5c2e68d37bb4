//! The disk: file owners, free space, and which processes hold or have open a file, which the [`Files`](crate::town::files::Files)
//! port does not offer.
//!
//! It only reads: nothing is opened for writing, created or locked ([`trial`](super::trial) does that). It must not judge.
#![allow(clippy::disallowed_methods, reason = "this is the adapter that looks at the disk for the doctor")]

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use crate::{sessions::tmux::Socket, town::files};

/// What is at a path; symbolic links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A pipe, a device or the like.
    Other,
}

/// The facts about one path that the doctor needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What is there.
    pub kind: Kind,
    /// Its permission bits (`0o7777`).
    pub mode: u32,
    /// Whether this process may write to it; for a directory: create files in it.
    pub writable: bool,
    /// The id of the user who owns it.
    pub owner: u32,
    /// The device that it is on.
    pub device: u64,
}

/// Free space on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The bytes that a user other than root may still write.
    pub bytes: u64,
    /// The files that may still be created; `None` when the file system does not count them.
    pub files: Option<u64>,
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The facts about a path; `None` when nothing is there.
pub async fn entry(path: &Path) -> io::Result<Option<Entry>> {
    let path = path.to_owned();
    blocking(move || {
        let data = match fs::metadata(&path) {
            Ok(data) => data,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let kind = match (data.is_dir(), data.is_file()) {
            (true, _) => Kind::Directory,
            (_, true) => Kind::File,
            _ => Kind::Other,
        };
        let wanted = if data.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
        let writable = accessat(CWD, &path, wanted, AtFlags::EACCESS).is_ok();
        Ok(Some(Entry { kind, mode: data.mode() & 0o7777, writable, owner: data.uid(), device: data.dev() }))
    })
    .await
}

/// The free space on the file system of this path.
pub async fn room(path: &Path) -> io::Result<Room> {
    let path = path.to_owned();
    blocking(move || {
        let stat = statvfs(&path)?;
        let files = (stat.f_files > 0).then_some(stat.f_favail);
        Ok(Room { bytes: stat.f_bavail.saturating_mul(stat.f_frsize), files })
    })
    .await
}

/// The sockets in a directory, in order of their names; none when there is no such directory.
pub async fn sockets(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let directory = directory.to_owned();
    blocking(move || {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut sockets = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                sockets.push(entry.path());
            }
        }
        sockets.sort();
        Ok(sockets)
    })
    .await
}

/// The text files in a directory whose names end so, in order; none when there is no such directory. What cannot be read is
/// left out.
pub async fn texts(directory: &Path, suffix: &'static str) -> Vec<(PathBuf, String)> {
    let directory = directory.to_owned();
    let found = blocking(move || {
        let mut texts = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(suffix) && path.is_file() {
                let content = files::read(&path).unwrap_or_default();
                texts.push((path, String::from_utf8_lossy(&content).into_owned()));
            }
        }
        texts.sort();
        Ok(texts)
    });
    found.await.unwrap_or_default()
}

/// The path of this tmux socket, and the directory of the sockets that tmux knows by name.
pub async fn tmux_places(socket: Socket) -> io::Result<(PathBuf, PathBuf)> {
    blocking(move || Ok((socket.path(), Socket::directory()))).await
}

/// The absolute path without symbolic links; the path itself when that is not possible.
pub async fn canonical(path: &Path) -> PathBuf {
    let asked = path.to_owned();
    blocking(move || fs::canonicalize(asked)).await.unwrap_or_else(|_| path.to_owned())
}

/// The processes that hold the advisory lock (`flock(2)`) of this file, if the system shows them (Linux,
/// `/proc/locks`). Empty when there is none, and when it is unknown.
pub async fn holders(path: &Path) -> Vec<u32> {
    let path = path.to_owned();
    let found = blocking(move || {
        let data = fs::metadata(&path)?;
        Ok(holders_in(&fs::read_to_string("/proc/locks")?, data.dev(), data.ino()))
    });
    found.await.unwrap_or_default()
}

/// Parses `/proc/locks`: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:133 0 EOF`; waiting ones have a `->` in the second field.
fn holders_in(locks: &str, device: u64, inode: u64) -> Vec<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, pid, at, ..] if at == file => pid.parse().ok().filter(|pid| *pid != 0),
            _ => None,
        }
    };
    locks.lines().filter_map(holder).collect()
}

/// The user that a process runs as, if the system shows it (Linux).
pub async fn user_of(pid: u32) -> Option<u32> {
    blocking(move || Ok(fs::metadata(format!("/proc/{pid}"))?.uid())).await.ok()
}

/// The other processes that have the file at this path open, or had it open when it was deleted, as far as the system shows them
/// (Linux, processes of this user).
pub async fn openers(path: &Path) -> Vec<u32> {
    let path = path.to_owned();
    let found = blocking(move || {
        let own = std::process::id();
        let processes = fs::read_dir("/proc")?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut openers: Vec<u32> = pids.filter(|pid| *pid != own && has_open(*pid, &path)).collect();
        openers.sort_unstable();
        Ok(openers)
    });
    found.await.unwrap_or_default()
}

fn has_open(pid: u32, path: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| without_mark(&file) == path)
}

/// The path that `/proc` shows, without the mark of a file that is deleted.
fn without_mark(shown: &Path) -> PathBuf {
    let text = shown.to_string_lossy();
    PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
}

/// The path of a process's executable, if the system shows it (Linux), without the mark of one that was replaced.
pub async fn executable(pid: u32) -> Option<PathBuf> {
    let link = blocking(move || fs::read_link(format!("/proc/{pid}/exe"))).await.ok()?;
    Some(without_mark(&link))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4711 fe:00:133 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 4712 fe:00:133 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 4713 fe:00:133 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 4714 fe:00:134 0 EOF\n\
                     4: FLOCK  ADVISORY  READ 0 fe:00:135 0 EOF\njunk\n";
        let device = rustix::fs::makedev(0xfe, 0);
        for (inode, expected) in [(133, vec![4711]), (134, vec![4714]), (135, vec![]), (136, vec![])] {
            assert_eq!(holders_in(locks, device, inode), expected, "{inode}");
        }
        assert!(holders_in(locks, rustix::fs::makedev(0xfd, 0), 133).is_empty(), "another device");
    }

    #[tokio::test]
    async fn what_stands_there() {
        let town = tempfile::tempdir().unwrap();
        let file = town.path().join("file");
        fs::write(&file, "").unwrap();
        let kind = async |path: &Path| entry(path).await.unwrap().map(|it| (it.kind, it.writable));
        assert_eq!(kind(&file).await, Some((Kind::File, true)));
        assert_eq!(kind(town.path()).await, Some((Kind::Directory, true)));
        assert_eq!(kind(&file.join("below")).await, None);
        assert_eq!(kind(&town.path().join("gone")).await, None);
        assert!(room(town.path()).await.unwrap().bytes > 0);
        let _socket = std::os::unix::net::UnixListener::bind(town.path().join("s")).unwrap();
        assert_eq!(sockets(town.path()).await.unwrap(), [town.path().join("s")]);
        assert!(sockets(&town.path().join("gone")).await.unwrap().is_empty());
        assert!(openers(&file).await.is_empty());
        assert_eq!(without_mark(Path::new("/t/x (deleted)")), Path::new("/t/x"));
    }
}
