//! Rules: what is done about convoys that nobody works on (Gas Town 1.x). Pure.
//!
//! The next step of a convoy is slung, which nothing else in a 1.x town does; a convoy without a next step is checked. What was
//! done is remembered, so that an unchanged convoy is not checked, and an issue that stays ready is not slung, again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::SignedDuration;

use super::stranded::Stranded;
use crate::{
    clock::Now,
    ledger::beads,
    town::{identity::RigName, reading::shorten},
};

/// A convoy without issues is left alone for this long: it may be being made.
const EMPTY_FOR: Duration = Duration::from_mins(5);
/// A wait that usually is short is a problem after this long.
const SHORT: Duration = Duration::from_mins(5);
/// The wait after the first sling of an issue that stays ready; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_mins(1);
/// The longest wait, for an issue as for scans that fail.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What to do about a convoy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sling this issue to this rig.
    Sling(String, RigName),
    /// Have it checked.
    Check,
    /// Nothing, and what its work waits for, if it does.
    Leave(Option<Wait>),
}

/// What the work of a convoy waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What it is, for people.
    pub why: String,
    /// Whether that usually is over soon, such as the restart of an agent.
    pub is_short: bool,
}

impl Wait {
    /// Until somebody does something about it.
    pub fn long(why: impl Into<String>) -> Self {
        Wait { why: why.into(), is_short: false }
    }

    /// Until something is over that goes on.
    pub fn short(why: impl Into<String>) -> Self {
        Wait { why: why.into(), is_short: true }
    }
}

/// How a wait is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// As a problem.
    Problem,
    /// As an ordinary line of the log.
    News,
    /// Not again.
    Known,
}

/// What was done so far; times are monotonic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The convoys that were checked, each with what it looked like and when that was.
    checked: BTreeMap<String, ((u64, usize), Duration)>,
    /// The issues that were slung and were ready when last listed.
    slung: BTreeMap<String, Slung>,
    /// The convoys whose work waits, each since when.
    waiting: BTreeMap<String, Duration>,
}

/// An issue that was slung.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slung {
    /// When it may be slung again.
    again: Duration,
    /// The wait that leads to.
    wait: Duration,
    /// Why it was not slung; `None` when it was.
    failure: Option<String>,
    /// Whether it was listed as ready after it was slung.
    is_still_ready: bool,
}

/// The time between two scans after this many failures in a row.
pub fn pause(every: Duration, failures: u32) -> Duration {
    every.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT.max(every))
}

impl Memory {
    /// Forgets what is not listed any more.
    pub fn listed(&mut self, convoys: &[Stranded]) {
        let ids: BTreeSet<&String> = convoys.iter().map(|convoy| &convoy.id).collect();
        let ready: BTreeSet<&String> = convoys.iter().flat_map(|convoy| &convoy.ready).collect();
        self.checked.retain(|id, _| ids.contains(id));
        self.slung.retain(|id, _| ready.contains(id));
        self.waiting.retain(|id, _| ids.contains(id));
        for slung in self.slung.values_mut() {
            slung.is_still_ready = true;
        }
    }

    /// What to do about this convoy. `rig_of` tells the rig of an issue, if work may be started in it, or why not.
    pub fn decide(
        &self,
        convoy: &Stranded,
        rig_of: impl Fn(&str) -> Result<RigName, Wait>,
        check_every: Duration,
        now: Now,
    ) -> Step {
        if convoy.ready.is_empty() {
            return if self.is_due(convoy, check_every, now) { Step::Check } else { Step::Leave(None) };
        }
        if let Err(why) = convoy.branch() {
            return Step::Leave(Some(Wait::long(why)));
        }
        let mut wait = None;
        for issue in &convoy.ready {
            if self.slung.get(issue).is_some_and(|slung| now.mono < slung.again) {
                continue;
            }
            match if beads::is_id(issue) { rig_of(issue) } else { Err(Wait::long("it is not a bead id")) } {
                Ok(rig) => return Step::Sling(issue.clone(), rig),
                Err(Wait { why, is_short }) => {
                    wait =
                        wait.or_else(|| Some(Wait { why: format!("{}: {why}", shorten(issue)), is_short }));
                }
            }
        }
        Step::Leave(wait)
    }

