//! Signals of the operating system, as the supervisor's own.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::Signal;

/// The signals that mean something to us.
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    look: Stream,
    reread: Stream,
    reload: Stream,
}

impl Signals {
    /// From now on these signals are ours.
    pub fn register() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            look: signal(SignalKind::user_defined1())?,
            reread: signal(SignalKind::user_defined2())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.reload.recv() => Signal::Reload,
            _ = self.reread.recv() => Signal::RereadRestartState,
            _ = self.look.recv() => Signal::LookNow,
        }
    }
}
