//! The weather: how slow and unreliable the ports are.

use std::time::Duration;

use super::{World, millis, secs};

/// The longest a file call takes in bad weather.
pub const FILE_CAP: Duration = millis(600);
/// The longest a call to tmux takes.
pub const SESSION_CAP: Duration = secs(3);
/// The longest the process table takes.
pub const TABLE_CAP: Duration = secs(2);

/// Probabilities, all zero in good weather.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// A call is slow.
    pub slow: f64,
    /// A call to tmux or the process table fails.
    pub fail: f64,
    /// A call to the disk fails.
    pub disk: f64,
    /// A command hangs until its limit, or fails.
    pub commands: f64,
    /// A hint is lost.
    pub hints: f64,
    /// Whether there ever was bad weather: slow calls may still be in progress.
    pub was_bad: bool,
}

impl Weather {
    /// Bad weather.
    pub fn bad() -> Self {
        Weather { slow: 0.06, fail: 0.02, disk: 0.004, commands: 0.15, hints: 0.1, was_bad: true }
    }

    /// Good weather after bad.
    pub fn clearing(&self) -> Self {
        Weather { was_bad: self.was_bad, ..Weather::default() }
    }
}

/// What happens to one call: how long it takes to arrive, how long its answer takes, and whether it fails.
pub struct Fate {
    /// Until it arrives.
    pub before: Duration,
    /// Until its answer is back.
    pub after: Duration,
    /// Whether it fails.
    pub fails: bool,
}

impl World {
    /// Draws the fate of a call that takes `cap` at most and fails with this probability.
    pub(super) fn fate(&self, call: &'static str, cap: Duration, fail: f64) -> Fate {
        let mut state = self.state();
        let slow = state.weather.slow;
        let mut fate = Fate {
            before: Duration::ZERO,
            after: Duration::ZERO,
            fails: state.failing.contains(call) || state.chance(fail),
        };
        if state.chance(slow) {
            let whole = state.rng.u64(1..=cap.as_millis() as u64);
            let before = state.rng.u64(0..=whole);
            (fate.before, fate.after) = (millis(before), millis(whole - before));
        }
        fate
    }

    /// Waits while calls of this name hang, and then for the time of its fate.
    pub(super) async fn arrive(&self, call: &'static str, fate: &Fate) {
        loop {
            let released = self.0.released.notified();
            match self.state().hanging.get_mut(call) {
                None => break,
                Some(0) => {}
                Some(left) => {
                    *left -= 1;
                    break;
                }
            }
            released.await;
        }
        pause(fate.before).await;
    }
}

/// Sleeps, unless there is nothing to sleep for.
pub async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