    /// The work of this convoy waits, or waits no longer: how to report that.
    pub fn waits(&mut self, convoy: &str, wait: Option<&Wait>, now: Now) -> Waits {
        let Some(wait) = wait else {
            self.waiting.remove(convoy);
            return Waits::Known;
        };
        let is_new = !self.waiting.contains_key(convoy);
        let since = *self.waiting.entry(convoy.to_owned()).or_insert(now.mono);
        match wait.is_short && now.mono < since + SHORT {
            false => Waits::Problem,
            true if is_new => Waits::News,
            true => Waits::Known,
        }
    }

    /// Whether a convoy of which nothing is ready should be checked.
    fn is_due(&self, convoy: &Stranded, check_every: Duration, now: Now) -> bool {
        let age = convoy.created_at.map(|created| now.wall.duration_since(created));
        let is_young = |age: SignedDuration| age < SignedDuration::try_from(EMPTY_FOR).unwrap_or_default();
        if convoy.tracked == 0 && age.is_none_or(is_young) {
            return false;
        }
        match self.checked.get(&convoy.id) {
            Some((looks, at)) => *looks != looks_of(convoy) || now.mono >= *at + check_every,
            None => true,
        }
    }

    /// A convoy was checked, whatever came of it.
    pub fn was_checked(&mut self, convoy: &Stranded, now: Now) {
        self.checked.insert(convoy.id.clone(), (looks_of(convoy), now.mono));
    }

    /// An issue was slung, or could not be.
    pub fn was_slung(&mut self, issue: &str, failure: Option<String>, now: Now) {
        let before = self.slung.get(issue);
        let wait = before.map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        let is_still_ready = before.is_some();
        let slung = Slung { again: now.mono + wait, wait, failure, is_still_ready };
        self.slung.insert(issue.to_owned(), slung);
    }

    /// What is wrong with issues that were slung, one line for each.
    pub fn complaints(&self) -> Vec<String> {
        let complaint = |(issue, slung): (&String, &Slung)| match &slung.failure {
            Some(why) => Some(format!("{issue} was not slung; it is tried again later and later: {why}")),
            None if slung.is_still_ready => Some(format!(
                "{issue} was slung and is still ready; it is tried again later and later: see `gt convoy stranded`"
            )),
            None => None,
        };
        self.slung.iter().filter_map(complaint).collect()
    }
}

