//! The parent-death signal: the control client is killed by the kernel when we are, even by SIGKILL.
//!
//! A control client that outlives its supervisor can hang `tmux kill-server`. Elsewhere than on Linux there is no such
//! signal; there the end of its standard input makes the client leave.
//! The signal is sent when the *thread* that spawned the client ends: spawn it from one that lives as long as the
//! process, never from a pool of blocking threads.

use tokio::process::Command;

/// Asks for the child to be killed when the spawning thread ends.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn dies_with_us(command: &mut Command) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let ask = || set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from);
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It makes one
    // system call (prctl) and converts its error number; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(ask) };
}

/// Nothing to be had on this system.
#[cfg(not(target_os = "linux"))]
pub fn dies_with_us(_command: &mut Command) {}
