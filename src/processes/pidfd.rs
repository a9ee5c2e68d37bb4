//! A handle to one process: the Linux pidfd. It reports the exit of exactly this process, and can never reach another process
//! that got the same PID. Other systems, and kernels before 5.3, have none.
//!
//! It must be used inside a tokio runtime that has its IO driver enabled.

/// A handle to one process.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct PidFd(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl PidFd {
    /// Opens the process that has this id now. `None` when there is none, or no handle is possible (kernel too old,
    /// no descriptor left).
    #[allow(
        deprecated,
        reason = "an `OwnedFd` stays open as long as the `AsyncFd`; the replacement is unsafe code"
    )]
    pub fn open(pid: u32) -> Option<PidFd> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let fd =
            pidfd_open(pid, PidfdFlags::NONBLOCK).or_else(|_| pidfd_open(pid, PidfdFlags::empty())).ok()?;
        tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE).ok().map(PidFd)
    }

    /// Sends a signal; false when the process has ended or may not be signalled.
    pub fn signal(&self, signal: rustix::process::Signal) -> bool {
        rustix::process::pidfd_send_signal(self.0.get_ref(), signal).is_ok()
    }

    /// Resolves when the process has ended.
    pub async fn ended(&self) {
        // An error means that the runtime's driver is gone; there is nothing left to wait for.
        let _ = self.0.readable().await;
    }
}

/// A handle to one process: not possible on this system.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub enum PidFd {}

#[cfg(not(target_os = "linux"))]
impl PidFd {
    /// Always `None` here.
    pub fn open(_pid: u32) -> Option<PidFd> {
        None
    }

    /// Never called: there is no value of this type.
    pub fn signal(&self, _signal: rustix::process::Signal) -> bool {
        match *self {}
    }

    /// Never called: there is no value of this type.
    pub async fn ended(&self) {
        match *self {}
    }
}
