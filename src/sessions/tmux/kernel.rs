//! What the kernel knows about processes: the exit status of one that has exited and was not reaped yet, and which
//! processes run with given arguments. Linux only; elsewhere there are no answers.
//!
//! The parent may reap it at any time, so there is not always an answer, and a missing answer proves nothing. Where
//! `/proc` may not be read for the process (it changed its user), the kernel shows 0 as its exit status.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter; its test ends real processes")]

use std::collections::BTreeSet;

use crate::processes::pidfd::PidFd;

/// Set by the kernel (Linux, `PF_EXITING`) as soon as a process begins to exit: before its terminals are closed, and
/// long before it is a zombie.
#[cfg(target_os = "linux")]
const EXITING: u32 = 0x4;

/// How an exited process ended, as a shell shows it. `hold` is the handle to this process.
#[cfg(target_os = "linux")]
pub fn exit_status(pid: u32, hold: &PidFd) -> Option<i32> {
    let stat = stat(pid)?;
    // The signal has no effect, as the process has ended; but success shows that its id was not reused.
    let still_its = || hold.signal(rustix::process::Signal::CONT);
    (stat.state == 'Z' && still_its()).then(|| stat.exit_code.map(of_wait_status)).flatten()
}

/// The exit status, as a shell shows it, of a child of this process that its parent has not reaped yet: until then
/// its id is not reused.
#[cfg(target_os = "linux")]
pub fn status_of_child(pid: u32, parent: u32) -> Option<i32> {
    let stat = stat(pid)?;
    let is_its = stat.state == 'Z' && u32::try_from(stat.ppid) == Ok(parent);
    is_its.then(|| stat.exit_code.map(of_wait_status)).flatten()
}

/// Whether this process is exiting or has exited. False when `/proc` cannot be read.
#[cfg(target_os = "linux")]
pub fn is_ending(pid: u32) -> bool {
    match stat(pid) {
        Some(stat) => stat.flags & EXITING != 0 || stat.state == 'Z',
        None => stat(std::process::id()).is_some(),
    }
}

/// Whether this process is a tmux server that is not exiting; false when unknown.
#[cfg(target_os = "linux")]
pub fn is_tmux_server(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| {
        stat.comm.starts_with("tmux: server") && stat.state != 'Z' && stat.flags & EXITING == 0
    })
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn is_tmux_server(_pid: u32) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<procfs::process::Stat> {
    use procfs::FromRead;
    procfs::process::Stat::from_file(format!("/proc/{pid}/stat")).ok()
}

/// Converts a wait status as a shell does: the exit code, or 128 plus the number of the signal.
#[cfg(target_os = "linux")]
fn of_wait_status(status: i32) -> i32 {
    match status & 0x7f {
        0 => (status >> 8) & 0xff,
        signal => 128 + signal,
    }
}

/// The processes whose command lines end in these words.
#[cfg(target_os = "linux")]
pub fn running(words: &[String]) -> BTreeSet<u32> {
    let ours = |process: procfs::process::Process| {
        let line = process.cmdline().ok().filter(|line| line.ends_with(words))?;
        (line.len() > words.len()).then(|| u32::try_from(process.pid()).ok()).flatten()
    };
    // A process that ends while it is read has ended.
    procfs::process::all_processes().into_iter().flatten().filter_map(|process| ours(process.ok()?)).collect()
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn running(_words: &[String]) -> BTreeSet<u32> {
    BTreeSet::new()
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn exit_status(_pid: u32, _hold: &PidFd) -> Option<i32> {
    None
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn status_of_child(_pid: u32, _parent: u32) -> Option<i32> {
    None
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn is_ending(_pid: u32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_was_not_reaped_shows_how_it_ended() {
        for (script, told) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
            // It waits until it is watched.
            let mut command = std::process::Command::new("sh");
            let command = command.args(["-c", &format!("read line; {script}")]);
            let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("sh");
            let (pid, hold) = (child.id(), PidFd::open(child.id()).expect("pidfd"));
            assert_eq!((exit_status(pid, &hold), is_ending(pid)), (None, false), "{script}: it lives");
            let of_child = |parent| status_of_child(pid, parent);
            assert_eq!(of_child(std::process::id()), None, "{script}: it lives");
            drop(child.stdin.take());
            let ended = tokio::time::timeout(crate::limits::PATIENCE, hold.ended()).await;
            ended.unwrap_or_else(|_| panic!("{script}: its end was not told"));
            assert_eq!((exit_status(pid, &hold), is_ending(pid)), (Some(told), true), "{script}");
            assert_eq!(
                (of_child(std::process::id()), of_child(1)),
                (Some(told), None),
                "{script}: whose child"
            );
            crate::limits::end_of(&mut child, script);
            assert_eq!((exit_status(pid, &hold), is_ending(pid)), (None, true), "{script}: reaped");
            assert_eq!(of_child(std::process::id()), None, "{script}: reaped");
        }
    }
}
