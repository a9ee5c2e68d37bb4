//! The heartbeat: the regular round that asks every part of the town to probe again.
//!
//! When a heartbeat starts, all running parts are asked. Each answers when it has probed and has started what it
//! decided. The heartbeat is complete when all have answered or the deadline has passed. A part that could not be
//! asked, because its actor is suspended, is late too: a heartbeat without a late part means that the whole town was
//! observed. There is never more than one; the next is due one interval after the start of the last. Pure
//! bookkeeping: the [root](crate::tree::root) sends the messages and sets the timers.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Now;

/// A part's name, as shown when it is late: `deacon`, `boot`, `gastown/witness`.
pub type PartName = String;

/// The full scan that a heartbeat begins with, as a part.
const SESSIONS: &str = "sessions";

/// The heartbeat's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heartbeat {
    count: u64,
    last: Option<Timestamp>,
    began: Option<Now>,
    running: Option<Running>,
    late: BTreeSet<PartName>,
}

#[derive(Debug, Clone, PartialEq)]
struct Running {
    /// Whether the parts were asked.
    asked: bool,
    waiting_for: BTreeSet<PartName>,
    /// The parts that could not be asked.
    missed: BTreeSet<PartName>,
}

/// The heartbeat, as reports show it.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeartbeatReport {
    /// Heartbeats since the start.
    pub count: u64,
    /// When the last one was complete.
    pub last: Option<Timestamp>,
    /// The parts that were late in it.
    pub late: Vec<String>,
}

/// A heartbeat that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// Its number, from 1 since this start.
    pub number: u64,
    /// Parts that did not answer in time, or could not be asked.
    pub late: BTreeSet<PartName>,
    /// How long it took.
    pub took: Duration,
}

impl Heartbeat {
    /// The number of heartbeats completed since the start.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// When the last one was completed.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The figures for status reports.
    pub fn report(&self) -> HeartbeatReport {
        HeartbeatReport { count: self.count, last: self.last, late: self.late.iter().cloned().collect() }
    }

    /// The parts that the running heartbeat still waits for; empty when none runs.
    pub fn waiting_for(&self) -> Vec<PartName> {
        self.running.iter().flat_map(|running| running.waiting_for.iter().cloned()).collect()
    }

    /// Begins a heartbeat and returns its number; `None` when one is running.
    pub fn begin(&mut self, now: Now) -> Option<u64> {
        if self.running.is_some() {
            return None;
        }
        self.began = Some(now);
        // The session watch is asked first, for its scan.
        let waiting_for = BTreeSet::from([SESSIONS.to_owned()]);
        self.running = Some(Running { asked: false, waiting_for, missed: BTreeSet::new() });
        Some(self.count + 1)
    }

    /// Whether heartbeat `number` runs and its parts were not asked yet.
    pub fn is_to_ask(&self, number: u64) -> bool {
        number == self.count + 1 && self.running.as_ref().is_some_and(|running| !running.asked)
    }

    /// Notes that the session watch cannot be asked in heartbeat `number`.
    pub fn scan_missed(&mut self, number: u64) {
        if let Some(running) = self.current(number)
            && running.waiting_for.remove(SESSIONS)
        {
            running.missed.insert(SESSIONS.to_owned());
        }
    }

    /// Notes that the scan of heartbeat `number` was made.
    pub fn scanned(&mut self, number: u64, now: Now) -> Option<Complete> {
        self.answered(number, SESSIONS, Vec::new(), Vec::new(), now)
    }

    /// Notes which parts were asked in heartbeat `number`, and which could not be.
    pub fn asked(
        &mut self,
        number: u64,
        parts: impl IntoIterator<Item = PartName>,
        missed: impl IntoIterator<Item = PartName>,
        now: Now,
    ) -> Option<Complete> {
        let running = self.current(number)?;
        running.asked = true;
        running.waiting_for.extend(parts);
        running.missed.extend(missed);
        self.complete_if_done(now)
    }

    /// Notes the answer of a part. `delegated` names the parts under it that answer for themselves, `missed` those
    /// that could not be asked.
    pub fn answered(
        &mut self,
        number: u64,
        part: &str,
        delegated: Vec<PartName>,
        missed: Vec<PartName>,
        now: Now,
    ) -> Option<Complete> {
        let running = self.current(number)?;
        running.waiting_for.remove(part);
        running.waiting_for.extend(delegated);
        running.missed.extend(missed);
        self.complete_if_done(now)
    }

    /// Ends heartbeat `number` at its deadline: parts that have not answered are late.
    pub fn deadline(&mut self, number: u64, now: Now) -> Option<Complete> {
        self.current(number)?;
        Some(self.complete(now))
    }

    /// The time until the next heartbeat is due.
    pub fn next_in(&self, interval: Duration, now: Now) -> Duration {
        self.began.map_or(Duration::ZERO, |began| interval.saturating_sub(now.since(began)))
    }

    fn current(&mut self, number: u64) -> Option<&mut Running> {
        if number != self.count + 1 {
            return None; // an answer to a heartbeat that is over
        }
        self.running.as_mut()
    }

    fn complete_if_done(&mut self, now: Now) -> Option<Complete> {
        let running = self.running.as_ref()?;
        (running.asked && running.waiting_for.is_empty()).then(|| self.complete(now))
    }

