//! Incidents: the open conditions of agents that were mailed, so that no mail is sent twice, also across a restart of
//! the supervisor.
//!
//! An agent has one incident at a time, about the work on its hook, and each of its conditions is mailed once. It
//! records what was mailed and must not decide whether to mail.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The open incident of one agent, stored in its [record](crate::agent::record).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The work it is about.
    hook: String,
    conditions: BTreeMap<Condition, Told>,
}

/// A condition that is reported by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It is alive but makes no progress.
    Gupp,
    /// It is dead, and is not being restarted.
    Orphaned,
    /// It crashed, and could not be restarted.
    Crashed,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Gupp => "is alive but makes no progress",
            Condition::Orphaned => "is dead and still has work",
            Condition::Crashed => "could not be restarted",
        })
    }
}

impl Condition {
    /// The same for machines.
    pub fn code(self) -> &'static str {
        match self {
            Condition::Gupp => "gupp_violation",
            Condition::Orphaned => "orphaned_work",
            Condition::Crashed => "crash_not_repaired",
        }
    }

    /// The conditions that share one mail: both say that the agent is dead.
    fn alike(self) -> &'static [Condition] {
        match self {
            Condition::Gupp => &[Condition::Gupp],
            Condition::Orphaned | Condition::Crashed => DEAD,
        }
    }
}

/// The conditions that end when the agent lives.
const DEAD: &[Condition] = &[Condition::Orphaned, Condition::Crashed];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    since: Timestamp,
    /// Whether it counts as mailed; false after a mail that could not be sent.
    mailed: bool,
}

/// A condition that was mailed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailed {
    /// The condition.
    pub condition: Condition,
    /// The work it is about.
    pub hook: String,
}

/// Whether a mail is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It is new; it counts as mailed from now on.
    News,
    /// It could not be mailed before; it counts as mailed from now on.
    Again,
    /// It was mailed already.
    No,
}

impl Incident {
    /// Whether to mail this condition of an agent with this work on its hook, whose incident is `open`. If so, it
    /// counts as mailed from now on. An incident about other work is over.
    pub fn begin(open: &mut Option<Incident>, condition: Condition, hook: &str, now: Timestamp) -> Begin {
        Self::hook_is(open, hook);
        let new = || Incident { hook: hook.to_owned(), conditions: BTreeMap::new() };
        let incident = open.get_or_insert_with(new);
        if incident.says(condition) {
            return Begin::No;
        }
        let before = incident.conditions.get(&condition).map(|open| open.since);
        incident.conditions.insert(condition, Told { since: before.unwrap_or(now), mailed: true });
        if before.is_some() { Begin::Again } else { Begin::News }
    }

    /// The mail could not be sent: the incident stays open, and the next [`begin`](Self::begin) may try again.
    pub fn take_back(open: &mut Option<Incident>, condition: Condition, hook: &str) {
        let incident = open.as_mut().filter(|incident| incident.hook == hook);
        if let Some(told) = incident.and_then(|incident| incident.conditions.get_mut(&condition)) {
            told.mailed = false;
        }
    }

    /// The agent lives: closes the conditions that say it is dead.
    pub fn lives(open: &mut Option<Incident>) {
        if let Some(incident) = open {
            incident.conditions.retain(|condition, _| !DEAD.contains(condition));
        }
        open.take_if(|incident| incident.conditions.is_empty());
    }

    /// This is on its hook: an incident about other work is over.
    pub fn hook_is(open: &mut Option<Incident>, hook: &str) {
        open.take_if(|incident| incident.hook != hook);
    }

    /// Whether this condition, or one that says the same, was mailed for this work.
    pub fn is_mailed(&self, condition: Condition, hook: &str) -> bool {
        self.hook == hook && self.says(condition)
    }

    /// Whether its crash was to be mailed and could not be.
    pub fn crash_is_unreported(&self) -> bool {
        self.conditions.get(&Condition::Crashed).is_some_and(|told| !told.mailed)
    }

