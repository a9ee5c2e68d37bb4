//! One process to be ended: it is signalled only while it is the process that was surveyed, never after its PID was
//! reused.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that ends processes")]

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{pidfd::PidFd, source};

const POLL: Duration = Duration::from_millis(20);

/// A process that was surveyed and is still the same one.
#[derive(Debug)]
pub struct Target {
    pid: Pid,
    born: u64,
    hold: Option<PidFd>,
}

impl Target {
    /// Opens a surveyed process; `None` when it ended, its id was reused, or it must never be signalled (the system's
    /// first process and ourselves).
    pub fn hold(pid: u32, born: u64) -> Option<Target> {
        if pid <= 1 || pid == std::process::id() {
            return None;
        }
        Target::take(pid, || Some(born))
    }

    /// Opens the process that has this id now, if it has this file open, or if that may not be examined (another
    /// user's process, or not Linux). Unlike [`Target::hold`] it accepts the system's first process, which may be a
    /// container's only one; `None` for ourselves.
    ///
    /// Needs a tokio runtime with IO.
    pub fn with_open(pid: u32, file: &std::fs::Metadata) -> Option<Target> {
        if pid == std::process::id() {
            return None;
        }
        let target = Target::take(pid, || source::born(pid))?;
        source::has_open(pid, file).unwrap_or(true).then_some(target)
    }

    /// Opens the handle first and compares then: the process behind a handle cannot change any more.
    fn take(pid: u32, born: impl FnOnce() -> Option<u64>) -> Option<Target> {
        let hold = PidFd::open(pid);
        let target = Target { pid: Pid::from_raw(i32::try_from(pid).ok()?)?, born: born()?, hold };
        target.lives().then_some(target)
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Whether it still runs.
    pub fn lives(&self) -> bool {
        source::born(self.pid()) == Some(self.born)
    }

    /// Sends a signal; false when the process has ended or may not be signalled.
    pub fn signal(&self, signal: Signal) -> bool {
        match &self.hold {
            Some(hold) => hold.signal(signal),
            None => self.lives() && kill_process(self.pid, signal).is_ok(),
        }
    }

    /// Resolves when it has ended.
    pub async fn ended(&self) {
        match &self.hold {
            Some(hold) => hold.ended().await,
            None => {
                while self.lives() {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{end_of, kill_and_wait};

    #[tokio::test]
    async fn what_may_not_be_held() {
        let me = std::process::id();
        let own = source::born(me).expect("we run");
        assert!(Target::hold(0, 0).is_none(), "no process");
        assert!(Target::hold(1, source::born(1).unwrap_or(0)).is_none(), "the system's first");
        assert!(Target::hold(me, own).is_none(), "ourselves");
    }

    #[tokio::test]
    async fn a_reused_id_is_not_held() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let born = source::born(child.id()).expect("it runs");
        assert!(Target::hold(child.id(), born).is_some());
        assert!(Target::hold(child.id(), born - 1).is_none(), "the id was another's before");
        kill_and_wait(&mut child);
        assert!(Target::hold(child.id(), born).is_none(), "gone");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_who_has_the_file_open_is_held() {
        let (file, other) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        let [data, others] = [&file, &other].map(|file| file.metadata().expect("its data"));
        let mut sleep = std::process::Command::new("sleep");
        let mut child = sleep.arg("60").stdin(file).spawn().expect("sleep");
        let held = |data| Target::with_open(child.id(), data).is_some();
        assert!(held(&data) && !held(&others));
        assert!(Target::with_open(std::process::id(), &others).is_none(), "ourselves");
        kill_and_wait(&mut child);
        assert!(Target::with_open(child.id(), &data).is_none(), "gone");
    }

    #[tokio::test]
    async fn without_a_firm_hold_it_still_ends_what_it_should() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let born = source::born(child.id()).expect("it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("pid")).expect("pid");
        let reused = Target { pid, born: born - 1, hold: None };
        assert!(!reused.signal(Signal::KILL), "another process now");
        let target = Target { pid, born, hold: None };
        assert!(target.lives() && target.signal(Signal::TERM));
        tokio::time::timeout(Duration::from_secs(10), target.ended()).await.expect("it ends");
        end_of(&mut child, "sleep");
    }
}
