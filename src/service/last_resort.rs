//! The last resort: a thread that ends the process when an orderly shutdown takes too long.
//!
//! Whoever stops us sends TERM, waits 500 ms and sends KILL. A disk or a tool that hangs must not keep us from leaving
//! the files as they should be before that.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    time::Duration,
};

use crate::town::{daemon_state::DaemonState, files, paths::TownPaths, pid};

/// From the signal until we leave in any case.
const LIMIT: Duration = Duration::from_millis(350);

/// Begins to count. Dropping what is returned calls it off.
pub fn arm(paths: TownPaths, state: DaemonState) -> Sender<()> {
    let (call_off, called_off) = channel::<()>();
    std::thread::spawn(move || {
        if called_off.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Both may hang as well, so each in a thread of its own that nobody waits for long.
            let pid = state.pid;
            let pid_file = paths.pid_file();
            let state_file = paths.state();
            let tidy = std::thread::spawn(move || {
                let _ = pid::remove(&pid_file, pid);
                let _ = files::replace(&state_file, &state.to_bytes(), 0o644);
            });
            let _ = called_off.recv_timeout(Duration::from_millis(30));
            drop(tidy);
            std::process::exit(0);
        }
    });
    call_off
}
