//! Hung: whether an agent that should work does nothing. Pure.
//!
//! One sign is never enough: a tool may run for an hour without output, and a model may think. It takes all of: something says that
//! the agent works, and has said nothing new for `activity.hung_after`; its screen has not changed for as long; and its processes
//! have used no CPU time for as long. Even then it is only reported.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::activity::{Activity, Evidence},
    clock::Now,
    go_duration,
};

/// An agent is looked at once its signs have been quiet for this part of the time.
const PART: u32 = 4;
/// Below this share of the time, CPU time is that of a program that only waits: timers, garbage collection.
const WAITING: u32 = 100;

/// Since when the processes of an agent have used no CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    since: Now,
    /// What they had used by then.
    cpu: Duration,
}

/// What was seen of the processes of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether its process is stopped.
    pub is_stopped: bool,
    /// The CPU time of all of them.
    pub cpu: Duration,
}

impl Quiet {
    /// Since when they are quiet, with what is seen now.
    pub fn after(before: Option<Quiet>, seen: Seen, now: Now) -> Quiet {
        let goes_on = |before: &Quiet| {
            let used = seen.cpu.checked_sub(before.cpu);
            used.is_some_and(|used| used <= now.since(before.since) / WAITING)
        };
        before.filter(goes_on).unwrap_or(Quiet { since: now, cpu: seen.cpu })
    }
}

/// The signs of an agent, beside its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Whether its transcript says that it works.
    transcript_works: bool,
    /// Whether its screen shows that it works.
    screen_works: bool,
    /// For how long its transcript has said nothing new, if it speaks.
    transcript: Option<Duration>,
    /// For how long its screen has not changed, if it was read.
    screen: Option<Duration>,
}

impl Signs {
    /// The signs in this evidence; `unchanged` is for how long the screen has not changed.
    pub fn of(evidence: &Evidence, unchanged: Option<Duration>, now: Timestamp) -> Signs {
        let works = |said: &Option<crate::agent::activity::Said>| {
            said.as_ref().is_some_and(|said| said.activity == Activity::Working)
        };
        let age = |since: Timestamp| Duration::try_from(now.duration_since(since)).unwrap_or_default();
        Signs {
            transcript_works: works(&evidence.transcript),
            screen_works: works(&evidence.screen),
            transcript: evidence.transcript.as_ref().map(|said| age(said.since)),
            screen: unchanged,
        }
    }

    /// Whether an agent should work and all signs have been quiet for this long. A screen that was never read says nothing.
    fn are_quiet_for(self, time: Duration) -> bool {
        let works = if self.transcript.is_some() { self.transcript_works } else { self.screen_works };
        works
            && self.transcript.is_none_or(|quiet| quiet >= time)
            && self.screen.is_some_and(|quiet| quiet >= time)
    }

    /// Whether its processes are to be looked at.
    pub fn are_doubtful(self, hung_after: Duration) -> bool {
        self.are_quiet_for(hung_after / PART)
    }
}

/// Why an agent may be hung; `None` when nothing says so.
pub fn why(signs: Signs, seen: Seen, quiet: Quiet, now: Now, hung_after: Duration) -> Option<String> {
    if !signs.are_doubtful(hung_after) {
        return None;
    }
    if seen.is_stopped {
        return Some("its process is stopped (SIGSTOP)".to_owned());
    }
    let is_hung = signs.are_quiet_for(hung_after) && now.since(quiet.since) >= hung_after;
    let witness = if signs.transcript_works { "its transcript says" } else { "its screen shows" };
    let time = go_duration::short(hung_after);
    is_hung
        .then(|| format!("no CPU time and no output for more than {time}, although {witness} that it works"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::activity::Said;

    const AFTER: Duration = Duration::from_mins(20);

    fn at(minute: u64) -> Now {
        let wall = "2026-02-02T08:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_mins(minute);
        Now { mono: Duration::from_mins(minute), wall }
    }

    #[test]
    fn it_takes_all_signs() {
        let (works, idle) = (Some(Activity::Working), Some(Activity::Idle));
        // What the transcript and the screen say and for how many minutes they were quiet, and the processes.
        for (name, transcript, screen, cpu, stopped, expected) in [
            ("all", (&works, 25), (&works, Some(25)), 25, false, Some("transcript")),
            ("no transcript", (&None, 0), (&works, Some(25)), 25, false, Some("screen")),
            (
                "a screen without a status line",
                (&works, 25),
                (&None, Some(25)),
                25,
                false,
                Some("transcript"),
            ),
            ("its screen moves", (&works, 25), (&works, Some(0)), 25, false, None),
            ("its screen was not read", (&works, 25), (&None, None), 25, false, None),
            ("its transcript moves", (&works, 19), (&works, Some(25)), 25, false, None),
            ("it computes", (&works, 25), (&works, Some(25)), 1, false, None),
            ("it waits for input", (&idle, 25), (&works, Some(25)), 25, false, None),
            ("nothing says that it works", (&None, 0), (&idle, Some(25)), 25, false, None),
            ("stopped", (&works, 6), (&works, Some(6)), 0, true, Some("SIGSTOP")),
            ("stopped just now", (&works, 1), (&works, Some(1)), 0, true, None),
            ("stopped while it waits", (&idle, 25), (&idle, Some(25)), 25, true, None),
        ] {
            let now = at(60);
            let said = |activity: &Option<Activity>, quiet: u64| {
                activity.clone().map(|activity| Said::at(activity, at(60 - quiet).wall))
            };
            let evidence = Evidence {
                transcript: said(transcript.0, transcript.1),
                screen: said(screen.0, 0),
                ..Evidence::default()
            };
            let signs = Signs::of(&evidence, screen.1.map(Duration::from_mins), now.wall);
            let quiet = Quiet { since: at(60 - cpu), cpu: Duration::ZERO };
            let seen = Seen { is_stopped: stopped, cpu: Duration::ZERO };
            let why = why(signs, seen, quiet, now, AFTER);
            assert_eq!(why.is_some(), expected.is_some(), "{name}: {why:?}");
            assert!(why.is_none_or(|why| why.contains(expected.unwrap())), "{name}");
        }
    }

    #[test]
    fn what_computes_is_not_quiet() {
        let seen = |millis| Seen { is_stopped: false, cpu: Duration::from_millis(millis) };
        let begun = Quiet::after(None, seen(5_000), at(0));
        assert_eq!(begun.since, at(0));
        assert_eq!(Quiet::after(Some(begun), seen(5_500), at(3)).since, at(0), "timers");
        assert_eq!(Quiet::after(Some(begun), seen(9_000), at(3)).since, at(3), "it computes");
        assert_eq!(Quiet::after(Some(begun), seen(1_000), at(3)).since, at(3), "a process of it has ended");
    }
}
