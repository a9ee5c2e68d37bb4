//! OOM kills: whether the kernel ended an agent for want of memory.
//!
//! The kernel counts in each cgroup the processes that it ended there (`memory.events`, cgroup v2), and says nothing about a single
//! one. So the counters of an agent's cgroups are read while it lives, beside its screen, and again when it has ended by SIGKILL.
//! Where the cgroup is the agent's own, a counter that rose is the cause; where others are in it, most probably. Without a reading
//! while it lived nothing is known, and the end is a plain one. Pure; [`reading`] reads the counters.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use crate::bytes;

pub mod reading;

/// The exit status of a process that SIGKILL ended, as a shell gives it.
pub const SIGKILL: i32 = 137;

/// An end for want of memory. Its [`Display`](fmt::Display) is what events and mails say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomKill {
    /// How many processes the kernel ended in the cgroup since the agent was last seen alive.
    pub kills: u64,
    /// The cgroup's limit, where it has one.
    pub limit: Option<u64>,
    /// Whether nothing but the agent was in the cgroup.
    pub is_its_own: bool,
}

impl fmt::Display for OomKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit =
            self.limit.map(|limit| format!(", whose limit is {}", bytes::format(limit))).unwrap_or_default();
        let processes = if self.kills == 1 { "1 process" } else { &format!("{} processes", self.kills) };
        match self.is_its_own {
            true => write!(
                f,
                "killed by the kernel for want of memory (SIGKILL; {processes} in its own cgroup{limit})"
            ),
            false => write!(
                f,
                "killed (SIGKILL) while the kernel ended {processes} for want of memory in its cgroup{limit}"
            ),
        }
    }
}

/// The kernel's counters of an agent's cgroups while it lived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// The server's id for the session it lives in.
    pub session: String,
    /// Its cgroup and those around it, the innermost first, as far as they count.
    pub groups: Vec<Counter>,
    /// Whether nothing but the agent is in the innermost.
    pub is_alone: bool,
    /// What was found when it had ended: its own cgroup may be gone a moment later.
    pub found: Option<OomKill>,
}

/// One cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Its directory.
    pub group: PathBuf,
    /// How many processes the kernel has ended in it for want of memory.
    pub kills: u64,
    /// Its limit, where it has one.
    pub limit: Option<u64>,
}

/// Whether none of these other processes is in the innermost cgroup of this one.
fn is_alone(pid: u32, known: &BTreeMap<u32, Vec<PathBuf>>) -> bool {
    let group = known.get(&pid).and_then(|groups| groups.first());
    let mut others = known.iter().filter(|(other, _)| **other != pid);
    group.is_some() && !others.any(|(_, groups)| groups.first() == group)
}

/// Judges by the innermost cgroup whose counter can be read now: the agent's own may have ended with it. `now` are the counters
/// of `before.groups`.
fn judge(before: &Counters, now: &[Option<u64>]) -> Option<OomKill> {
    let readable = before.groups.iter().zip(now).enumerate();
    let (at, counter, now) =
        readable.filter_map(|(at, (counter, now))| Some((at, counter, (*now)?))).next()?;
    let kills = now.checked_sub(counter.kills).filter(|kills| *kills > 0)?;
    Some(OomKill { kills, limit: counter.limit, is_its_own: before.is_alone && at == 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_the_kernel_did_it() {
        let counter = |group: &str, kills, limit| Counter { group: group.into(), kills, limit };
        let before = |is_alone| Counters {
            session: "$1".into(),
            groups: vec![counter("/a/b", 1, Some(2 << 30)), counter("/a", 4, None)],
            is_alone,
            found: None,
        };
        let kill = |kills, limit, is_its_own| Some(OomKill { kills, limit, is_its_own });
        let limit = Some(2 << 30);
        for (name, is_alone, now, expected) in [
            ("nothing was killed", true, [Some(1), Some(4)], None),
            ("in its own cgroup", true, [Some(2), Some(5)], kill(1, limit, true)),
            ("among others", false, [Some(3), Some(6)], kill(2, limit, false)),
            ("elsewhere in the cgroup around it", true, [Some(1), Some(9)], None),
            ("its own cgroup is gone", true, [None, Some(5)], kill(1, None, false)),
            ("its own cgroup is gone, and nothing was killed", true, [None, Some(4)], None),
            ("the counter began anew", true, [Some(0), Some(5)], None),
            ("unreadable", true, [None, None], None),
        ] {
            assert_eq!(judge(&before(is_alone), &now), expected, "{name}");
        }
        assert_eq!(judge(&Counters { groups: Vec::new(), ..before(true) }, &[]), None, "without cgroups");
    }

    #[test]
    fn who_is_alone_in_its_cgroup() {
        let known = |groups: &[(u32, &str)]| {
            groups.iter().map(|(pid, group)| (*pid, vec![PathBuf::from(group), "/a".into()])).collect()
        };
        for (name, known, expected) in [
            ("alone", known(&[(1, "/a/server"), (7, "/a/b")]), true),
            ("with the server", known(&[(1, "/a/server"), (7, "/a/server")]), false),
            ("with another agent", known(&[(1, "/a/server"), (7, "/a/b"), (8, "/a/b")]), false),
            ("its cgroup was not read", known(&[(1, "/a/server")]), false),
        ] {
            assert_eq!(is_alone(7, &known), expected, "{name}");
        }
        let unread = BTreeMap::from([(1, Vec::new()), (7, Vec::new())]);
        assert!(!is_alone(7, &unread), "without cgroups");
    }

    #[test]
    fn texts() {
        for (kill, text) in [
            (
                OomKill { kills: 1, limit: Some(2 << 30), is_its_own: true },
                "killed by the kernel for want of memory (SIGKILL; 1 process in its own cgroup, whose limit is 2 GiB)",
            ),
            (
                OomKill { kills: 3, limit: None, is_its_own: false },
                "killed (SIGKILL) while the kernel ended 3 processes for want of memory in its cgroup",
            ),
        ] {
            assert_eq!(kill.to_string(), text);
        }
    }
}
