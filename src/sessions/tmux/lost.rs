//! Lost: a server that runs while its socket is gone, for example after something cleaned up `/tmp`.
//!
//! No client can connect to it then, but its sessions live on. It is never mistaken for a server that ended, and no
//! other is started in its place: on SIGUSR1 a tmux server creates its socket again.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which owns its socket")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Socket, kernel};
use crate::{processes::pidfd::PidFd, terminal};

/// A server that is exiting has no socket for this long at most.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// Polling interval meanwhile.
const POLL: Duration = Duration::from_millis(15);
/// The time between two requests to create it again.
const AGAIN: Duration = Duration::from_secs(10);

/// The socket of one server.
#[derive(Debug)]
pub struct ServerSocket {
    path: PathBuf,
    asked: Mutex<Option<Instant>>,
}

impl ServerSocket {
    /// The socket of a configuration.
    pub fn new(socket: &Socket) -> Self {
        ServerSocket { path: socket.path(), asked: Mutex::default() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the socket exists.
    pub fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Whether this server, which cannot be reached, still runs.
    pub async fn is_lost_by(&self, server: u32) -> bool {
        let begun = Instant::now();
        while !self.is_there() && kernel::is_tmux_server(server) {
            if begun.elapsed() >= ON_ITS_WAY {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Makes this server create the socket again, if it is gone.
    pub fn recreate(&self, server: u32) {
        // The handle first, then the check what it is: SIGUSR1 would end another process.
        let Some(hold) = PidFd::open(server) else { return };
        let mut asked = self.asked.lock();
        if self.is_there() {
            *asked = None;
            return;
        }
        if !kernel::is_tmux_server(server) {
            return;
        }
        if asked.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        // Logged once: when its directory is gone too, the request has no effect.
        let is_news = asked.replace(Instant::now()).is_none();
        if hold.signal(rustix::process::Signal::USR1) && is_news {
            tracing::warn!(
                "the tmux server (PID {server}) runs, but its socket {} was deleted: it was asked to make it again (SIGUSR1)",
                terminal::path(&self.path)
            );
        }
    }
}

impl Socket {
    /// Its path, with the directory free of symbolic links; the socket itself may be gone.
    pub fn path(&self) -> PathBuf {
        match self {
            Socket::Path(path) => real(path),
            Socket::Default => Self::directory().join("default"),
            Socket::Name(name) => Self::directory().join(name),
        }
    }

    /// The directory of the sockets that tmux knows by name: `tmux-<uid>` in `TMUX_TMPDIR`, if that is set and
    /// exists, else in `/tmp` (tmux 3.3a, `make_label`).
    pub fn directory() -> PathBuf {
        let base = std::env::var_os("TMUX_TMPDIR").map(PathBuf::from).filter(|dir| dir.is_dir());
        let base = base.unwrap_or_else(|| "/tmp".into());
        let own = format!("tmux-{}", rustix::process::getuid().as_raw());
        base.canonicalize().unwrap_or(base).join(own)
    }
}

fn real(path: &Path) -> PathBuf {
    let there = path.parent().and_then(|dir| dir.canonicalize().ok());
    match (there, path.file_name()) {
        (Some(dir), Some(name)) => dir.join(name),
        _ => path.to_owned(),
    }
}
