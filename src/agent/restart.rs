//! The restart policy: whether an agent that ended may be started again now, later, or not by itself any more.
//!
//! Plain arithmetic over an agent's [`RestartHistory`], the time and the policy, modelled on OTP's `supervisor`. The
//! first restart comes at once, further ones after a delay that doubles. Too many within a window are a crash loop,
//! which is held and tried again later, never given up. A long life clears the history. Nothing here may read a clock
//! or a file; the jitter is passed in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::town::settings::Restart as Policy;

/// An agent counts as "alive again" after this long.
pub const ALIVE_AGAIN: Duration = Duration::from_secs(5);

/// The fraction of a delay that jitter may add.
const JITTER: f64 = 0.1;

/// The restart history of one agent, stored in `daemon/restart_state.json`, so that it survives the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartHistory {
    /// Time of its last restart.
    pub last_restart: Option<Timestamp>,
    /// Restarts since it was last stable.
    pub restart_count: u32,
    /// No automatic start before this time.
    pub backoff_until: Option<Timestamp>,
    /// Since when it is held in a crash loop.
    pub crash_loop_since: Option<Timestamp>,
    /// The restarts within the crash-loop window, oldest first.
    pub recent: Vec<Timestamp>,
}

/// The decision of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Start now.
    Now,
    /// Start at this time.
    At(Timestamp),
    /// The hold of a crash loop is over: start once, as a trial.
    Trial,
    /// Held; the next trial is at `trial_at`. `news` when the crash loop began with this death.
    CrashLoop {
        /// When the next trial start is due.
        trial_at: Timestamp,
        /// True once per crash loop.
        news: bool,
    },
}

/// An agent died and was not stopped on purpose: when may it be restarted? Records the decision in `history`.
///
/// `lived` is how long it had been alive; `jitter` is a number from 0 to 1.
pub fn after_death(
    history: &mut RestartHistory,
    now: Timestamp,
    lived: Duration,
    policy: &Policy,
    jitter: f64,
) -> Verdict {
    if lived >= policy.stable_after {
        begin_afresh(history);
    }
    history.recent.retain(|restart| within(*restart, now, policy.crash_loop_window));
    history.backoff_until = None;
    if history.crash_loop_since.is_some() {
        return hold(history, now, policy, false);
    }
    if history.recent.len() >= policy.crash_loop_count as usize {
        return hold(history, now, policy, true);
    }
    if history.restart_count == 0 {
        return Verdict::Now;
    }
    let until = later(now, delay(history.restart_count, policy, jitter));
    history.backoff_until = Some(until);
    Verdict::At(until)
}

/// An agent does not run and its end was not seen (the first probe, a gate that opened): when may it be started?
/// Only a delay or hold that is still in its history applies.
pub fn without_death(history: &RestartHistory, now: Timestamp, policy: &Policy) -> Verdict {
    if let Some(since) = history.crash_loop_since {
        // A later time comes from a clock that was set back; the hold must still end.
        let trial_at = later(since.min(now), policy.retry_crash_loop_after);
        return if trial_at <= now { Verdict::Trial } else { Verdict::CrashLoop { trial_at, news: false } };
    }
    match history.backoff_until {
        Some(until) if until > now => Verdict::At(until.min(later(now, longest(policy)))),
        _ => Verdict::Now,
    }
}

/// An agent is alive but must be replaced: when may it be restarted? A pending decision stays in force.
pub fn to_replace(
    history: &mut RestartHistory,
    now: Timestamp,
    lived: Duration,
    policy: &Policy,
    jitter: f64,
) -> Verdict {
    if lived < policy.stable_after && (history.crash_loop_since.is_some() || history.backoff_until.is_some())
    {
        return without_death(history, now, policy);
    }
    after_death(history, now, lived, policy, jitter)
}

/// Records that a counted restart begins now.
pub fn restarted(history: &mut RestartHistory, now: Timestamp, policy: &Policy) {
    history.recent.retain(|restart| within(*restart, now, policy.crash_loop_window));
    history.recent.push(now);
    history.restart_count = history.restart_count.saturating_add(1);
    history.last_restart = Some(now);
    history.backoff_until = None;
}

