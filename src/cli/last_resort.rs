//! The last resort: how the process ends when an orderly shutdown takes too long, or when it is told to stop twice.
//!
//! Whoever stops us sends TERM, waits 500 ms and sends KILL. A disk or a tool that hangs must not keep us from leaving
//! the files as they should be before that.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    time::Duration,
};

use gastown_supervisor::town::{
    daemon_state::{self, DaemonState},
    files,
    paths::TownPaths,
    pid,
};

/// From the signal until we leave in any case.
const LIMIT: Duration = Duration::from_millis(350);

/// How long the disk has to take the last words.
const TIDY: Duration = Duration::from_millis(30);

/// Begins to count. Dropping what is returned calls it off.
pub fn arm(paths: TownPaths, state: DaemonState) -> Sender<()> {
    let (call_off, called_off) = channel::<()>();
    std::thread::spawn(move || {
        if called_off.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            leave(paths, state);
        }
    });
    call_off
}

/// Leaves the files as they should be, as far as the disk lets us, and ends the process. `state` is what the state file
/// is to say when it cannot be read.
pub fn leave(paths: TownPaths, state: DaemonState) -> ! {
    let (done, tidied) = channel::<()>();
    // The disk may hang, so in a thread of its own that nobody waits for long.
    std::thread::spawn(move || {
        let _ = pid::remove(&paths.pid_file(), state.pid);
        let path = paths.state();
        let known = files::read(&path).ok().and_then(|bytes| daemon_state::parse(&path, &bytes).ok());
        let state = known.filter(|known| known.pid == state.pid).unwrap_or(state);
        let _ = files::replace(&path, &DaemonState { running: false, ..state }.to_bytes(), 0o644);
        drop(done);
    });
    let _ = tidied.recv_timeout(TIDY);
    std::process::exit(0)
}
