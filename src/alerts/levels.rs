//! Levels: conditions that last, which of them are alerts, and when one begins and ends. Pure.
//!
//! A condition is compared with the alerts that are open on disk, so one that outlives the supervisor is not reported again by
//! the next. What is not there any more is over only when this supervisor has seen it: right after a start nothing has been
//! found yet, and that says nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::Kind;

/// How long a condition must last before it is an alert,
const SETTLE: Duration = Duration::from_secs(5);
/// and a question, which may be answered automatically.
const QUESTION: Duration = Duration::from_secs(15);
/// How long it must be gone before it is over: one that comes and goes is one alert.
const GONE: Duration = Duration::from_secs(20);
/// How long a supervisor must have run before a condition that it never met is over.
const GRACE: Duration = Duration::from_mins(10);

/// A condition that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Names it, also for the next supervisor.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// One sentence about it.
    pub summary: String,
    /// The agents it is about.
    pub agents: Vec<String>,
}

/// A condition that began or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// It began.
    Begins(Level),
    /// The one with this key is over.
    Ends(String),
}

/// The alert that an open problem is, by its key; `None` when it is none.
pub fn of_problem(key: &str, text: &str) -> Option<Level> {
    let parts: Vec<&str> = key.split('/').collect();
    let level = |kind, key: String, agents| Some(Level { key, kind, summary: text.to_owned(), agents });
    match parts[..] {
        ["command", _] => level(Kind::MissingProgram, key.to_owned(), vec![]),
        ["sessions" | "dolt"] | ["ledger", "bd_migrate" | "bd_server" | "bd_hung"] => {
            level(Kind::BrokenTool, key.to_owned(), vec![])
        }
        // One disk, one alert, however many files are on it.
        ["events", "write"] | ["log" | "own_directory"] | ["write" | "file", ..] => {
            level(Kind::CannotWrite, "write".to_owned(), vec![])
        }
        ["rig", _, ref agent @ .., "question"] | [ref agent @ .., "question"] if !agent.is_empty() => {
            level(Kind::WaitingAtQuestion, key.to_owned(), vec![agent.join("/")])
        }
        ["rig", _, ref agent @ .., "start"] | [ref agent @ .., "start"] if !agent.is_empty() => {
            level(Kind::MissingProgram, key.to_owned(), vec![agent.join("/")])
        }
        _ => None,
    }
}

/// Since when each condition is there, and when it was last; in the memory of one supervisor.
#[derive(Debug, Clone, Default)]
pub struct Levels(BTreeMap<String, Seen>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Duration,
    last: Duration,
}

impl Levels {
    /// Compares the conditions that are there with the open alerts. `now` and `began`, when this supervisor began, are
    /// monotonic.
    pub fn step(
        &mut self,
        there: &[Level],
        open: &BTreeSet<String>,
        now: Duration,
        began: Duration,
    ) -> Vec<Edge> {
        let mut edges = Vec::new();
        let mut keys = BTreeSet::new();
        for level in there.iter().filter(|level| keys.insert(level.key.clone())) {
            let seen = self.0.entry(level.key.clone()).or_insert(Seen { first: now, last: now });
            seen.last = now;
            let settle = if level.kind == Kind::WaitingAtQuestion { QUESTION } else { SETTLE };
            if !open.contains(&level.key) && now.saturating_sub(seen.first) >= settle {
                edges.push(Edge::Begins(level.clone()));
            }
        }
        for key in open.difference(&keys) {
            let over = match self.0.get(key) {
                Some(seen) => now.saturating_sub(seen.last) >= GONE,
                None => now.saturating_sub(began) >= GRACE,
            };
            if over {
                edges.push(Edge::Ends(key.clone()));
            }
        }
        // One that never became an alert begins anew when it comes back; one that is over is forgotten.
        let ended: BTreeSet<&String> = edges
            .iter()
            .filter_map(|edge| if let Edge::Ends(key) = edge { Some(key) } else { None })
            .collect();
        self.0.retain(|key, _| keys.contains(key) || open.contains(key) && !ended.contains(key));
        edges
    }
}

#[cfg(test)]
#[path = "levels_tests.rs"]
mod tests;
