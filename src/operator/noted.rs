//! The commands of Gas Town that were detected, and how long they are remembered. Pure.

use std::{collections::BTreeMap, time::Duration};

use super::rules::Operation;

/// A command may end some milliseconds after it killed a session, so it is remembered this long.
pub const REMEMBERED: Duration = Duration::from_secs(10);

/// Starts that wait need to know of commands for longer: no start waits longer for a remote.
const KNOWN: Duration = Duration::from_secs(600);

/// Maximum number of remembered commands; real towns stay far below.
const MOST: usize = 256;

/// A process and its start time, so that a reused pid is another one.
type Key = (u32, u64);

/// The commands that were seen. Times are monotonic.
#[derive(Debug, Default)]
pub struct Noted {
    entries: BTreeMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    operation: Operation,
    /// When it was first seen.
    first: Duration,
    /// When it was last known to be running.
    seen: Duration,
    /// Whether it is known not to run any more.
    over: bool,
}

impl Noted {
    /// Notes the result of a scan that began at `began`. After a scan of all processes (`all`), commands that it did
    /// not show have ended, unless a scan that began later showed them. Returns the new ones.
    pub fn note(&mut self, found: &[Operation], all: bool, began: Duration) -> Vec<Operation> {
        let whole: Vec<&Operation> = found.iter().filter(|it| !self.is_part(it, found)).collect();
        if all {
            let missing = |key: &Key| !whole.iter().any(|it| key_of(it) == *key);
            for (key, entry) in &mut self.entries {
                entry.over |= entry.seen < began && missing(key);
            }
        }
        let mut new = Vec::new();
        for operation in whole {
            match self.entries.get_mut(&key_of(operation)) {
                // Its end was reported after this scan began.
                Some(entry) if entry.over && began <= entry.seen => {}
                Some(entry) => {
                    // Its ancestors may have ended since; the first ones seen show whose child it was.
                    let ancestors = std::mem::take(&mut entry.operation.ancestors);
                    entry.operation = Operation { ancestors, ..operation.clone() };
                    (entry.seen, entry.over) = (entry.seen.max(began), false);
                }
                None => {
                    let entry =
                        Entry { operation: operation.clone(), first: began, seen: began, over: false };
                    self.entries.insert(key_of(operation), entry);
                    new.push(operation.clone());
                }
            }
        }
        self.forget(began);
        new
    }

    /// Notes that a process that ran until `now` has ended.
    pub fn ended(&mut self, pid: u32, born: u64, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&(pid, born)).filter(|entry| !entry.over) {
            (entry.seen, entry.over) = (entry.seen.max(now), true);
        }
    }

    /// The commands that run, as far as is known.
    pub fn running(&self) -> Vec<Operation> {
        self.entries.values().filter(|entry| !entry.over).map(|entry| entry.operation.clone()).collect()
    }

    /// The commands that run, and those that ended within [`REMEMBERED`].
    pub fn recent(&self, now: Duration) -> Vec<Operation> {
        let recent = self.entries.values().filter(|entry| entry.is_recent(now));
        recent.map(|entry| entry.operation.clone()).collect()
    }

    /// The commands first seen at this time or later.
    pub fn since(&self, time: Duration) -> Vec<Operation> {
        self.entries
            .values()
            .filter(|entry| entry.first >= time)
            .map(|entry| entry.operation.clone())
            .collect()
    }

    fn is_part(&self, operation: &Operation, found: &[Operation]) -> bool {
        let known = self.entries.values().filter(|entry| !entry.over).map(|entry| &entry.operation);
        found.iter().chain(known).any(|other| operation.is_part_of(other))
    }

    fn forget(&mut self, now: Duration) {
        self.entries.retain(|_, entry| !entry.over || now.saturating_sub(entry.seen) <= KNOWN);
        while self.entries.len() > MOST {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| (!entry.over, entry.seen));
            let Some(key) = oldest.map(|(key, _)| *key) else { break };
            self.entries.remove(&key);
        }
    }
}

impl Entry {
    fn is_recent(&self, now: Duration) -> bool {
        !self.over || now.saturating_sub(self.seen) <= REMEMBERED
    }
}

