//! The register of deaths: where owners note confirmed deaths, and ask whether restarts are paced.
//!
//! It is a register and not an actor's state, so that a restart that follows a death immediately is already paced,
//! and so that it survives the crash of any actor. It also holds the reports that are not out yet, in two stages.
//! *Unreported*: the actor still searches for the cause, and its next incarnation can repeat that. *Undelivered*,
//! after the log line: the event is handed out once, right before it is written. The alert for `notify.command` stays
//! until the command has exited, so that only a command that was killed together with the actor runs again. So
//! nothing is reported twice, and nothing is lost.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::rules::{ConfirmedDeath, Decision, Window};
use crate::{
    clock::Now,
    town::{events::Event, settings::Deaths as Policy},
};

/// The deaths of the last window, and the reports about them; clones share it.
#[derive(Debug, Clone, Default)]
pub struct DeathRegister(Arc<Mutex<Inner>>);

/// The name of the actor that receives a message when a death was recorded.
pub const ACTOR: &str = "deaths";

#[derive(Debug, Default)]
struct Inner {
    window: Window,
    /// No paced restart before this time (monotonic).
    next_turn: Duration,
    numbered: u64,
    unreported: VecDeque<PendingReport>,
    undelivered: VecDeque<Alert>,
    last: Option<LastMassDeath>,
}

/// A mass death, or its follow-up, that was not reported yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingReport {
    /// Its number.
    pub number: u64,
    /// The agents that died, in the order in which their ends were noticed.
    pub deaths: Vec<ConfirmedDeath>,
    /// Whether they belong to the mass death reported before.
    pub follow_up: bool,
    /// The window in which they died.
    pub window: Duration,
}

#[derive(Debug)]
struct Alert {
    number: u64,
    event: Event,
    handed_out: bool,
}

/// The last reported mass death, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LastMassDeath {
    /// When it was reported.
    pub at: Timestamp,
    /// The sessions that died, those of the follow-up included.
    pub sessions: Vec<String>,
    /// What may have caused it, where that is known.
    pub possible_cause: Option<String>,
}

/// The register, as status reports show it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DeathsSnapshot {
    /// Different sessions that died within the last window and are no part of a mass death.
    pub in_window: usize,
    /// Whether restarts are paced: there was a mass death and its follow-up is not due yet.
    pub paced: bool,
    /// Sessions the follow-up will name, so far.
    pub follow_up: usize,
    /// Number of alerts still to be reported or delivered.
    pub pending: usize,
    /// The last mass death.
    pub last: Option<LastMassDeath>,
}

impl DeathRegister {
    /// Records a death. From here on, an alert may be pending and restarts may be paced.
    pub fn record(&self, death: ConfirmedDeath, now: Now, policy: &Policy) {
        let mut inner = self.0.lock();
        let decision = inner.window.died(death, now, policy);
        inner.follow(decision, now, policy);
    }

    /// Makes pending what has fallen due since the last call.
    pub fn review(&self, now: Now, policy: &Policy) {
        let mut inner = self.0.lock();
        let decision = inner.window.review(now, policy);
        inner.follow(decision, now, policy);
    }

    /// The time until [`review`](Self::review) finds something by itself; `None` when nothing is due.
    pub fn due_in(&self, now: Now) -> Option<Duration> {
        self.0.lock().window.due_in(now)
    }

    /// How long a restart that is due now has to wait for its turn; zero when it may start at once.
    pub fn pace(&self, now: Now) -> Duration {
        let inner = self.0.lock();
        if inner.window.paced(now) { inner.next_turn.saturating_sub(now.mono) } else { Duration::ZERO }
    }

    /// Takes the turn that [`pace`](Self::pace) returned, so that the next one comes `deaths.paced_restart` later. It
    /// may be taken at once or when the time has come.
    pub fn take_turn(&self, now: Now, policy: &Policy) {
        let mut inner = self.0.lock();
        if inner.window.paced(now) {
            inner.next_turn = inner.next_turn.max(now.mono) + policy.paced_restart;
        }
    }

    /// The oldest unreported entry; it stays until [`report`](Self::report) removes it.
    pub fn unreported(&self) -> Option<PendingReport> {
        self.0.lock().unreported.front().cloned()
    }

    /// Turns a report into an event to be delivered. False when that was done already.
    pub fn report(&self, number: u64, event: Event, cause: Option<String>) -> bool {
        let mut inner = self.0.lock();
        let Some(pending) = inner.unreported.pop_front_if(|first| first.number == number) else {
            return false;
        };
        let sessions = pending.deaths.into_iter().map(|death| death.session);
        match &mut inner.last {
            Some(last) if pending.follow_up => {
                last.sessions.extend(sessions);
                last.possible_cause = last.possible_cause.take().or(cause);
            }
            last => {
                *last =
                    Some(LastMassDeath { at: event.ts, sessions: sessions.collect(), possible_cause: cause });
            }
        }
        inner.undelivered.push_back(Alert { number, event, handed_out: false });
        true
    }

    /// The next event to be written; it is handed out once.
    pub fn hand_out(&self) -> Option<Event> {
        let mut inner = self.0.lock();
        let alert = inner.undelivered.iter_mut().find(|alert| !alert.handed_out)?;
        alert.handed_out = true;
        Some(alert.event.clone())
    }

    /// The next alert for `notify.command`, with its number; it stays until [`notified`](Self::notified).
    pub fn to_notify(&self) -> Option<(u64, Event)> {
        self.0.lock().undelivered.front().map(|alert| (alert.number, alert.event.clone()))
    }

