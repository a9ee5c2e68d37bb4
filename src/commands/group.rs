//! The process group of a program that the supervisor runs: its children are ended with it.
//!
//! A program that is killed alone leaves its own children behind. This is only for programs that were started as the
//! leader of a group, and must not be used for any other process.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The group that a running program leads; killed as a whole on drop unless released.
#[derive(Debug)]
pub struct Group(Option<Pid>);

impl Group {
    /// The group of a program that was started with `process_group(0)` and not waited for yet.
    pub fn of(child: &Child) -> Group {
        Group(child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw))
    }

    /// Sends TERM to the whole group and does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills the whole group.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // ESRCH: it ended meanwhile.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Releases the group after the program has ended: what it left on purpose (a daemon) may stay.
    pub fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
