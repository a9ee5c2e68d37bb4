//! Processes by their ids: whether one runs, a signal to it, and its end. It must not know whose they are.
#![allow(dead_code, reason = "shared by programs that each use a part")]

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The interval at which a process is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Whether a process of this id runs. One that has ended and was not reaped yet (some containers take their time)
/// does not.
pub fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ended = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    !ended && process(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// Sends a signal; one to a process that is gone does nothing.
pub fn signal(pid: u32, signal: Signal) {
    let _ = process(pid).map(|pid| kill_process(pid, signal));
}

/// Waits until these processes are gone, at most for `limit`.
pub fn wait_gone(pids: &[u32], limit: Duration) {
    let deadline = Instant::now() + limit;
    while pids.iter().any(|pid| alive(*pid)) && Instant::now() < deadline {
        thread::sleep(POLL);
    }
}

/// Never 0, which would mean a whole group.
fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}
