//! The death window: which deaths become an alert, which become its follow-up, and what may have caused them. Pure.
//!
//! Gas Town's own daemon (0.2.6, `internal/daemon/daemon.go`) names the sessions that died within 30 s when the third
//! death comes, and starts over with the fourth: of five sessions that die together it names three. Here the alert
//! waits `deaths.settle` from the third death on, so that it names those who died together; one more window follows it, and the deaths in it are reported together. Deaths count by the time they were
//! *noticed*; they are confirmed seconds later, and in a different order. Nothing here may act or read a clock.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    clock::Now,
    go_duration,
    town::{identity::Identity, settings::Deaths as Policy},
};

/// How late the review of a mass death may be.
const OVERDUE: Duration = Duration::from_secs(60);

/// How much longer than one more window to wait for deaths that were noticed within it: the confirmation of a polecat
/// takes 5 s and a probe. Never more than the window itself.
const STRAGGLERS: Duration = Duration::from_secs(6);

/// A death is confirmed at most this long after it was noticed: 3 minutes while one of Gas Town's commands runs, 1
/// minute while a worktree may be in removal.
const LATEST: Duration = Duration::from_secs(5 * 60);

/// One confirmed death that neither the supervisor nor a command caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedDeath {
    /// The agent that died.
    pub agent: Identity,
    /// Its session's exact name.
    pub session: String,
    /// When it was noticed, which is before it was confirmed.
    pub noticed: Now,
    /// Its exit status as a shell shows it, when known.
    pub exit: Option<i32>,
    /// True when it ended with its tmux server.
    pub with_server: bool,
    /// True when the kernel killed it for want of memory, or most probably did.
    pub for_memory: bool,
}

/// What to report. The deaths are in the order in which they were noticed, each session once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Nothing.
    Leave,
    /// A mass death, with the deaths so far.
    Alert {
        /// The deaths.
        deaths: Vec<ConfirmedDeath>,
        /// Call again after this, for the follow-up.
        follow_up_in: Duration,
    },
    /// The other deaths of the mass death that was reported last.
    FollowUp {
        /// The deaths, none of which was named before.
        deaths: Vec<ConfirmedDeath>,
    },
}

/// The deaths that may still become part of an alert or a follow-up.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Deaths that are no part of a mass death so far, in the order in which they were noticed.
    noted: Vec<ConfirmedDeath>,
    /// When the alert about a mass death that was found is due (monotonic).
    settles: Option<Duration>,
    open: Option<MassDeath>,
}

/// A reported mass death, while more deaths may belong to it.
#[derive(Debug, Clone)]
struct MassDeath {
    /// The deaths that were named in the alert.
    alert: Vec<ConfirmedDeath>,
    /// Deaths noticed before this time belong to it (monotonic).
    until: Duration,
    /// When the follow-up is reported (monotonic).
    closes: Duration,
    /// Deaths of other sessions, for the follow-up.
    more: Vec<ConfirmedDeath>,
}

impl Window {
    /// Adds a confirmed death, and returns what to report. After anything but [`Decision::Leave`], call
    /// [`review`](Self::review) at once.
    pub fn died(&mut self, death: ConfirmedDeath, now: Now, policy: &Policy) -> Decision {
        match &mut self.open {
            Some(open) if open.covers(&death, policy) => open.gather(death),
            _ => insert(&mut self.noted, death),
        }
        self.review(now, policy)
    }

    /// What to report now. After anything but [`Decision::Leave`], call again at once.
    pub fn review(&mut self, now: Now, policy: &Policy) -> Decision {
        if let Some(closed) = self.open.take_if(|open| open.closes <= now.mono)
            && !closed.more.is_empty()
        {
            return Decision::FollowUp { deaths: once(closed.more.iter()) };
        }
        if self.open.is_some() {
            return Decision::Leave;
        }
        let kept = policy.window + LATEST;
        self.noted.retain(|death| now.since(death.noticed) <= kept);
        let alert = once(together(&self.noted, policy).into_iter());
        let Some(first) = alert.first() else {
            self.settles = None;
            return Decision::Leave;
        };
        // Those who die together are found one after the other.
        if now.mono < *self.settles.get_or_insert(now.mono + policy.settle) {
            return Decision::Leave;
        }
        self.settles = None;
        let (first, follow_up_in) = (first.noticed.mono, policy.window + STRAGGLERS.min(policy.window));
        let mut open = MassDeath {
            alert: alert.clone(),
            until: now.mono + policy.window,
            closes: now.mono + follow_up_in,
            more: Vec::new(),
        };
        // Noticed since, but confirmed before the others: they belong to it too.
        for death in std::mem::take(&mut self.noted) {
            if death.noticed.mono >= first {
                open.gather(death);
            }
        }
        self.open = Some(open);
        Decision::Alert { deaths: alert, follow_up_in }
    }

