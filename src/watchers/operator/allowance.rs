//! The allowance: how much processor time the detection of commands may use. Pure.
//!
//! Agents run `gt` all the time, and each run is examined for a command that changes the town. After an examination, twenty times
//! its duration must pass, with a credit of up to one second. So a single command is examined at once, and however many start,
//! detection uses at most a twentieth of one processor.

use std::time::Duration;

/// A scan must be followed by this many times its duration.
const SHARE: u32 = 20;
/// At most this much time may be owed.
const CREDIT: Duration = Duration::from_secs(1);
/// The minimum cost of a scan: wake-ups and messages are not measured.
const LEAST: Duration = Duration::from_micros(250);

/// The account of used time. Times are monotonic.
#[derive(Debug, Default)]
pub struct Allowance {
    /// When the used time is paid for.
    settled: Duration,
}

impl Allowance {
    /// How long the next scan has to wait; zero when it may start now.
    pub fn wait(&self, now: Duration) -> Duration {
        self.settled.saturating_sub(now + CREDIT)
    }

    /// Records a scan that ended now and took this long.
    pub fn spent(&mut self, took: Duration, now: Duration) {
        self.settled = self.settled.max(now) + took.max(LEAST).saturating_mul(SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_few_scans_wait_for_nothing() {
        let mut allowance = Allowance::default();
        for n in 0..20 {
            assert_eq!(allowance.wait(ms(n)), Duration::ZERO, "look {n}");
            allowance.spent(ms(2), ms(n));
        }
    }

    #[test]
    fn endless_scans_cost_a_twentieth() {
        for took in [ms(0), ms(1), ms(3), ms(20), ms(400)] {
            let (mut allowance, mut now, mut cost) = (Allowance::default(), ms(7_000), Duration::ZERO);
            while now < ms(107_000) {
                now += allowance.wait(now).max(took).max(Duration::from_micros(100));
                allowance.spent(took, now);
                cost += took.max(LEAST);
            }
            // The credit is used once.
            assert!(
                cost <= ms(100_000) / SHARE + CREDIT / SHARE + took.max(LEAST) * 2,
                "{cost:?} in looks of {took:?}"
            );
            assert!(cost >= ms(90_000) / SHARE, "it is also used: {cost:?} in looks of {took:?}");
        }
    }

    #[test]
    fn rest_pays_for_no_more_than_the_credit() {
        let mut allowance = Allowance::default();
        allowance.spent(ms(1), ms(0));
        let later = ms(1_000_000);
        allowance.spent(ms(100), later);
        assert_eq!(allowance.wait(later), ms(1000));
    }
}
