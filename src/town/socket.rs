//! Where a supervisor can be asked: the socket `daemon/supervisor.sock`, created so that only its owner can use it, checked and
//! removed; and, where the settings name one, an address on the network, with the file of its token.
//!
//! Only the holder of the town's lock may create it: then an existing one is left over from a predecessor. A path that is too
//! long for a socket address is reached through its directory (Linux).
#![allow(clippy::disallowed_methods, reason = "this is the adapter that makes and finds the socket")]

use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    net::SocketAddr,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rustix::process::geteuid;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::town::{
    disk_task, hold,
    opening::{self, Whose},
    own_directory,
    paths::TownPaths,
};

/// Creates the control socket.
#[async_trait]
pub trait ControlListener: Send + Sync {
    /// Creates the socket of this town and replaces an existing one, unless the one created before is still in its
    /// place: then `None`, as there is nothing new to serve. An error says what prevents it.
    async fn open(&self, paths: &TownPaths, before: Option<Arc<Bound>>) -> io::Result<Option<Opened>>;

    /// Listens on this address.
    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener>;

    /// The content of the file with the token. An error when others than its owner can read or change it, or its owner is neither
    /// this user nor root.
    async fn token(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// A socket that was created.
#[derive(Debug)]
pub struct Opened {
    /// Accepts the clients' connections.
    pub listener: UnixListener,
    /// Its file; removed when the last clone is dropped.
    pub bound: Arc<Bound>,
}

/// The real socket.
#[derive(Debug, Clone, Copy, Default)]
pub struct SocketListener;

#[async_trait]
impl ControlListener for SocketListener {
    async fn open(&self, paths: &TownPaths, before: Option<Arc<Bound>>) -> io::Result<Option<Opened>> {
        let paths = paths.clone();
        let path = paths.socket();
        let opening = disk_task::run(&path, move |_| {
            if before.is_some_and(|bound| bound.is_there()) {
                return Ok(None);
            }
            let (listener, bound) = bind(&paths)?;
            Ok(Some(Opened { listener, bound: Arc::new(bound) }))
        });
        opening.await
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    async fn token(&self, path: &Path) -> io::Result<Vec<u8>> {
        disk_task::run(path, secret).await
    }
}

/// The most bytes read of the file with the token.
const LONGEST_SECRET: u64 = 4096;

/// The content of a file that nobody else can read or change.
fn secret(path: &Path) -> io::Result<Vec<u8>> {
    let (file, data) = opening::for_reading(path)?;
    if ![0, geteuid().as_raw()].contains(&data.uid()) {
        return Err(io::Error::other("it belongs to another user"));
    }
    if data.mode() & 0o077 != 0 {
        let mode = data.mode() & 0o7777;
        return Err(io::Error::other(format!(
            "others can read or change it (mode {mode:04o}): `chmod 600` it"
        )));
    }
    let mut content = Vec::new();
    file.take(LONGEST_SECRET).read_to_end(&mut content)?;
    Ok(content)
}

/// The longest path in a socket address on every known system, in bytes (macOS 103, Linux 107).
const LONGEST: usize = 103;

/// A path by which the socket can be reached while this is held.
struct Reach {
    path: PathBuf,
    _directory: Option<File>,
}

impl Reach {
    fn of(path: &Path) -> io::Result<Reach> {
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return Ok(Reach { path: path.to_owned(), _directory: None });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let directory = opening::directory(directory, Whose::Others)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Reach { path, _directory: Some(directory) })
    }
}

/// The file of a socket of ours.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    file: (u64, u64),
}

fn bind(paths: &TownPaths) -> io::Result<(UnixListener, Bound)> {
    hold::verify()?;
    let path = paths.socket();
    if fs::symlink_metadata(&path).is_ok_and(|data| !data.file_type().is_socket()) {
        return Err(io::Error::other("a file with this name is not a socket; remove it"));
    }
    // Created in a directory that only we can enter, so that it is closed to others before they can find it.
    own_directory::prepare(&paths.supervisor_dir())?;
    let new = paths.supervisor_dir().join("socket.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&Reach::of(&new)?.path)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    fs::rename(&new, &path)?;
    let data = fs::symlink_metadata(&path)?;
    Ok((listener, Bound { path, file: (data.dev(), data.ino()) }))
}

impl Bound {
    /// Whether the socket is still in its place.
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|data| (data.dev(), data.ino()) == self.file)
    }
}

impl Drop for Bound {
    /// Removes the file, if it is still ours.
    fn drop(&mut self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes any socket of the town, at the very end of the process that held the town's lock.
pub fn remove(paths: &TownPaths) {
    let path = paths.socket();
    let is_ours = hold::verify().is_ok();
    if is_ours && fs::symlink_metadata(&path).is_ok_and(|data| data.file_type().is_socket()) {
        let _ = fs::remove_file(path);
    }
}

/// Connects to the socket of a town.
pub async fn connect(paths: &TownPaths) -> io::Result<UnixStream> {
    UnixStream::connect(&Reach::of(&paths.socket())?.path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn town(name: &str) -> (tempfile::TempDir, TownPaths) {
        let dir = tempfile::tempdir().unwrap();
        let paths = TownPaths::new(dir.path().join(name));
        own_directory::prepare(&paths.supervisor_dir()).unwrap();
        (dir, paths)
    }

    #[tokio::test]
    async fn only_its_owner_can_use_it_and_it_goes_with_us() {
        for name in ["t", &"deep/".repeat(60)] {
            let (_dir, paths) = town(name);
            let (listener, bound) = bind(&paths).unwrap();
            assert_eq!(fs::metadata(paths.socket()).unwrap().mode() & 0o777, 0o600);
            let (theirs, ours) = tokio::join!(connect(&paths), listener.accept());
            assert!(theirs.is_ok() && ours.is_ok(), "{name}");
            drop(bound);
            assert!(!paths.socket().exists());
            assert!(connect(&paths).await.is_err());
        }
    }

    #[test]
    fn a_token_is_read_only_where_nobody_else_can() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert_eq!(secret(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "geheim").unwrap();
        for (mode, readable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(secret(&path).is_ok(), readable, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let why = secret(&path).unwrap_err().to_string();
        assert_eq!(why, "others can read or change it (mode 0644): `chmod 600` it");
    }

    #[tokio::test]
    async fn a_stale_one_is_replaced_and_nothing_else() {
        let (_dir, paths) = town("t");
        let (listener, first) = bind(&paths).unwrap();
        drop(listener);
        let (_listener, second) = bind(&paths).unwrap();
        assert!(!first.is_there() && second.is_there());
        drop(first);
        assert!(second.is_there(), "a predecessor's end takes nothing away");
        drop(second);
        fs::write(paths.socket(), "a file").unwrap();
        assert!(bind(&paths).is_err());
        remove(&paths);
        assert_eq!(fs::read_to_string(paths.socket()).unwrap(), "a file");
    }
}
