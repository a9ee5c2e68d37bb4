//! Lost: a server that runs while its socket is gone, as when something cleans up `/tmp`.
//!
//! Nobody can connect to it then, and its sessions live on. It is never taken for a server that ended, and no other is started in
//! its place: on SIGUSR1 a tmux server makes its socket again.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which owns its socket")]

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Socket, kernel};
use crate::{processes::pidfd::PidFd, terminal};

/// A server that is on its way out has no socket for a moment.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// Polling interval meanwhile.
const POLL: Duration = Duration::from_millis(15);
/// Between two requests to make it again.
const AGAIN: Duration = Duration::from_secs(10);

/// The socket of one server.
#[derive(Debug)]
pub struct ServerSocket {
    path: PathBuf,
    asked: Mutex<Option<Instant>>,
}

impl ServerSocket {
    /// The socket a configuration means.
    pub fn new(socket: &Socket) -> Self {
        ServerSocket { path: socket.path(), asked: Mutex::default() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Whether this server, which cannot be reached, continues all the same.
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

    /// Has this server make it again, if it is gone.
    pub fn recreate(&self, server: u32) {
        // First the hold, then the question what it is: SIGUSR1 would end something else.
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
        // Told once: where its directory is gone too, asking does not help.
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
    /// Where it is: its directory without symbolic links; the socket itself may be gone.
    pub fn path(&self) -> PathBuf {
        match self {
            Socket::Path(path) => real(path),
            Socket::Default => Self::directory().join("default"),
            Socket::Name(name) => Self::directory().join(name),
        }
    }

    /// The directory in which tmux keeps the sockets it knows by name: `tmux-<uid>` in `TMUX_TMPDIR`, where that is set and there,
    /// else in `/tmp` (tmux 3.3a, `make_label`).
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