    /// Whether restarts are paced: from the death that makes a mass death until its follow-up is due.
    pub fn paced(&self, now: Now) -> bool {
        // What is overdue by much is reviewed by nobody, and must not hold up restarts.
        let settles = self.settles.is_some_and(|at| now.mono < at + OVERDUE);
        settles || self.open.as_ref().is_some_and(|open| now.mono < open.closes)
    }

    /// The time until the alert or its follow-up is due; `None` when there is none.
    pub fn due_in(&self, now: Now) -> Option<Duration> {
        let due = self.settles.or_else(|| Some(self.open.as_ref()?.closes))?;
        Some(due.saturating_sub(now.mono))
    }

    /// How many sessions the follow-up would name now.
    pub fn gathered(&self) -> usize {
        self.open.as_ref().map_or(0, |open| once(open.more.iter()).len())
    }

    /// How many different sessions died within the last window and are no part of a mass death.
    pub fn within(&self, now: Now, policy: &Policy) -> usize {
        let recent = self.noted.iter().filter(|death| now.since(death.noticed) <= policy.window);
        recent.map(|death| &death.session).collect::<BTreeSet<_>>().len()
    }
}

impl MassDeath {
    /// Whether a death belongs to it: one noticed since its first death, or one that the alert would have named had
    /// it been confirmed in time.
    fn covers(&self, death: &ConfirmedDeath, policy: &Policy) -> bool {
        let began = self.alert.first().map(|first| first.noticed.mono);
        if death.noticed.mono > self.until {
            return false;
        }
        began.is_some_and(|began| death.noticed.mono >= began) || {
            let mut all = self.alert.clone();
            insert(&mut all, death.clone());
            together(&all, policy).contains(&death)
        }
    }

    fn gather(&mut self, death: ConfirmedDeath) {
        if self.alert.iter().all(|known| known.session != death.session) {
            insert(&mut self.more, death);
        }
    }
}

/// Inserts a death in the order in which deaths were noticed.
fn insert(deaths: &mut Vec<ConfirmedDeath>, death: ConfirmedDeath) {
    let at = deaths.partition_point(|known| known.noticed.mono <= death.noticed.mono);
    deaths.insert(at, death);
}

/// The deaths that are within one window of each other with enough different sessions; `deaths` are in order.
fn together<'a>(deaths: &'a [ConfirmedDeath], policy: &Policy) -> Vec<&'a ConfirmedDeath> {
    let mut end = 0; // of the deaths marked so far
    let mut marked = Vec::new();
    for (begin, first) in deaths.iter().enumerate() {
        let last = first.noticed.mono + policy.window;
        let within = deaths[begin..].partition_point(|death| death.noticed.mono <= last);
        let inside = &deaths[begin..begin + within];
        let sessions: BTreeSet<&str> = inside.iter().map(|death| death.session.as_str()).collect();
        if sessions.len() as u64 >= u64::from(policy.threshold) {
            marked.extend(&deaths[begin.max(end)..begin + within]);
            end = begin + within;
        }
    }
    marked
}

/// Each session once, by its first death.
fn once<'a>(deaths: impl Iterator<Item = &'a ConfirmedDeath>) -> Vec<ConfirmedDeath> {
    let mut seen = BTreeSet::new();
    deaths.filter(|death| seen.insert(death.session.as_str())).cloned().collect()
}

/// What else happened around the deaths, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstance {
    /// The number of processes that the kernel killed for want of memory meanwhile.
    pub oom_kills: Option<u64>,
    /// How long the machine slept meanwhile; `None` when it did not.
    pub slept: Option<Duration>,
}

/// A possible cause of these deaths, in a few words; `None` when nothing suggests one.
pub fn possible_cause(deaths: &[ConfirmedDeath], circumstance: &Circumstance) -> Option<String> {
    if deaths.iter().any(|death| death.with_server) {
        return Some("tmux server died".to_owned());
    }
    match deaths.iter().filter(|death| death.for_memory).count() {
        0 => {}
        1 => return Some("out of memory: the kernel killed one of them".to_owned()),
        all if all == deaths.len() => return Some("out of memory: the kernel killed them".to_owned()),
        some => return Some(format!("out of memory: the kernel killed {some} of them")),
    }
    if let Some(kills @ 1..) = circumstance.oom_kills {
        let processes = if kills == 1 { "a process" } else { "processes" };
        return Some(format!("out of memory: the kernel killed {processes}"));
    }
    if let Some(slept) = circumstance.slept {
        return Some(format!("the machine slept for {}", go_duration::short_minutes(slept)));
    }
    // Two or more deaths can have something in common.
    let (first, others) = deaths.split_first().filter(|(_, others)| !others.is_empty())?;
    if let Some(rig) = first.agent.rig()
        && others.iter().all(|death| death.agent.rig() == Some(rig))
    {
        return Some(format!("all in rig {rig}"));
    }
    let exit = first.exit.filter(|exit| others.iter().all(|death| death.exit == Some(*exit)))?;
    Some(format!("all ended with exit status {exit}"))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
