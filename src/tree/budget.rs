//! The restart budget of an actor: how often it may crash before it is suspended, and for how long.
//!
//! OTP's restart intensity, with one difference: an actor that exceeds its budget does not take its supervisor down.
//! It is suspended and reported, and the rest of the town continues. It is tried again soon, because its agents are
//! not supervised meanwhile, and after growing delays while it keeps crashing. A significant child is not suspended:
//! its supervisor fails instead. Pure arithmetic.

use std::time::Duration;

/// How many restarts are allowed in which window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The number of restarts allowed within `window`.
    pub restarts: usize,
    /// The window, on the monotonic clock.
    pub window: Duration,
    /// How long an actor is suspended when it exhausts its budget for the first time; doubled each time after that.
    pub suspend_for: Duration,
    /// The longest suspension. An actor that did not crash for this long starts with a clean history.
    pub longest: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            restarts: 5,
            window: Duration::from_secs(60),
            suspend_for: Duration::from_secs(30),
            longest: Duration::from_secs(600),
        }
    }
}

/// The crashes of one actor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crashes {
    restarts: Vec<Duration>,
    suspensions: u32,
    /// When it last crashed, or was tried again after a suspension.
    last: Duration,
}

/// What follows from a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Restart it at once.
    Restart,
    /// Suspend it for this long, then try it again.
    Suspend(Duration),
}

impl Crashes {
    /// Records a crash at `now`, and the restart that follows.
    pub fn crashed(&mut self, now: Duration, budget: Budget) -> Verdict {
        self.restarts.retain(|restart| *restart + budget.window > now);
        if self.last + budget.longest <= now {
            self.suspensions = 0;
        }
        self.last = now;
        if !self.allow_another(now, budget) {
            self.restarts.clear();
            let suspend_for = budget.suspend_for * 2u32.saturating_pow(self.suspensions.min(16));
            let suspend_for = suspend_for.min(budget.longest);
            self.suspensions += 1;
            self.last = now + suspend_for;
            return Verdict::Suspend(suspend_for);
        }
        self.restarts.push(now);
        Verdict::Restart
    }

    /// Whether a crash at `now` would lead to a restart.
    pub fn allow_another(&self, now: Duration, budget: Budget) -> bool {
        self.restarts.iter().filter(|restart| **restart + budget.window > now).count() < budget.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_of_crash_times() {
        let budget = Budget {
            restarts: 2,
            window: Duration::from_secs(10),
            suspend_for: Duration::from_secs(7),
            longest: Duration::from_secs(20),
        };
        let suspend = |seconds| Verdict::Suspend(Duration::from_secs(seconds));
        for (name, crashes, last) in [
            ("first", vec![0], Verdict::Restart),
            ("second", vec![0, 1], Verdict::Restart),
            ("third within the window", vec![0, 1, 9], suspend(7)),
            ("third after the window", vec![0, 1, 10], Verdict::Restart),
            ("slow and steady", vec![0, 6, 12, 18, 24], Verdict::Restart),
            ("after a suspension it has its budget again", vec![0, 1, 2, 9], Verdict::Restart),
            ("again right after it", vec![0, 1, 2, 9, 10, 11], suspend(14)),
            ("and again: no longer than the longest", vec![0, 1, 2, 9, 10, 11, 25, 26, 27], suspend(20)),
            ("after it was well for long", vec![0, 1, 2, 29, 30, 31], suspend(7)),
        ] {
            let mut history = Crashes::default();
            let verdicts: Vec<_> =
                crashes.iter().map(|second| history.crashed(Duration::from_secs(*second), budget)).collect();
            assert_eq!(verdicts.last(), Some(&last), "{name}");
        }
    }
}
