//! The restart budget of an actor: how often it may crash before it is parked.
//!
//! OTP's restart intensity, with one difference: an actor that uses its budget up does not take its supervisor down with
//! it. It is parked and reported, the rest of the town goes on, and later it is tried again. Pure arithmetic.

use std::time::Duration;

/// How many restarts within how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Restarts that are allowed within `window`.
    pub restarts: usize,
    /// The window, on the monotonic clock.
    pub window: Duration,
    /// How long an actor that used its budget up is parked.
    pub park_for: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { restarts: 5, window: Duration::from_secs(60), park_for: Duration::from_secs(600) }
    }
}

/// What follows from a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Restart it at once.
    Restart,
    /// Park it for this long, then begin with an empty history.
    Park(Duration),
}

/// A crash at `now`, with the times of earlier restarts in `history`; the restart that follows is added to it.
pub fn crashed(history: &mut Vec<Duration>, now: Duration, budget: Budget) -> Verdict {
    history.retain(|restart| *restart + budget.window > now);
    if history.len() >= budget.restarts {
        history.clear();
        return Verdict::Park(budget.park_for);
    }
    history.push(now);
    Verdict::Restart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_of_crash_times() {
        let budget =
            Budget { restarts: 2, window: Duration::from_secs(10), park_for: Duration::from_secs(99) };
        let park = Verdict::Park(Duration::from_secs(99));
        for (name, crashes, last) in [
            ("first", vec![0], Verdict::Restart),
            ("second", vec![0, 1], Verdict::Restart),
            ("third within the window", vec![0, 1, 9], park),
            ("third after the window", vec![0, 1, 10], Verdict::Restart),
            ("slow and steady", vec![0, 6, 12, 18, 24], Verdict::Restart),
            ("after parking it begins anew", vec![0, 1, 2, 3], Verdict::Restart),
        ] {
            let mut history = Vec::new();
            let verdicts: Vec<_> = crashes
                .iter()
                .map(|second| crashed(&mut history, Duration::from_secs(*second), budget))
                .collect();
            assert_eq!(verdicts.last(), Some(&last), "{name}");
        }
    }
}