    /// What was mailed of it, the most serious first.
    pub fn mailed(&self) -> Option<Mailed> {
        let mut mailed = self.conditions.iter().rev().filter(|(_, open)| open.mailed);
        mailed.next().map(|(condition, _)| Mailed { condition: *condition, hook: self.hook.clone() })
    }

    /// When its first condition began.
    pub fn since(&self) -> Option<Timestamp> {
        self.conditions.values().map(|open| open.since).min()
    }

    fn says(&self, condition: Condition) -> bool {
        condition.alike().iter().any(|it| self.conditions.get(it).is_some_and(|open| open.mailed))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        agent::record::{INCIDENTS, Records},
        town::identity::Identity,
    };

    /// The incidents in the records.
    struct Incidents(Records);

    impl Incidents {
        fn begin(&self, identity: &Identity, condition: Condition, hook: &str, now: Timestamp) -> Begin {
            self.0.incident(identity, |it| Incident::begin(it, condition, hook, now))
        }

        fn take_back(&self, identity: &Identity, condition: Condition, hook: &str) {
            self.0.incident(identity, |it| Incident::take_back(it, condition, hook));
        }

        fn open(&self, identity: &Identity) -> Option<Incident> {
            self.0.incident(identity, |it| it.clone())
        }

        fn is_mailed(&self, identity: &Identity, condition: Condition, hook: &str) -> bool {
            self.open(identity).is_some_and(|it| it.is_mailed(condition, hook))
        }

        fn crash_is_unreported(&self, identity: &Identity) -> bool {
            self.open(identity).is_some_and(|it| it.crash_is_unreported())
        }

        fn lives(&self, identity: &Identity) {
            self.0.incident(identity, Incident::lives);
        }

        fn over(&self, identity: &Identity) {
            self.0.incident(identity, |it| *it = None);
        }

        fn hook_is(&self, identity: &Identity, hook: &str) {
            self.0.incident(identity, |it| Incident::hook_is(it, hook));
        }
    }

    fn polecat(name: &str) -> Identity {
        Identity::Polecat("r".parse().unwrap(), name.parse().unwrap())
    }

    fn now() -> Timestamp {
        "2026-02-02T08:00:00Z".parse().unwrap()
    }

    fn incidents() -> Incidents {
        Incidents(Records::new(PathBuf::from("/nowhere")))
    }

    use Condition::{Crashed, Gupp, Orphaned};

    #[test]
    fn one_mail_by_condition_before() {
        let mailed = [
            (Gupp, Gupp, Begin::No),
            (Gupp, Orphaned, Begin::News),
            (Gupp, Crashed, Begin::News),
            (Orphaned, Gupp, Begin::News),
            (Orphaned, Orphaned, Begin::No),
            (Orphaned, Crashed, Begin::No),
            (Crashed, Gupp, Begin::News),
            (Crashed, Orphaned, Begin::No),
            (Crashed, Crashed, Begin::No),
        ];
        for (first, then, expected) in mailed {
            let (it, toast) = (incidents(), polecat("Toast"));
            assert_eq!(it.begin(&toast, first, "w", now()), Begin::News);
            assert!(it.is_mailed(&toast, first, "w"));
            assert_eq!(it.is_mailed(&toast, then, "w"), expected == Begin::No, "{first:?} {then:?}");
            assert_eq!(it.begin(&toast, then, "w", now()), expected, "{first:?} {then:?}");
            assert_eq!(it.begin(&polecat("nux"), then, "w", now()), Begin::News, "another agent");
            assert!(!it.is_mailed(&toast, then, "other"), "{first:?} {then:?}");
            assert_eq!(it.begin(&toast, then, "other", now()), Begin::News, "other work");
            assert_eq!(it.begin(&toast, then, "w", now()), Begin::News, "the first work again");
        }
    }

