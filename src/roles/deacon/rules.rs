//! The deacon's progress ladder: what an old heartbeat file means, and when to check it again.
//!
//! The deacon writes `deacon/heartbeat.json` while it patrols. Fresh is fine, a stale file causes a nudge, a stuck
//! one a restart in one step. An old file means nothing during the grace after a start, a pause or a sleep of the
//! machine. Gas Town's own daemon has no grace: it starts the deacon and kills it in the same tick. Nothing here may
//! act; it only judges.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{agent::confirmation::SessionKey, clock::Now, town::settings::Deacon as Settings};

/// When the wall clock moves ahead of the monotonic one by more than this, the machine slept.
const SLEPT: SignedDuration = SignedDuration::from_secs(60);

/// What `deacon/heartbeat.json` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatFile {
    /// It has this timestamp.
    At(Timestamp),
    /// Missing or unreadable: unknown, whatever was there before.
    Unknown,
}

/// What to do about the deacon's progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Nothing is wrong, or nothing is known.
    Leave,
    /// Its timestamp is in the future: counts as fresh, and is reported.
    FromTheFuture(Timestamp),
    /// Stale: nudge it.
    Nudge {
        /// How old the heartbeat is.
        age: Duration,
    },
    /// Stuck: replace it.
    Stuck {
        /// How old the heartbeat is.
        age: Duration,
    },
}

/// What is remembered between two observations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// An old heartbeat is ignored before this time (monotonic).
    grace_until: Option<Duration>,
    session: Option<SessionKey>,
    was_paused: bool,
    last_probe: Option<Now>,
    /// The heartbeat that the last nudge was about, and the time of that nudge (monotonic).
    nudged: Option<(Timestamp, Duration)>,
}

/// One observation of the deacon.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The session it is alive in; `None` when it is not alive, or that is unknown.
    pub alive_in: Option<SessionKey>,
    /// Whether it is paused or must not be touched for another reason.
    pub paused: bool,
    /// The heartbeat file.
    pub file: HeartbeatFile,
}

impl Progress {
    /// Judges one observation; a nudge is counted as sent.
    pub fn judge(&mut self, observed: &Observed, now: Now, settings: &Settings) -> Verdict {
        self.note_grace(observed, now, settings);
        let (Some(_), false, HeartbeatFile::At(beat)) = (&observed.alive_in, observed.paused, &observed.file)
        else {
            return Verdict::Leave;
        };
        if *beat > now.wall {
            return Verdict::FromTheFuture(*beat);
        }
        if self.nudged.is_some_and(|(about, _)| about != *beat) {
            self.nudged = None; // it moved: the stale period is over
        }
        if self.grace_until.is_some_and(|until| now.mono < until) {
            return Verdict::Leave;
        }
        let age = now.age_of(*beat);
        if age > settings.stuck_after {
            return Verdict::Stuck { age };
        }
        if age < settings.stale_after
            || self.nudged.is_some_and(|(_, when)| now.mono < when + settings.nudge_every)
        {
            return Verdict::Leave;
        }
        self.nudged = Some((*beat, now.mono));
        Verdict::Nudge { age }
    }

    /// Whether the deacon lives and its heartbeat is old; `None` when that is not known, as during a grace.
    pub fn is_stale(&self, observed: &Observed, now: Now, settings: &Settings) -> Option<bool> {
        match (&observed.alive_in, &observed.file) {
            (None, _) => Some(false),
            (Some(_), HeartbeatFile::Unknown) => None,
            (Some(_), HeartbeatFile::At(beat)) if now.age_of(*beat) < settings.stale_after => Some(false),
            (Some(_), HeartbeatFile::At(_)) if observed.paused => Some(false),
            (Some(_), HeartbeatFile::At(_)) => {
                self.grace_until.is_none_or(|until| now.mono >= until).then_some(true)
            }
        }
    }

