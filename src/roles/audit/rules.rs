//! Does a polecat's work make no progress? The judgement of its beads and of what its owner knows. Pure.
//!
//! It nominates: before anything is reported, beads and session are read again. What is unknown is not reported, and
//! does not close an earlier report.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    agent::{
        confirmation::{Assignment, OPERATION_LIMIT, REMOVAL_LIMIT},
        denial::Unwanted,
        lifecycle::State,
        polecat::rules::judged,
        restart,
    },
    clock::Now,
    ledger::{agents::AgentBead, answer::Answer},
    town::bead::Bead,
};

/// The longest delay of a confirmation, unless something is unknown.
const LONGEST_CONFIRMATION: Duration =
    Duration::from_secs(OPERATION_LIMIT.as_secs() + REMOVAL_LIMIT.as_secs());

/// The longest time of a start, also when it waits for a slot behind a whole town's.
const LONGEST_START: Duration = Duration::from_secs(3600);

/// The state of a polecat according to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// Whether it lives is unknown.
    Unknown,
    /// It lives, and could have worked since this time.
    Alive(Timestamp),
    /// It is being handled: a start or a confirmation is in progress, or is due later.
    Busy,
    /// It is to be left alone: stopped by hand or on request, or in a crash loop that was reported.
    Left,
    /// It does not live, and nothing is being done about it.
    Missing,
}

/// What its owner knows.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    /// The state of its lifecycle.
    pub state: &'a State,
    /// How long it has been in that state.
    pub lasts: Duration,
    /// The last probe was inconclusive.
    pub doubt: bool,
    /// Whether it waits for another try after a failed start.
    pub start_failed: bool,
    /// Whether the mail that it is not restarted is due and could not be sent.
    pub unreported: bool,
}

/// Derives the situation from what its owner knows.
pub fn situation(owned: Owned<'_>) -> Situation {
    if owned.doubt {
        return Situation::Unknown;
    }
    match owned.state {
        State::Unseen => Situation::Unknown,
        State::Alive { session, .. } => Situation::Alive(session.created),
        State::Absent { .. } => Situation::Missing,
        State::Starting { .. } if owned.lasts <= LONGEST_START => Situation::Busy,
        State::Starting { .. } => Situation::Missing,
        State::Confirming { .. } if owned.lasts <= LONGEST_CONFIRMATION => Situation::Busy,
        State::Confirming { .. } => Situation::Missing,
        State::Waiting { .. } if owned.start_failed => Situation::Missing,
        State::Waiting { .. } => Situation::Busy,
        State::Held { .. } | State::Stopping { .. } | State::HeldOnRequest { .. } => Situation::Left,
        State::CrashLoop { .. } if owned.unreported => Situation::Missing,
        State::CrashLoop { .. } => Situation::Left,
    }
}

/// What follows for one polecat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is unknown. Everything stays as it is.
    Unknown,
    /// Nothing to report, and no report is over.
    Leave,
    /// There is no work on its hook any more: earlier reports about it are over.
    Over,
    /// It is alive and makes progress with this work: earlier reports about it are over.
    Well {
        /// The bead on its hook.
        hook: String,
    },
    /// It lives but makes no progress with this work.
    Stalled {
        /// The bead on its hook.
        hook: String,
    },
    /// It lives, and its agent bead names this work, which is another's now: reports about it are over.
    Reassigned {
        /// The bead that its agent bead names.
        hook: String,
        /// Whom that is assigned to.
        to: String,
    },
    /// It does not live, has this work, and nothing is being done about it.
    Missing {
        /// The bead on its hook.
        hook: String,
    },
}

/// The times that a judgement depends on.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    /// The polecat's name as an assignee, in a town where the work bead decides.
    pub assignee: Option<&'a str>,
    /// Now, by the wall clock.
    pub now: Timestamp,
    /// When the agent was last seen alive.
    pub seen_alive: Option<Timestamp>,
    /// How long a polecat in state `spawning` is left to the command that spawns it.
    pub guard: Duration,
    /// How long a live one may make no visible progress; [`Duration::MAX`] where its agent bead does not show any.
    pub gupp_after: Duration,
}

/// Judges one polecat by its agent bead, the bead on its hook ([`Answer::NotAsked`] when not known) and what its
/// owner knows.
pub fn judge(
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    situation: Situation,
    times: Times<'_>,
) -> Finding {
    let Times { assignee, now, seen_alive, guard, .. } = times;
    let hook = match judged(assignee, agent, hooked, now, seen_alive, guard) {
        Assignment::Hooked { hook } => hook,
        Assignment::None(Unwanted::WorkNotIts(hook)) => return reassigned(hook, hooked, situation),
        Assignment::None(Unwanted::WorkNotHooked(_)) => return Finding::Over,
        Assignment::None(_) if is_over(agent, hooked) => return Finding::Over,
        // It rests, and may continue with the same work later.
        Assignment::None(_) => return Finding::Leave,
        Assignment::Unknown(_) | Assignment::NotAsked | Assignment::Permanent => return Finding::Unknown,
    };
    match situation {
        Situation::Unknown => Finding::Unknown,
        Situation::Busy | Situation::Left => Finding::Leave,
        Situation::Missing => Finding::Missing { hook },
        Situation::Alive(created) => {
            let Answer::Found(agent) = agent else { return Finding::Unknown };
            match idle(agent, created, times.now) {
                None => Finding::Unknown,
                Some(_) if age(created, times.now) < restart::ALIVE_AGAIN => Finding::Leave,
                Some(idle) if idle > times.gupp_after => Finding::Stalled { hook },
                Some(_) => Finding::Well { hook },
            }
        }
    }
}

/// What follows when the work that its agent bead names is not assigned to it.
fn reassigned(hook: String, hooked: &Answer<Bead>, situation: Situation) -> Finding {
    match (situation, hooked) {
        (Situation::Alive(_), Answer::Found(Bead { assignee: Some(to), .. })) if !to.is_empty() => {
            Finding::Reassigned { hook, to: to.clone() }
        }
        _ => Finding::Over,
    }
}

/// How long a live agent has shown no progress: since the last change of its bead, or since it could begin, if that
/// is later (its session was created, or the machine woke from a sleep). `None` when its bead has no time.
pub fn idle(agent: &AgentBead, could_begin: Timestamp, now: Timestamp) -> Option<Duration> {
    agent.updated.map(|updated| age(updated.max(could_begin), now))
}

/// When the wall clock moves ahead of the monotonic one by more than this between two rounds, the machine slept.
const SLEPT: Duration = Duration::from_secs(60);

/// Whether the machine slept between these two times.
pub fn slept(before: Now, now: Now) -> bool {
    age(before.wall, now.wall).saturating_sub(now.since(before)) > SLEPT
}

/// The age of a time; zero for one in the future, which comes from a clock that differs.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// Whether its work is gone, rather than the agent resting.
fn is_over(agent: &Answer<AgentBead>, hooked: &Answer<Bead>) -> bool {
    let Answer::Found(agent) = agent else { return false };
    let done = match hooked {
        Answer::Found(bead) => bead.is_closed(),
        Answer::Missing => true,
        Answer::Unknown(_) | Answer::NotAsked => false,
    };
    agent.closed || agent.hook.is_none() || done
}

/// Whether what was found of a polecat at `first` and is found again now was given enough time: two snapshots, about a
/// heartbeat apart however often somebody asks for one.
pub fn was_given_its_time(first: Now, now: Now, interval: Duration) -> bool {
    now.since(first) >= interval / 2
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