fn key_of(operation: &Operation) -> Key {
    (operation.pid, operation.born)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::rules::Effect;

    fn operation(pid: u32, born: u64, ancestors: &[u32]) -> Operation {
        Operation {
            pid,
            born,
            ancestors: ancestors.to_vec(),
            effect: Effect::Stops,
            line: "gt down".to_owned(),
            arguments: vec!["down".to_owned()],
        }
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// What happens, at a millisecond.
    enum Step {
        /// A full scan that began then found these.
        FullScan(u64, &'static [u32]),
        /// A quick scan, of young processes only.
        QuickScan(u64, &'static [u32]),
        /// This one was reported to have exited.
        Ended(u64, u32),
    }
    use Step::{Ended, FullScan, QuickScan};

    #[test]
    fn history_grid() {
        #[rustfmt::skip]
        let cases: [(&str, &[Step], u64, &[u32], &[u32]); 15] = [
            // what                                    happened                                           then  running  recent
            ("nothing was ever seen",                  &[],                                               0,    &[],     &[]),
            ("it runs",                                &[FullScan(0, &[5])],                                  9,    &[5],    &[5]),
            ("it runs for long",                       &[FullScan(0, &[5]), FullScan(90_000, &[5])],              95_000, &[5],  &[5]),
            ("nobody has looked for long",             &[FullScan(0, &[5])],                                  90_000, &[5],  &[5]),
            ("gone a moment ago",                      &[FullScan(0, &[5]), FullScan(100, &[])],                  200,  &[],     &[5]),
            ("gone, at the last moment",               &[FullScan(0, &[5]), FullScan(100, &[])],                  10_000, &[],   &[5]),
            ("gone for long",                          &[FullScan(0, &[5]), FullScan(100, &[])],                  10_001, &[],   &[]),
            ("the young do not show it",               &[FullScan(0, &[5]), QuickScan(100, &[6])],               200,  &[5, 6], &[5, 6]),
            ("told that it ended",                     &[FullScan(0, &[5]), Ended(5_000, 5)],                 15_000, &[],   &[5]),
            ("told that it ended, long ago",           &[FullScan(0, &[5]), Ended(5_000, 5)],                 15_001, &[],   &[]),
            ("told twice",                             &[FullScan(0, &[5]), Ended(100, 5), Ended(9_000, 5)],  10_200, &[],   &[]),
            ("told of a stranger",                     &[Ended(100, 7)],                                  200,  &[],     &[]),
            ("an older look comes in late",            &[QuickScan(50, &[5]), FullScan(40, &[])],                100,  &[5],    &[5]),
            ("an older look comes after its end",      &[FullScan(0, &[5]), Ended(50, 5), FullScan(40, &[5])],    100,  &[],     &[5]),
            ("taken for ended, and seen again",        &[FullScan(0, &[5]), FullScan(50, &[]), FullScan(60, &[5])],   100,  &[5],    &[5]),
        ];
        for (name, steps, then, running, recent) in cases {
            let mut noted = Noted::default();
            for step in steps {
                let found =
                    |pids: &[u32]| pids.iter().map(|pid| operation(*pid, 1, &[1])).collect::<Vec<_>>();
                match step {
                    FullScan(at, pids) => drop(noted.note(&found(pids), true, ms(*at))),
                    QuickScan(at, pids) => drop(noted.note(&found(pids), false, ms(*at))),
                    Ended(at, pid) => noted.ended(*pid, 1, ms(*at)),
                }
            }
            let pids = |operations: Vec<Operation>| operations.iter().map(|it| it.pid).collect::<Vec<_>>();
            assert_eq!(pids(noted.running()), running, "{name}: running");
            assert_eq!(pids(noted.recent(ms(then))), recent, "{name}: recent");
        }
    }

    #[test]
    fn its_first_ancestors_are_kept() {
        let mut noted = Noted::default();
        assert_eq!(noted.note(&[operation(5, 1, &[4, 3, 3])], true, ms(0)).len(), 1);
        assert!(noted.note(&[operation(5, 1, &[1, 3])], true, ms(100)).is_empty(), "known already");
        assert_eq!(noted.running()[0].ancestors, [4, 3, 3]);
    }

    #[test]
    fn a_reused_id_is_another_one() {
        let mut noted = Noted::default();
        noted.note(&[operation(5, 1, &[1])], true, ms(0));
        assert_eq!(noted.note(&[operation(5, 2, &[1])], true, ms(100)).len(), 1);
        assert_eq!((noted.running().len(), noted.recent(ms(100)).len()), (1, 2));
    }

    #[test]
    fn the_moment_between_fork_and_exec_is_no_second_command() {
        let mut noted = Noted::default();
        let (parent, child) = (operation(5, 1, &[1]), operation(6, 2, &[5, 1]));
        noted.note(&[parent.clone(), child.clone()], true, ms(0));
        assert_eq!(noted.running(), [parent]);
        assert!(noted.note(&[child], false, ms(10)).is_empty(), "its parent is known");
        let other = Operation { arguments: vec!["stop".to_owned()], ..operation(7, 3, &[5, 1]) };
        assert_eq!(noted.note(&[other], false, ms(20)).len(), 1, "a command of its own");
    }

    #[test]
    fn there_is_a_bound_and_those_that_run_are_kept() {
        let mut noted = Noted::default();
        noted.note(&[operation(5000, 1, &[1])], false, ms(0));
        for pid in 2_u32..2000 {
            noted.note(&[operation(pid, 1, &[1])], false, ms(pid.into()));
            noted.ended(pid, 1, ms(pid.into()));
        }
        assert_eq!(noted.recent(ms(2000)).len(), MOST);
        assert_eq!(noted.running()[0].pid, 5000);
    }
}