    fn complete(&mut self, now: Now) -> Complete {
        self.late = match self.running.take() {
            Some(Running { waiting_for, missed, .. }) => waiting_for.into_iter().chain(missed).collect(),
            None => BTreeSet::new(),
        };
        self.count += 1;
        self.last = Some(now.wall);
        let took = self.began.map_or(Duration::ZERO, |began| now.since(began));
        Complete { number: self.count, late: self.late.clone(), took }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Duration::from_secs(seconds),
            wall: Timestamp::from_second(1_800_000_000 + seconds as i64).unwrap(),
        }
    }

    fn parts(names: &[&str]) -> Vec<PartName> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn completes_when_all_have_answered() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.begin(at(0)), Some(1));
        assert_eq!(heartbeat.begin(at(1)), None, "never two at a time");
        assert!(heartbeat.is_to_ask(1) && !heartbeat.is_to_ask(2));
        assert_eq!(heartbeat.scanned(1, at(1)), None);
        assert_eq!(heartbeat.asked(1, parts(&["deacon", "rig r"]), vec![], at(1)), None);
        assert!(!heartbeat.is_to_ask(1));
        assert_eq!(heartbeat.answered(1, "rig r", parts(&["r/witness"]), vec![], at(1)), None);
        assert_eq!(heartbeat.answered(1, "deacon", vec![], vec![], at(1)), None);
        assert_eq!(heartbeat.waiting_for(), ["r/witness"]);
        let complete = heartbeat.answered(1, "r/witness", vec![], vec![], at(2)).unwrap();
        assert_eq!(complete, Complete { number: 1, late: BTreeSet::new(), took: Duration::from_secs(2) });
        assert_eq!((heartbeat.count(), heartbeat.last()), (1, Some(at(2).wall)));
    }

    #[test]
    fn reports_who_is_late_and_ignores_late_answers() {
        let mut heartbeat = Heartbeat::default();
        let _ = heartbeat.begin(at(0));
        let _ = heartbeat.scanned(1, at(0));
        let _ = heartbeat.asked(1, parts(&["deacon", "boot"]), vec![], at(0));
        let _ = heartbeat.answered(1, "boot", vec![], vec![], at(0));
        let complete = heartbeat.deadline(1, at(60)).unwrap();
        assert_eq!(complete.late, BTreeSet::from(["deacon".to_owned()]));
        assert_eq!(heartbeat.answered(1, "deacon", vec![], vec![], at(61)), None);
        assert_eq!(heartbeat.deadline(1, at(61)), None, "a stale deadline does nothing");
        assert_eq!(heartbeat.begin(at(180)), Some(2));
        assert_eq!(heartbeat.scanned(1, at(180)), None);
        assert_eq!(heartbeat.waiting_for(), ["sessions"]);
    }

    #[test]
    fn a_sweep_that_never_comes_is_late() {
        let mut heartbeat = Heartbeat::default();
        let _ = heartbeat.begin(at(0));
        let complete = heartbeat.deadline(1, at(60)).unwrap();
        assert_eq!(complete.late, BTreeSet::from(["sessions".to_owned()]));
    }

    #[test]
    fn a_town_without_parts_completes_at_once() {
        let mut heartbeat = Heartbeat::default();
        let _ = heartbeat.begin(at(0));
        assert_eq!(heartbeat.scanned(1, at(0)), None);
        assert!(heartbeat.asked(1, vec![], vec![], at(0)).is_some());
    }

    #[test]
    fn a_part_that_could_not_be_asked_is_late() {
        let late = |names: &[&str]| BTreeSet::from_iter(parts(names));
        // The session watch, a part, and a part under a part.
        let mut heartbeat = Heartbeat::default();
        let _ = heartbeat.begin(at(0));
        heartbeat.scan_missed(1);
        assert!(heartbeat.is_to_ask(1), "the others are asked all the same");
        assert_eq!(heartbeat.asked(1, parts(&["rig r"]), parts(&["deacon"]), at(1)), None);
        let complete = heartbeat.answered(1, "rig r", vec![], parts(&["r/witness"]), at(2)).unwrap();
        assert_eq!(complete.late, late(&["sessions", "deacon", "r/witness"]));
        // A scan that comes after the others were asked is in time.
        let _ = heartbeat.begin(at(180));
        assert_eq!(heartbeat.asked(2, parts(&["boot"]), vec![], at(200)), None);
        assert_eq!(heartbeat.answered(2, "boot", vec![], vec![], at(201)), None);
        assert_eq!(heartbeat.waiting_for(), ["sessions"]);
        assert_eq!(heartbeat.scanned(2, at(210)).unwrap().late, late(&[]));
    }

    #[test]
    fn the_next_is_due_an_interval_after_the_last_began() {
        let mut heartbeat = Heartbeat::default();
        let interval = Duration::from_secs(180);
        assert_eq!(heartbeat.next_in(interval, at(0)), Duration::ZERO);
        let _ = heartbeat.begin(at(0));
        let _ = heartbeat.deadline(1, at(60));
        assert_eq!(heartbeat.next_in(interval, at(60)), Duration::from_secs(120));
        assert_eq!(heartbeat.next_in(interval, at(500)), Duration::ZERO, "at once if that is past");
    }
}
