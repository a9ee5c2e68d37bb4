//! The parent-death signal: a program that runs as long as we do is killed by the kernel when we are, even by SIGKILL.
//!
//! A tmux control client that outlives its supervisor can hang `tmux kill-server`, and a `bd activity` that does would poll
//! its daemons for nobody. Elsewhere than on Linux there is no such signal; there the end of its standard input makes
//! the control client leave, and a followed program ends when it next prints something.
//! The signal is sent when the *thread* that spawned the program ends: spawn it from one that lives as long as the
//! process, never from a pool of blocking threads. The runtime has one thread, the process's first, so that whatever an
//! actor spawns is spawned there; with a runtime of many threads this would have to be seen to.
//! What the program itself has started does not get the signal.

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