/// The agent has been alive for `lived`: clears what has expired from its history. True when something changed.
pub fn lived(history: &mut RestartHistory, now: Timestamp, lived: Duration, policy: &Policy) -> bool {
    let before = history.clone();
    if lived >= policy.stable_after {
        begin_afresh(history);
    } else if lived >= ALIVE_AGAIN
        && history.crash_loop_since.is_some_and(|since| earlier(now, lived) >= since)
    {
        // Its life began after the crash loop and has lasted: the trial start succeeded.
        history.crash_loop_since = None;
        history.recent.clear();
    }
    *history != before
}

/// A start was requested: clears every delay and hold from its history.
pub fn asked_for(history: &mut RestartHistory) {
    begin_afresh(history);
}

/// It was stable: clears everything except the time of its last restart.
fn begin_afresh(history: &mut RestartHistory) {
    *history = RestartHistory { last_restart: history.last_restart, ..RestartHistory::default() };
}

fn hold(history: &mut RestartHistory, now: Timestamp, policy: &Policy, news: bool) -> Verdict {
    history.crash_loop_since = Some(now);
    Verdict::CrashLoop { trial_at: later(now, policy.retry_crash_loop_after), news }
}

/// The delay before the restart that follows `count` earlier ones.
fn delay(count: u32, policy: &Policy, jitter: f64) -> Duration {
    let factor = policy.multiplier.powi(i32::try_from(count.saturating_sub(1)).unwrap_or(i32::MAX));
    let seconds = policy.initial_backoff.as_secs_f64() * factor * (1.0 + JITTER * jitter.clamp(0.0, 1.0));
    // `min` first: a huge factor is infinite, which no Duration holds.
    Duration::from_secs_f64(seconds.min(policy.max_backoff.as_secs_f64()))
}

/// The longest delay before a restart.
pub fn longest(policy: &Policy) -> Duration {
    policy.max_backoff.max(policy.initial_backoff)
}

fn within(then: Timestamp, now: Timestamp, window: Duration) -> bool {
    // Times ahead are dropped with the old ones: a clock set back must not fill the window.
    then <= now && later(then, window) > now
}

