//! The parent-death signal: the kernel signals a long-running child when the supervisor ends, even by SIGKILL.
//!
//! A tmux control client that outlives its supervisor can hang `tmux kill-server`. Only Linux has this signal; elsewhere
//! the control client exits at the end of its standard input. The signal is sent when the *thread* that spawned the
//! program ends: spawn it from one that lives as long as the process, never from a pool of blocking threads. The runtime
//! has one thread, the process's first, so actors spawn children there; a runtime of several threads would need another
//! solution. If we end before the child has asked for the signal, it is never sent: so the child then checks its parent,
//! and does not execute the program when that is not us any more. The program's own children do not get the signal.

use rustix::process::{Pid, Signal};
use tokio::process::Command;

/// Makes the kernel send this signal to the child when the spawning thread ends.
pub fn dies_with_us(command: &mut Command, signal: Signal) {
    dies_with(command, signal, rustix::process::getpid());
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn dies_with(command: &mut Command, signal: Signal, parent: Pid) {
    use rustix::{
        io::Errno,
        process::{getppid, set_parent_process_death_signal},
    };
    let ask = move || {
        set_parent_process_death_signal(Some(signal)).map_err(std::io::Error::from)?;
        match getppid() == Some(parent) {
            true => Ok(()),
            false => Err(Errno::SRCH.into()),
        }
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed. It makes two
    // system calls (prctl, getppid) and converts an error number; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(ask) };
}

/// Does nothing: this system has no such signal.
#[cfg(not(target_os = "linux"))]
fn dies_with(_command: &mut Command, _signal: Signal, _parent: Pid) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "it starts a program")]

    use super::*;

    async fn ended(command: &mut Command) -> std::io::Result<std::process::ExitStatus> {
        let limit = std::time::Duration::from_secs(60);
        let ended = tokio::time::timeout(limit, command.status()).await; // limited: one minute
        ended.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// A child whose parent was killed before it could ask for the signal has another process as its parent.
    #[tokio::test]
    async fn a_child_whose_parent_is_gone_does_not_become_the_program() {
        let mut command = Command::new("true");
        dies_with(&mut command, Signal::KILL, Pid::INIT);
        let refused = ended(&mut command).await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()), "{refused}");
        let mut command = Command::new("true");
        dies_with_us(&mut command, Signal::KILL);
        assert!(ended(&mut command).await.unwrap().success());
    }
}