/// What tells a convoy from what it was before.
fn looks_of(convoy: &Stranded) -> (u64, usize) {
    (convoy.tracked, convoy.ready.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK_EVERY: Duration = Duration::from_mins(5);

    fn at(seconds: u64) -> Now {
        let begin: jiff::Timestamp = "2026-11-28T16:30:24Z".parse().unwrap();
        Now {
            mono: Duration::from_secs(seconds),
            wall: begin + SignedDuration::from_secs(i64::try_from(seconds).unwrap()),
        }
    }

    fn convoy(tracked: u64, ready: &[&str]) -> Stranded {
        Stranded {
            id: "hq-cv-1".to_owned(),
            tracked,
            ready: ready.iter().map(|&id| id.to_owned()).collect(),
            created_at: Some(at(0).wall),
            base_branch: None,
        }
    }

    /// Beads of `al-` are of rig alpha, of `be-` of a parked one.
    fn rig_of(issue: &str) -> Result<RigName, Wait> {
        match issue.split('-').next() {
            Some("al") => Ok("alpha".parse().unwrap()),
            Some("be") => Err(Wait::long("rig is parked")),
            _ => Err(Wait::long("no rig has its prefix")),
        }
    }

    fn decide(memory: &Memory, convoy: &Stranded, now: Now) -> Step {
        memory.decide(convoy, rig_of, CHECK_EVERY, now)
    }

    #[test]
    fn what_is_done_about_a_convoy() {
        let sling = |issue: &str| Step::Sling(issue.to_owned(), "alpha".parse().unwrap());
        let leave = |why: &str| Step::Leave(Some(Wait::long(why)));
        let no_branch = Stranded { base_branch: Some("--x".to_owned()), ..convoy(1, &["al-1"]) };
        let undated = Stranded { created_at: None, ..convoy(0, &[]) };
        for (name, convoy, seconds, expected) in [
            ("the first of two", convoy(2, &["al-1", "al-2"]), 0, sling("al-1")),
            ("the first of a rig that works", convoy(2, &["be-1", "al-2"]), 0, sling("al-2")),
            ("only in a parked rig", convoy(2, &["be-1", "zz-1"]), 0, leave("be-1: rig is parked")),
            ("of no rig", convoy(2, &["zz-1"]), 0, leave("zz-1: no rig has its prefix")),
            ("no id", convoy(2, &["--force"]), 0, leave("--force: it is not a bead id")),
            ("no branch", no_branch, 0, leave("\"--x\" is not a branch")),
            ("being made", convoy(0, &[]), 299, Step::Leave(None)),
            ("empty", convoy(0, &[]), 300, Step::Check),
            ("empty, of unknown age", undated, 300, Step::Leave(None)),
            ("nothing ready", convoy(2, &[]), 0, Step::Check),
        ] {
            assert_eq!(decide(&Memory::default(), &convoy, at(seconds)), expected, "{name}");
        }
    }

    #[test]
    fn a_short_wait_is_a_problem_only_when_it_is_not_short() {
        let (short, long) = (Wait::short("it restarts"), Wait::long("rig is parked"));
        let mut memory = Memory::default();
        for (name, wait, seconds, expected) in [
            ("it begins", Some(&short), 0, Waits::News),
            ("it goes on", Some(&short), 299, Waits::Known),
            ("it is not short", Some(&short), 300, Waits::Problem),
            ("it is over", None, 330, Waits::Known),
            ("another begins", Some(&short), 360, Waits::News),
            ("and turns out to be another", Some(&long), 390, Waits::Problem),
        ] {
            assert_eq!(memory.waits("hq-cv-1", wait, at(seconds)), expected, "{name}");
        }
        memory.listed(&[]);
        assert_eq!(memory.waits("hq-cv-1", Some(&short), at(420)), Waits::News, "it was gone meanwhile");
    }

    #[test]
    fn an_unchanged_convoy_is_checked_only_by_time() {
        let mut memory = Memory::default();
        memory.was_checked(&convoy(2, &[]), at(0));
        for (name, convoy, seconds, expected) in [
            ("unchanged", convoy(2, &[]), 299, Step::Leave(None)),
            ("in time", convoy(2, &[]), 300, Step::Check),
            ("another issue", convoy(3, &[]), 1, Step::Check),
        ] {
            assert_eq!(decide(&memory, &convoy, at(seconds)), expected, "{name}");
        }
        memory.listed(&[]);
        assert_eq!(decide(&memory, &convoy(2, &[]), at(1)), Step::Check, "it was gone meanwhile");
    }

    #[test]
    fn an_issue_that_stays_ready_is_slung_later_and_later() {
        let (mut memory, one) = (Memory::default(), convoy(1, &["al-1"]));
        let mut slung = Vec::new();
        for minute in 0..60 {
            memory.listed(std::slice::from_ref(&one));
            if let Step::Sling(issue, _) = decide(&memory, &one, at(minute * 60)) {
                memory.was_slung(&issue, None, at(minute * 60));
                slung.push(minute);
            }
        }
        assert_eq!(slung, [0, 1, 3, 7, 15, 25, 35, 45, 55]);
        assert_eq!(memory.complaints().len(), 1, "{:?}", memory.complaints());
        let other = convoy(2, &["al-1", "al-2"]);
        assert_eq!(
            decide(&memory, &other, at(56 * 60)),
            Step::Sling("al-2".to_owned(), "alpha".parse().unwrap()),
            "it holds up no other"
        );
        memory.listed(&[convoy(1, &[])]);
        assert!(memory.complaints().is_empty());
    }

    #[test]
    fn scans_that_fail_are_made_less_often() {
        let every = Duration::from_secs(30);
        let pauses: Vec<u64> = (0..7).map(|failures| pause(every, failures).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(pause(Duration::from_hours(1), 9), Duration::from_hours(1));
    }
}