    /// When the next observation can make a difference; `None` when only a change can.
    pub fn next_probe(&self, observed: &Observed, now: Now, settings: &Settings) -> Option<Duration> {
        let (Some(_), false, HeartbeatFile::At(beat)) = (&observed.alive_in, observed.paused, &observed.file)
        else {
            return None;
        };
        let age = now.age_of(*beat);
        let until_age = |limit: Duration| limit.saturating_sub(age);
        let grace = self.grace_until.map_or(Duration::ZERO, |until| until.saturating_sub(now.mono));
        // Action that the grace delays falls due when the grace is over.
        let again = if grace.is_zero() { settings.nudge_every } else { grace };
        let step = if age < settings.stale_after {
            until_age(settings.stale_after)
        } else if age <= settings.stuck_after {
            let next_nudge =
                self.nudged.map_or(again, |(_, when)| (when + settings.nudge_every).saturating_sub(now.mono));
            until_age(settings.stuck_after).min(next_nudge)
        } else {
            again // stuck, but may not be replaced yet
        };
        // A future timestamp makes `age` zero, which waits `stale_after`: good enough. One second is added, so that
        // the probe never comes just before.
        Some(step.max(grace) + Duration::from_secs(1))
    }

    /// The supervisor started the deacon: an old heartbeat is the previous deacon's.
    pub fn started(&mut self, now: Now, settings: &Settings) {
        self.extend_grace(now, settings);
    }

    fn note_grace(&mut self, observed: &Observed, now: Now, settings: &Settings) {
        let new_session = observed.alive_in.is_some() && observed.alive_in != self.session;
        let pause_ended = self.was_paused && !observed.paused;
        let slept = self.last_probe.is_some_and(|last| {
            let wall = now.wall.duration_since(last.wall);
            let mono = SignedDuration::try_from(now.since(last)).unwrap_or(SignedDuration::MAX);
            (wall - mono).abs() > SLEPT
        });
        if new_session || pause_ended || slept {
            self.extend_grace(now, settings);
        }
        if new_session {
            self.session = observed.alive_in.clone();
        }
        self.was_paused = observed.paused;
        self.last_probe = Some(now);
    }

