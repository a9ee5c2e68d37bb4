//! The heartbeat: the safety net that asks every part of the town to look again.
//!
//! A heartbeat begins, the parts that run at that moment are asked, each answers when it has looked and begun what it
//! decided, and when all have answered or the deadline is past, it is complete. Never two at a time; the next is due one
//! interval after the last began. Pure bookkeeping: the [root](super::root) asks and times.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::clock::Now;

/// A part's name, as it is reported late: `deacon`, `boot`, `gastown/witness`.
pub type PartName = String;

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
    asked: bool,
    waiting_for: BTreeSet<PartName>,
}

/// A heartbeat that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// Its number, from 1 since this start.
    pub number: u64,
    /// Parts that did not answer in time.
    pub late: BTreeSet<PartName>,
}

impl Heartbeat {
    /// Heartbeats completed since the start.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// When the last one was completed.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The parts that were late in the last one.
    pub fn late(&self) -> &BTreeSet<PartName> {
        &self.late
    }

    /// Parts the running heartbeat still waits for; empty when none runs.
    pub fn waiting_for(&self) -> Vec<PartName> {
        self.running.iter().flat_map(|running| running.waiting_for.iter().cloned()).collect()
    }

    /// Begins one, unless one is running. Its number.
    pub fn begin(&mut self, now: Now) -> Option<u64> {
        if self.running.is_some() {
            return None;
        }
        self.began = Some(now);
        // The sweep is the first part: until it has answered, nobody else can be asked.
        let waiting_for = BTreeSet::from(["sessions".to_owned()]);
        self.running = Some(Running { asked: false, waiting_for });
        Some(self.count + 1)
    }

    /// The sweep of heartbeat `number` is there and these parts were asked.
    pub fn asked(
        &mut self,
        number: u64,
        parts: impl IntoIterator<Item = PartName>,
        now: Now,
    ) -> Option<Complete> {
        let running = self.current(number)?;
        running.asked = true;
        running.waiting_for = parts.into_iter().collect();
        self.complete_if_done(now)
    }

    /// A part has looked. `delegated` names the parts under it that answer for themselves.
    pub fn answered(
        &mut self,
        number: u64,
        part: &str,
        delegated: Vec<PartName>,
        now: Now,
    ) -> Option<Complete> {
        let running = self.current(number)?;
        running.waiting_for.remove(part);
        running.waiting_for.extend(delegated);
        self.complete_if_done(now)
    }

    /// The deadline of heartbeat `number` is past: whoever has not answered is late.
    pub fn deadline(&mut self, number: u64, now: Now) -> Option<Complete> {
        self.current(number)?;
        Some(self.complete(now))
    }

    /// How long until the next is due.
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
        self.late = self.running.take().map(|running| running.waiting_for).unwrap_or_default();
        self.count += 1;
        self.last = Some(now.wall);
        Complete { number: self.count, late: self.late.clone() }
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
        assert_eq!(heartbeat.asked(1, parts(&["deacon", "rig r"]), at(1)), None);
        assert_eq!(heartbeat.answered(1, "rig r", parts(&["r/witness"]), at(1)), None);
        assert_eq!(heartbeat.answered(1, "deacon", vec![], at(1)), None);
        assert_eq!(heartbeat.waiting_for(), ["r/witness"]);
        let complete = heartbeat.answered(1, "r/witness", vec![], at(2)).unwrap();
        assert_eq!(complete, Complete { number: 1, late: BTreeSet::new() });
        assert_eq!((heartbeat.count(), heartbeat.last()), (1, Some(at(2).wall)));
    }

    #[test]
    fn reports_who_is_late_and_ignores_late_answers() {
        let mut heartbeat = Heartbeat::default();
        let _ = heartbeat.begin(at(0));
        let _ = heartbeat.asked(1, parts(&["deacon", "boot"]), at(0));
        let _ = heartbeat.answered(1, "boot", vec![], at(0));
        let complete = heartbeat.deadline(1, at(60)).unwrap();
        assert_eq!(complete.late, BTreeSet::from(["deacon".to_owned()]));
        assert_eq!(heartbeat.answered(1, "deacon", vec![], at(61)), None);
        assert_eq!(heartbeat.deadline(1, at(61)), None, "a stale deadline does nothing");
        assert_eq!(heartbeat.begin(at(180)), Some(2));
        assert_eq!(heartbeat.answered(1, "sessions", vec![], at(180)), None);
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
        assert!(heartbeat.asked(1, vec![], at(0)).is_some());
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
