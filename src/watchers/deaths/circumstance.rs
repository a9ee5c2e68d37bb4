//! The circumstance of deaths: whether the kernel killed processes for want of memory, and whether the machine slept.
//!
//! Both show in the comparison of two readings: of the kernel's counters (`oom_kill` in `/proc/vmstat` counts the
//! whole machine; in `memory.events` of cgroup v2 or `memory.oom_control` of v1 our own control group and those
//! below), and of the two clocks. What cannot be read is unknown; on other systems that is all of it. Nothing here
//! decides what follows.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::SignedDuration;

use crate::{clock::Now, deaths::rules::Circumstance, deps::Deps, ports::memory};

/// When the wall clock moves ahead of the monotonic one by more than this, the machine slept; corrections by the
/// network are smaller.
const SLEPT: SignedDuration = SignedDuration::from_secs(10);

/// The number of readings that are stored: a quarter of an hour.
const KEPT: usize = 16;

/// The values at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When they were read.
    pub at: Now,
    /// The counters of processes killed for want of memory, of the machine and of our control group; `None` when
    /// unknown.
    pub oom_kills: [Option<u64>; 2],
}

/// The last readings, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Readings(VecDeque<Reading>);

impl Readings {
    /// Stores a reading.
    pub fn keep(&mut self, reading: Reading) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(reading);
    }

    /// What happened between the last reading before `begin` (on the monotonic clock) and the reading `now`. When
    /// there is none before it, the oldest reading counts.
    pub fn since(&self, begin: Duration, now: &Reading) -> Circumstance {
        let before = self.0.iter().rev().find(|reading| reading.at.mono <= begin);
        let Some(then) = before.or(self.0.front()) else { return Circumstance::default() };
        let rises = then.oom_kills.iter().zip(now.oom_kills);
        let rises = rises.filter_map(|(then, now)| Some(now?.saturating_sub((*then)?)));
        let passed = SignedDuration::try_from(now.at.since(then.at)).unwrap_or(SignedDuration::MAX);
        let jump = now.at.wall.duration_since(then.at.wall).saturating_sub(passed);
        Circumstance {
            // Both counters include the same kill.
            oom_kills: rises.max(),
            slept: (jump > SLEPT).then(|| Duration::try_from(jump).unwrap_or_default()),
        }
    }
}

/// Reads everything now.
pub async fn read(deps: &Deps) -> Reading {
    let at = deps.now();
    let machine = counter(deps, Path::new("/proc/vmstat")).await;
    let group = match deps.files.read(Path::new("/proc/self/cgroup")).await {
        Ok(groups) => match group_counter(&String::from_utf8_lossy(&groups)) {
            Some(path) => counter(deps, &path).await,
            None => None,
        },
        Err(_) => None,
    };
    Reading { at, oom_kills: [machine, group] }
}

async fn counter(deps: &Deps, path: &Path) -> Option<u64> {
    let content = deps.files.read(path).await.ok()?;
    memory::counter(&String::from_utf8_lossy(&content))
}

/// The path of our control group's counter, from `/proc/self/cgroup`: lines of `<number>:<controllers>:<path>`. The
/// memory controller is in version 1 if a line names it, else in version 2, whose line is `0::<path>`.
fn group_counter(groups: &str) -> Option<PathBuf> {
    let named = |wanted: fn(&str, &str) -> bool| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            // A group outside our namespace is shown with `..`; we cannot read it.
            let usable = path.starts_with('/') && path.split('/').all(|part| part != "..");
            (wanted(number, controllers) && usable).then(|| path.trim_start_matches('/'))
        })
    };
    if let Some(path) = named(|_, controllers| controllers.split(',').any(|it| it == "memory")) {
        return Some(Path::new("/sys/fs/cgroup/memory").join(path).join("memory.oom_control"));
    }
    let path = named(|number, controllers| number == "0" && controllers.is_empty())?;
    Some(Path::new("/sys/fs/cgroup").join(path).join("memory.events"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        for (name, text, expected) in [
            ("v2", "0::/user.slice/a b:c\n", Some("/sys/fs/cgroup/user.slice/a b:c/memory.events")),
            ("v2 in a namespace", "0::/\n", Some("/sys/fs/cgroup/memory.events")),
            (
                "v1",
                "8:pids:/\n4:cpu,memory:/x/y\n0::/\n",
                Some("/sys/fs/cgroup/memory/x/y/memory.oom_control"),
            ),
            ("both, memory in v2", "8:pids:/p\n0::/q\n", Some("/sys/fs/cgroup/q/memory.events")),
            ("outside", "0::/../../z\n", None),
            ("neither", "8:pids:/p\n", None),
            ("garbage", "memory\n::\n0:\n", None),
            ("empty", "", None),
        ] {
            assert_eq!(group_counter(text), expected.map(PathBuf::from), "{name}");
        }
    }

    fn reading(mono: u64, wall: i64, oom_kills: [Option<u64>; 2]) -> Reading {
        let base: jiff::Timestamp = "2026-02-02T08:00:00Z".parse().unwrap();
        let at = Now { mono: Duration::from_secs(mono), wall: base + SignedDuration::from_secs(wall) };
        Reading { at, oom_kills }
    }

    #[test]
    fn what_happened_since() {
        let slept = |secs| Some(Duration::from_secs(secs));
        let was = [
            reading(0, 0, [Some(1), Some(0)]),
            reading(60, 60, [Some(2), Some(0)]),
            reading(120, 620, [Some(5), None]),
        ];
        for (name, begin, now, expected) in [
            ("nothing", 120, reading(130, 630, [Some(5), Some(9)]), (Some(0), None)),
            ("killed", 125, reading(130, 630, [Some(7), None]), (Some(2), None)),
            ("between two readings", 100, reading(130, 630, [Some(5), Some(0)]), (Some(3), slept(500))),
            ("in the group only", 70, reading(130, 130, [Some(2), Some(4)]), (Some(4), None)),
            ("older than all readings", 0, reading(130, 130, [Some(2), Some(0)]), (Some(1), None)),
            ("unknown now", 120, reading(130, 630, [None, Some(3)]), (None, None)),
            ("the counter began anew", 120, reading(130, 630, [Some(0), None]), (Some(0), None)),
            ("the clock is set right", 120, reading(130, 640, [Some(5), None]), (Some(0), None)),
            ("the clock is set back", 120, reading(130, 0, [Some(5), None]), (Some(0), None)),
            ("slept", 120, reading(130, 641, [Some(5), None]), (Some(0), slept(11))),
        ] {
            let mut readings = Readings::default();
            was.iter().cloned().for_each(|it| readings.keep(it));
            let (oom_kills, slept) = expected;
            assert_eq!(
                readings.since(Duration::from_secs(begin), &now),
                Circumstance { oom_kills, slept },
                "{name}"
            );
        }
        let never = Readings::default().since(Duration::ZERO, &was[2]);
        assert_eq!(never, Circumstance::default(), "nothing to compare with");
    }

    #[test]
    fn few_are_kept() {
        let mut readings = Readings::default();
        (0..1000).for_each(|n| readings.keep(reading(n, n as i64, [Some(n), None])));
        assert_eq!(readings.0.len(), KEPT);
        let since = readings.since(Duration::from_secs(3), &reading(1000, 1000, [Some(1000), None]));
        assert_eq!(since.oom_kills, Some(KEPT as u64));
    }
}
