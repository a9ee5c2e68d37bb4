//! Operating system signals, translated to the supervisor's own.
//!
//! A dedicated thread receives them, so that a stop arrives even when the actors' thread is stuck.

use std::{io, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals as Raw,
};

use super::last_resort::LastResort;
use crate::signals::{Signal, Signals};

/// Handles these signals from now on. The first stop arms the last resort, the second exits at once.
pub fn register(last_resort: LastResort) -> io::Result<Signals> {
    let mut raw = Raw::new([SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP])?;
    let signals = Signals::default();
    let taken = signals.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for number in raw.forever() {
            let signal = match number {
                SIGUSR1 => Signal::HeartbeatNow,
                SIGUSR2 => Signal::RereadRestartState,
                SIGHUP => Signal::Reload,
                _ if stopping => last_resort.leave(),
                _ => {
                    stopping = true;
                    last_resort.arm();
                    Signal::Stop
                }
            };
            taken.tell(signal);
        }
    })?;
    Ok(signals)
}