    /// Removes an alert: `notify.command` had it, or never will.
    pub fn notified(&self, number: u64) {
        self.0.lock().undelivered.retain(|alert| alert.number != number);
    }

    /// The register's figures for status reports.
    pub fn snapshot(&self, now: Now, policy: &Policy) -> DeathsSnapshot {
        let inner = self.0.lock();
        DeathsSnapshot {
            in_window: inner.window.within(now, policy),
            paced: inner.window.paced(now),
            follow_up: inner.window.gathered(),
            pending: inner.unreported.len() + inner.undelivered.len(),
            last: inner.last.clone(),
        }
    }
}

impl Inner {
    /// Queues reports until the window has no more.
    fn follow(&mut self, mut decision: Decision, now: Now, policy: &Policy) {
        loop {
            let (deaths, follow_up) = match decision {
                Decision::Leave => return,
                Decision::Alert { deaths, .. } => (deaths, false),
                Decision::FollowUp { deaths } => (deaths, true),
            };
            self.numbered += 1;
            let (number, window) = (self.numbered, policy.window);
            self.unreported.push_back(PendingReport { number, deaths, follow_up, window });
            decision = self.window.review(now, policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{town::identity::Identity, watchers::deaths::words};

    fn at_once() -> Policy {
        Policy { settle: Duration::ZERO, ..Policy::default() }
    }

    fn at(millis: u64) -> Now {
        let wall = "2026-02-02T08:00:00Z".parse::<Timestamp>().unwrap();
        let passed = jiff::SignedDuration::from_millis(millis as i64);
        Now { mono: Duration::from_millis(millis), wall: wall + passed }
    }

    fn dies(register: &DeathRegister, session: &str, now: u64) {
        let death = ConfirmedDeath {
            agent: Identity::Deacon,
            session: session.to_owned(),
            noticed: at(now),
            exit: None,
            with_server: false,
            for_memory: false,
        };
        register.record(death, at(now), &at_once());
    }

    fn tell(register: &DeathRegister) -> Option<(bool, Vec<String>)> {
        let pending = register.unreported()?;
        let event = words::event(at(0).wall, &pending.deaths, pending.window, None);
        assert!(register.report(pending.number, event.clone(), Some("why".into())));
        assert!(!register.report(pending.number, event, None), "told twice");
        Some((pending.follow_up, pending.deaths.into_iter().map(|death| death.session).collect()))
    }

    #[test]
    fn an_alert_and_its_follow_up_stay_until_they_are_reported_and_delivered() {
        let (register, policy) = (DeathRegister::default(), at_once());
        assert_eq!((register.unreported(), register.due_in(at(0))), (None, None));
        for (session, now) in [("a", 0), ("b", 10), ("c", 20), ("d", 30)] {
            dies(&register, session, now);
        }
        assert_eq!(register.due_in(at(20)), Some(Duration::from_secs(36)));
        assert_eq!(register.unreported(), register.unreported(), "asking takes nothing");
        let snapshot = register.snapshot(at(30), &policy);
        assert_eq!((snapshot.pending, snapshot.follow_up, snapshot.paced), (1, 1, true));
        assert_eq!(snapshot.last, None, "not told yet");
        assert_eq!(tell(&register), Some((false, ["a", "b", "c"].map(str::to_owned).to_vec())));
        assert_eq!(tell(&register), None);
        register.review(at(36_020), &policy);
        assert_eq!(tell(&register), Some((true, vec!["d".to_owned()])));
        let last = register.snapshot(at(36_020), &policy).last.unwrap();
        assert_eq!((last.sessions.len(), last.possible_cause.as_deref()), (4, Some("why")));
        let counts: Vec<_> =
            std::iter::from_fn(|| register.hand_out()).map(|event| event.payload["count"].as_u64()).collect();
        assert_eq!(counts, [Some(3), Some(1)], "each event once, in order");
        let (number, _) = register.to_notify().unwrap();
        assert_eq!(register.to_notify().unwrap().0, number, "until it is done");
        register.notified(number);
        assert_ne!(register.to_notify().unwrap().0, number);
        register.notified(register.to_notify().unwrap().0);
        assert_eq!(register.to_notify(), None);
        assert_eq!(register.snapshot(at(36_020), &policy).pending, 0);
    }

    #[test]
    fn turns_taken_at_once_or_in_their_time() {
        let policy = at_once();
        for (name, at_once) in [("at once", true), ("in their time", false)] {
            let register = DeathRegister::default();
            for session in ["a", "b", "c"] {
                assert_eq!(register.pace(at(0)), Duration::ZERO, "{name}: before {session} died");
                register.take_turn(at(0), &policy); // takes no time from other restarts
                dies(&register, session, 0);
            }
            let mut turns = Vec::new();
            for _ in 0..4 {
                let wait = register.pace(at(0));
                let turn = at(wait.as_millis() as u64);
                if at_once {
                    register.take_turn(at(0), &policy);
                } else {
                    assert_eq!(register.pace(turn), Duration::ZERO, "{name}");
                    register.take_turn(turn, &policy);
                }
                turns.push(wait.as_secs());
            }
            assert_eq!(turns, [0, 2, 4, 6], "{name}");
            assert_eq!(register.pace(at(20_000)), Duration::ZERO, "{name}: nobody wanted one for long");
            register.take_turn(at(20_000), &policy);
            assert_eq!(register.pace(at(20_500)), Duration::from_millis(1500), "{name}");
            assert_eq!(register.pace(at(36_000)), Duration::ZERO, "{name}: it is over");
        }
    }
}