/// The sum of a time and a duration; the maximum when it overflows.
pub fn later(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// The difference of a time and a duration; the minimum when it overflows.
pub(super) fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| time.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Lets it die repeatedly, each time `lived` seconds after its start; returns the times of the starts.
    fn starts(lived: u64, deaths: usize, policy: &Policy) -> (Vec<i64>, Vec<Verdict>) {
        let mut history = RestartHistory::default();
        let (mut now, mut starts, mut verdicts) = (0i64, Vec::new(), Vec::new());
        for _ in 0..deaths {
            let verdict = after_death(&mut history, at(now), secs(lived), policy, 0.0);
            verdicts.push(verdict);
            match verdict {
                Verdict::Now | Verdict::Trial => {}
                Verdict::At(until) => now = until.as_second() - 1_800_000_000,
                Verdict::CrashLoop { .. } => break,
            }
            restarted(&mut history, at(now), policy);
            starts.push(now);
            now += lived as i64;
        }
        (starts, verdicts)
    }

    #[test]
    fn first_at_once_then_doubling() {
        let policy = Policy { crash_loop_count: 100, ..Policy::default() };
        let (starts, _) = starts(0, 8, &policy);
        let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn five_restarts_in_the_window_are_a_crash_loop() {
        let (starts, verdicts) = starts(1, 10, &Policy::default());
        assert_eq!(starts.len(), 5);
        assert!(matches!(verdicts[5], Verdict::CrashLoop { news: true, .. }), "{verdicts:?}");
    }

    #[test]
    fn restarts_outside_the_window_are_no_crash_loop() {
        let (starts, verdicts) = starts(600, 12, &Policy::default());
        assert_eq!(starts.len(), 12, "{verdicts:?}");
    }

    #[test]
    fn the_grid_of_history_and_clock() {
        let policy = Policy::default();
        let looping = RestartHistory {
            restart_count: 5,
            crash_loop_since: Some(at(0)),
            recent: vec![at(-400), at(-300), at(-200), at(-100), at(-10)],
            ..Default::default()
        };
        let waiting = RestartHistory { restart_count: 2, backoff_until: Some(at(60)), ..Default::default() };
        let from_the_future = RestartHistory { backoff_until: Some(at(1_000_000)), ..Default::default() };
        let loop_from_the_future =
            RestartHistory { crash_loop_since: Some(at(1_000_000)), ..Default::default() };
        for (name, history, now, expected) in [
            ("nothing remembered", RestartHistory::default(), 0, Verdict::Now),
            ("backoff runs", waiting.clone(), 59, Verdict::At(at(60))),
            ("backoff over", waiting, 60, Verdict::Now),
            (
                "crash loop held",
                looping.clone(),
                1799,
                Verdict::CrashLoop { trial_at: at(1800), news: false },
            ),
            ("crash loop trial", looping, 1800, Verdict::Trial),
            ("backoff of a wrong clock is bounded", from_the_future, 0, Verdict::At(at(600))),
            (
                "crash loop of a wrong clock ends",
                loop_from_the_future,
                0,
                Verdict::CrashLoop { trial_at: at(1800), news: false },
            ),
        ] {
            assert_eq!(without_death(&history, at(now), &policy), expected, "{name}");
        }
    }

    #[test]
    fn a_failed_trial_is_held_as_long_again_and_not_reported_again() {
        let policy = Policy::default();
        let mut history = RestartHistory { crash_loop_since: Some(at(0)), ..Default::default() };
        restarted(&mut history, at(1800), &policy);
        let verdict = after_death(&mut history, at(1802), secs(2), &policy, 0.0);
        assert_eq!(verdict, Verdict::CrashLoop { trial_at: at(3602), news: false });
    }

    #[test]
    fn a_trial_that_lives_ends_the_crash_loop() {
        let policy = Policy::default();
        let mut history = RestartHistory { crash_loop_since: Some(at(0)), ..Default::default() };
        restarted(&mut history, at(1800), &policy);
        assert!(!lived(&mut history, at(1804), secs(4), &policy), "not alive again yet");
        assert!(lived(&mut history, at(1805), secs(5), &policy));
        assert_eq!(history.crash_loop_since, None);
        assert_eq!(history.restart_count, 1, "but it is not stable");
    }

    #[test]
    fn an_agent_older_than_its_crash_loop_does_not_end_it() {
        let policy = Policy::default();
        let mut history = RestartHistory { crash_loop_since: Some(at(0)), ..Default::default() };
        assert!(!lived(&mut history, at(100), secs(1000), &policy));
    }

    #[test]
    fn a_long_life_starts_afresh() {
        let policy = Policy::default();
        let mut history = RestartHistory { restart_count: 4, recent: vec![at(-5)], ..Default::default() };
        assert_eq!(after_death(&mut history, at(0), secs(1800), &policy, 0.0), Verdict::Now);
        assert_eq!(history.restart_count, 0);
        let mut history = RestartHistory { restart_count: 4, ..Default::default() };
        assert!(matches!(after_death(&mut history, at(0), secs(1799), &policy, 0.0), Verdict::At(_)));
    }

    #[test]
    fn jitter_lengthens_by_a_tenth_at_most_and_never_past_the_bound() {
        let policy = Policy::default();
        for (count, jitter, expected) in
            [(1, 0.0, 30.0), (1, 1.0, 33.0), (2, 0.5, 63.0), (9, 1.0, 600.0), (u32::MAX, 1.0, 600.0)]
        {
            let got = delay(count, &policy, jitter).as_secs_f64();
            assert!((got - expected).abs() < 1e-6, "{count} {jitter}: {got}");
        }
    }

    #[test]
    fn replacing_keeps_to_a_pending_delay() {
        let policy = Policy::default();
        let mut history = RestartHistory { restart_count: 1, ..Default::default() };
        let first = to_replace(&mut history, at(0), secs(60), &policy, 0.0);
        assert_eq!(first, Verdict::At(at(30)));
        assert_eq!(to_replace(&mut history, at(10), secs(70), &policy, 0.0), Verdict::At(at(30)));
        assert_eq!(to_replace(&mut history, at(30), secs(90), &policy, 0.0), Verdict::Now);
    }
}