    #[test]
    fn what_ends_what() {
        type Act = fn(&Incidents);
        let acts: [(&str, Act, [bool; 3]); 8] = [
            ("nothing", |_| {}, [true, true, true]),
            ("it lives", |it| it.lives(&polecat("Toast")), [true, false, false]),
            ("it gets on", |it| it.over(&polecat("Toast")), [false, false, false]),
            ("the same work", |it| it.hook_is(&polecat("Toast"), "w"), [true, true, true]),
            ("other work", |it| it.hook_is(&polecat("Toast"), "x"), [false, false, false]),
            ("another lives", |it| it.lives(&polecat("nux")), [true, true, true]),
            (
                "it is there",
                |it| it.0.keep_incidents(&"r".parse().unwrap(), &[polecat("Toast")].into()),
                [true, true, true],
            ),
            (
                "it is not there",
                |it| it.0.keep_incidents(&"r".parse().unwrap(), &[polecat("nux")].into()),
                [false, false, false],
            ),
        ];
        for (name, act, left) in acts {
            for (condition, left) in [Gupp, Orphaned, Crashed].into_iter().zip(left) {
                let it = incidents();
                it.begin(&polecat("Toast"), condition, "w", now());
                act(&it);
                assert_eq!(it.is_mailed(&polecat("Toast"), condition, "w"), left, "{name}: {condition:?}");
                assert_eq!(it.open(&polecat("Toast")).is_none(), !left, "{name}: nothing is left behind");
            }
        }
        let it = incidents();
        it.begin(&polecat("Toast"), Gupp, "w", now());
        for other in ["q", "rr"] {
            it.0.keep_incidents(&other.parse().unwrap(), &std::collections::BTreeSet::new());
        }
        assert!(it.is_mailed(&polecat("Toast"), Gupp, "w"), "another rig");
    }

    #[test]
    fn what_could_not_be_sent_is_open_and_tried_again() {
        let (it, toast) = (incidents(), polecat("Toast"));
        it.begin(&toast, Crashed, "w", now());
        assert!(!it.crash_is_unreported(&toast));
        it.take_back(&toast, Crashed, "other");
        it.take_back(&toast, Gupp, "w");
        assert!(it.is_mailed(&toast, Crashed, "w"), "that was about something else");
        it.take_back(&toast, Crashed, "w");
        assert!(it.crash_is_unreported(&toast) && !it.is_mailed(&toast, Crashed, "w"));
        let later = now() + jiff::SignedDuration::from_hours(1);
        assert_eq!(it.begin(&toast, Orphaned, "w", later), Begin::News, "or the other mail");
        it.take_back(&toast, Orphaned, "w");
        assert_eq!(it.begin(&toast, Crashed, "w", later), Begin::Again);
        assert_eq!(it.open(&toast).unwrap().since(), Some(now()), "since when stays");
        assert_eq!(it.begin(&toast, Orphaned, "w", later), Begin::No);
    }

    #[test]
    fn it_is_bounded() {
        let it = incidents();
        let name = |n| polecat(&format!("p{n}"));
        for n in 0..INCIDENTS + 5 {
            let since = now() + jiff::SignedDuration::from_secs(i64::try_from(n).unwrap());
            it.begin(&name(n), Gupp, "w", since);
        }
        assert_eq!((0..INCIDENTS + 5).filter(|n| it.open(&name(*n)).is_some()).count(), INCIDENTS);
        assert!(!it.is_mailed(&polecat("p4"), Gupp, "w") && it.is_mailed(&polecat("p5"), Gupp, "w"));
    }

    #[test]
    fn it_reads_what_it_writes() {
        let it = incidents();
        it.begin(&polecat("Toast"), Gupp, "w", now());
        it.begin(&polecat("Toast"), Crashed, "w", now());
        let open = it.open(&polecat("Toast"));
        let json = serde_json::to_string(&open).unwrap();
        assert_eq!(
            json,
            r#"{"hook":"w","conditions":{"gupp":{"since":"2026-02-02T08:00:00Z","mailed":true},"crashed":{"since":"2026-02-02T08:00:00Z","mailed":true}}}"#
        );
        assert_eq!(serde_json::from_str::<Option<Incident>>(&json).unwrap(), open);
    }
}