    fn extend_grace(&mut self, now: Now, settings: &Settings) {
        self.grace_until = Some(now.mono + settings.grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: u32) -> SessionKey {
        SessionKey { id: format!("${n}"), created: Timestamp::UNIX_EPOCH }
    }

    fn at(minutes: u64) -> Now {
        let seconds = minutes * 60;
        Now {
            mono: Duration::from_secs(seconds),
            wall: Timestamp::from_second(1_800_000_000 + seconds as i64).unwrap(),
        }
    }

    fn observed(beat: Now) -> Observed {
        Observed { alive_in: Some(session(1)), paused: false, file: HeartbeatFile::At(beat.wall) }
    }

    /// A deacon known for a long time, past every grace.
    fn known() -> Progress {
        let mut progress = Progress::default();
        let _ = progress.judge(&observed(at(0)), at(0), &Settings::default());
        progress
    }

    #[test]
    fn the_ladder() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        for (name, age, expected) in [
            ("fresh", 0, Verdict::Leave),
            ("not yet stale", 14, Verdict::Leave),
            ("stale", 15, Verdict::Nudge { age: minutes(15) }),
            ("still stale", 30, Verdict::Nudge { age: minutes(30) }),
            ("stuck", 31, Verdict::Stuck { age: minutes(31) }),
        ] {
            let now = at(1000);
            let got = known().judge(&observed(at(1000 - age)), now, &Settings::default());
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn what_says_nothing() {
        let settings = Settings::default();
        let old = at(0);
        for (name, seen) in [
            ("not alive", Observed { alive_in: None, ..observed(old) }),
            ("paused", Observed { paused: true, ..observed(old) }),
            ("file unknown", Observed { file: HeartbeatFile::Unknown, ..observed(old) }),
            ("another session, just seen", Observed { alive_in: Some(session(2)), ..observed(old) }),
        ] {
            assert_eq!(known().judge(&seen, at(1000), &settings), Verdict::Leave, "{name}");
        }
        assert_eq!(
            Progress::default().judge(&observed(old), at(1000), &settings),
            Verdict::Leave,
            "first sight"
        );
    }

    #[test]
    fn grace_ends() {
        let settings = Settings::default();
        let mut progress = Progress::default();
        assert_eq!(progress.judge(&observed(at(0)), at(1000), &settings), Verdict::Leave);
        assert_eq!(progress.judge(&observed(at(0)), at(1004), &settings), Verdict::Leave);
        assert!(matches!(progress.judge(&observed(at(0)), at(1005), &settings), Verdict::Stuck { .. }));
    }

    #[test]
    fn our_own_start_a_pause_and_a_sleep_give_grace() {
        let settings = Settings::default();
        let mut progress = known();
        progress.started(at(1000), &settings);
        assert_eq!(progress.judge(&observed(at(0)), at(1004), &settings), Verdict::Leave, "own start");

        let mut progress = known();
        let _ = progress.judge(&Observed { paused: true, ..observed(at(0)) }, at(1000), &settings);
        assert_eq!(progress.judge(&observed(at(0)), at(1001), &settings), Verdict::Leave, "pause ended");

        let mut progress = known();
        let slept = Now { mono: Duration::from_secs(60), wall: at(500).wall };
        assert_eq!(progress.judge(&observed(at(0)), slept, &settings), Verdict::Leave, "slept");
    }

    #[test]
    fn nudges_come_at_most_every_five_minutes_and_end_when_it_moves() {
        let settings = Settings::default();
        let mut progress = known();
        let beat = at(980);
        assert!(matches!(progress.judge(&observed(beat), at(1000), &settings), Verdict::Nudge { .. }));
        assert_eq!(progress.judge(&observed(beat), at(1004), &settings), Verdict::Leave);
        assert!(matches!(progress.judge(&observed(beat), at(1005), &settings), Verdict::Nudge { .. }));
        // Moved, and stale again at once: a new period, a new nudge.
        assert!(matches!(progress.judge(&observed(at(990)), at(1006), &settings), Verdict::Nudge { .. }));
    }

    #[test]
    fn a_time_ahead_is_fresh_and_reported() {
        let got = known().judge(&observed(at(1010)), at(1000), &Settings::default());
        assert_eq!(got, Verdict::FromTheFuture(at(1010).wall));
    }

    #[test]
    fn the_next_probe_is_when_something_falls_due() {
        let settings = Settings::default();
        let minutes = |n: u64| Duration::from_secs(n * 60 + 1);
        for (name, age, expected) in [
            ("fresh: when it turns stale", 0, minutes(15)),
            ("soon stale", 14, minutes(1)),
            ("stale, to be nudged", 20, minutes(5)),
            ("soon stuck", 28, minutes(2)),
            ("stuck, not replaced yet", 40, minutes(5)),
        ] {
            let seen = observed(at(1000 - age));
            assert_eq!(known().next_probe(&seen, at(1000), &settings), Some(expected), "{name}");
        }
        let gone = Observed { alive_in: None, ..observed(at(0)) };
        assert_eq!(known().next_probe(&gone, at(1000), &settings), None);
    }

    #[test]
    fn in_its_grace_an_old_heartbeat_falls_due_when_that_is_over() {
        // A grace that is shorter than the time between two nudges.
        let settings = Settings { grace: Duration::from_secs(120), ..Settings::default() };
        for (name, age) in [("stale", 20), ("stuck", 40)] {
            let seen = observed(at(1000 - age));
            let mut progress = Progress::default();
            assert_eq!(progress.judge(&seen, at(1000), &settings), Verdict::Leave, "{name}");
            let next = progress.next_probe(&seen, at(1000), &settings);
            assert_eq!(next, Some(Duration::from_secs(121)), "{name}");
        }
    }
}
