//! The last resort: ends the process when an orderly shutdown takes too long.
//!
//! `gt` and service managers send SIGTERM, wait 500 ms, and send SIGKILL. A disk or a tool that hangs, even one that
//! blocks the actors' thread, must not prevent this process from putting its files in order before that. So the last
//! resort runs on threads of its own and depends on nothing else.
#![allow(clippy::disallowed_methods, reason = "a thread whose only work is to wait and then to leave")]

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock, mpsc::channel},
    thread,
};

use crate::{
    stopping,
    town::{
        daemon_state::{self, DaemonState},
        disk_task, files,
        paths::TownPaths,
        pid, socket,
    },
    tree::housekeeping::Process,
};

/// The exit code of a stop that took too long or was requested twice: that of a program which a shell saw ended by TERM. A unit
/// must know it from a failure, after which the supervisor is started again: `gt down` is to have its way.
pub const DISORDERLY: i32 = 128 + 15;

/// The files to put in order before the process exits.
#[derive(Debug, Clone, Default)]
pub struct LastResort {
    /// Set once we hold the lock; before that no file in the town is ours.
    presence: Arc<OnceLock<(TownPaths, Process)>>,
}

impl LastResort {
    /// Notes that the PID file and the state file of this town are ours from now on.
    pub fn hold(&self, paths: TownPaths, process: Process) {
        let _ = self.presence.set((paths, process));
    }

    /// Starts the countdown: if the process has not ended by itself in time, the last resort ends it.
    pub fn arm(&self) {
        let it = self.clone();
        // Without a thread there is no last resort, and the stop is passed on all the same.
        let _ = thread::Builder::new().spawn(move || {
            thread::sleep(stopping::LAST_RESORT);
            it.leave();
        });
    }

    /// Exits at once.
    pub fn leave(&self) -> ! {
        if let Some((paths, process)) = self.presence.get().cloned() {
            let (done, is_done) = channel();
            let tidying = thread::Builder::new().spawn(move || {
                // A file that hangs would take all the time there is.
                disk_task::close(&ours(&paths), stopping::TIDY / 2);
                let _ = pid::remove(&paths.pid_file(), process.pid);
                socket::remove(&paths);
                say_stopped(&paths, process);
                let _ = done.send(());
            });
            if tidying.is_ok() {
                let _ = is_done.recv_timeout(stopping::TIDY);
            }
        }
        std::process::exit(DISORDERLY);
    }
}

/// The orderly end: removes the files by which others find this process, and notes in `daemon/state.json` that it
/// stopped. The tree has written that already, unless its disk was too slow.
pub fn tidy(paths: &TownPaths, process: Process) {
    disk_task::close(&ours(paths), stopping::FILES);
    let path = paths.state();
    let state = files::read(&path).ok().and_then(|bytes| daemon_state::parse(&path, &bytes).ok());
    if state.is_some_and(|state| state.running && state.pid == process.pid) {
        say_stopped(paths, process);
    }
    let _ = pid::remove(&paths.pid_file(), process.pid);
    socket::remove(paths);
}

/// The files that a thread may still write although no task waits for it.
fn ours(paths: &TownPaths) -> [PathBuf; 3] {
    [paths.state(), paths.pid_file(), paths.socket()]
}

fn say_stopped(paths: &TownPaths, process: Process) {
    // A failure cannot be reported any more.
    let _ = stopped(process).to_bytes().map(|content| files::replace(&paths.state(), &content, 0o644));
}

/// The content of `daemon/state.json` of a stopped daemon; `gt` reads no more of it then.
fn stopped(process: Process) -> DaemonState {
    DaemonState {
        running: false,
        pid: process.pid,
        started_at: Some(process.started_at),
        last_heartbeat: None,
        heartbeat_count: 0,
    }
}
