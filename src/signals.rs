//! Signals: commands to the process from outside.
//!
//! Each kind is remembered once until it is received, however often it was sent: none is lost, and nothing
//! accumulates. A stop comes first, and reaches all receivers. It must not act on any of them.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// A command to the process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// TERM, INT: stop, leaving all agents alive.
    Stop,
    /// USR1: scan everything now.
    HeartbeatNow,
    /// USR2: read the restart state again.
    RereadRestartState,
    /// HUP: read the settings again.
    Reload,
}

/// The signals that were sent and not received yet; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    stop: watch::Sender<bool>,
    heartbeat_now: Notify,
    reread_restart_state: Notify,
    reload: Notify,
}

impl Signals {
    /// Sends a signal; may be called from any thread.
    pub fn tell(&self, signal: Signal) {
        match signal {
            Signal::Stop => drop(self.0.stop.send_replace(true)),
            Signal::HeartbeatNow => self.0.heartbeat_now.notify_one(),
            Signal::RereadRestartState => self.0.reread_restart_state.notify_one(),
            Signal::Reload => self.0.reload.notify_one(),
        }
    }

    /// Waits until a stop was sent; returns at once if it was already.
    pub async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Waits for the next signal. A stop comes first, and is returned again each time.
    pub async fn next(&self) -> Signal {
        tokio::select! {
            biased;
            () = self.stopped() => Signal::Stop,
            () = self.0.reload.notified() => Signal::Reload,
            () = self.0.reread_restart_state.notified() => Signal::RereadRestartState,
            () = self.0.heartbeat_now.notified() => Signal::HeartbeatNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn none_is_lost_behind_others_and_a_stop_comes_first() {
        let signals = Signals::default();
        for _ in 0..1000 {
            signals.tell(Signal::HeartbeatNow);
        }
        signals.tell(Signal::Reload);
        signals.tell(Signal::RereadRestartState);
        let heard = [signals.next().await, signals.next().await, signals.next().await];
        assert_eq!(heard, [Signal::Reload, Signal::RereadRestartState, Signal::HeartbeatNow]);
        signals.tell(Signal::HeartbeatNow);
        signals.tell(Signal::Stop);
        assert_eq!([signals.next().await, signals.next().await], [Signal::Stop; 2]);
        signals.stopped().await;
    }
}
