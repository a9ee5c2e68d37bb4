//! One step of the lifecycle: what goes in and what comes out.

use std::time::Duration;

use jiff::Timestamp;

use super::order::{Attempt, StartEnd, StartOrder, StopEnd, StopOrder};
use crate::{
    agent::{
        confirmation::{Observation, Permission, SessionKey},
        holds::{Hold, Hook},
        identity::Identity,
        restart::RestartHistory,
    },
    clock::Now,
    lifecycle::{register::Stage, rules::Action},
    town::settings::Restart as Policy,
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something was seen in passing: a sweep, a heartbeat. It nominates, it never kills.
    Seen(Observation),
    /// The look that a [`Decision::LookAgain`] asked for.
    Looked(Observation),
    /// The start under way ended.
    StartEnded(StartEnd),
    /// The agent is alive but makes no progress: it should be replaced.
    Replace {
        /// Why, for the log.
        why: String,
        /// The deacon's heartbeat that is too old.
        heartbeat: Timestamp,
        /// Whether the supervisor may act.
        permission: Permission,
    },
    /// The restart state was changed from outside (the file, a signal): take this history.
    Remembered(RestartHistory),
    /// Somebody wants whatever keeps it from being started at once to be over.
    Cleared,
    /// Somebody asked for it to be stopped or started afresh.
    Asked(Asked),
    /// The stop under way ended.
    StopEnded(StopEnd),
    /// What is on its hook, for a polecat.
    Hook(Hook),
}

/// A request, and how things are when it is attended to.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked for.
    pub action: Action,
    /// By whom, for people ("asked for by mail hq-5w2").
    pub why: String,
    /// How far it is: one that was begun by an earlier owner is gone on with.
    pub stage: Stage,
    /// The agent now.
    pub seen: Observation,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Decision {
    /// Nothing; timers stay as they are.
    Leave,
    /// Probe the agent after this time and report it as [`Event::Looked`]. A timer that is set is only brought forward.
    LookAgain(Duration),
    /// Make this start and report it as [`Event::StartEnded`].
    Start(StartOrder),
    /// End the agent and report it as [`Event::StopEnded`].
    Stop(StopOrder),
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The state changed, or why it stays.
    Told {
        /// One line for the log.
        line: String,
        /// What was seen or asked for; may be empty.
        seen: String,
        /// What is done about it; may be empty.
        done: String,
    },
    /// The restart history changed and should be kept.
    Keep(RestartHistory),
    /// A start of ours succeeded.
    Started {
        /// How it counted.
        attempt: Attempt,
        /// How long it took.
        took: Duration,
    },
    /// It died, and nobody meant it to; told once, when it is confirmed.
    Died(Obituary),
    /// It was stopped by hand.
    StoppedByHand,
    /// It is held on request from now on, or not any more.
    Hold(Option<Hold>),
    /// What came of the request that was attended to.
    Request(Outcome),
    /// It is tried again then and not sooner, whoever looks after it by that time: it ended for this reason, and no restart is
    /// counted.
    WaitsUntil(Timestamp, String),
    /// A restart takes its turn while restarts are paced.
    TurnTaken,
    /// A crash loop began.
    CrashLoop {
        /// Restarts before it was held.
        restarts: u32,
        /// When the next trial is due.
        until: Timestamp,
    },
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is carried out, or there was nothing left to do.
    Carried,
    /// It must not be carried out, and why.
    Refused(String),
    /// It could not be found out whether it may be carried out, and why: it is tried again.
    Unclear(String),
}

/// What is told of a death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obituary {
    /// Which session it had; `None` when it was never seen alive, so that nobody knows when it ended.
    pub session: Option<SessionKey>,
    /// When it was noticed.
    pub noticed: Now,
    /// True when its session is still there, with something else in it.
    pub left_session: bool,
    /// The work on its hook, for those that have one.
    pub hook: Option<String>,
    /// The command of Gas Town that may have ended it on its way: it is brought back, and not told as a death.
    pub by_command: Option<String>,
}

/// The answer to an event.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Step {
    /// What to do.
    pub decision: Decision,
    /// What to tell, in order.
    pub notices: Vec<Notice>,
}

/// What is handed in with every event.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The moment.
    pub now: Now,
    /// Whose lifecycle it is.
    pub identity: &'a Identity,
    /// The restart policy in force.
    pub policy: &'a Policy,
    /// After how long the second look is taken (`restart.confirm`, `polecats.confirm`).
    pub confirm: Duration,
    /// After how long one that ended at a usage limit is tried again (`usage_limit.retry_every`).
    pub retry_limited: Duration,
    /// How long a restart has to wait for its turn after a mass death; zero when it may be made at once.
    pub pace: Duration,
    /// From 0 to 1, for the policy's jitter.
    pub jitter: f64,
}
