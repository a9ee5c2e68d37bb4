//! One step of the lifecycle: what goes in and what comes out.

use std::time::Duration;

use jiff::Timestamp;

use super::order::{StartEnd, StartOrder, StopEnd, StopOrder};
use crate::{
    agent::{
        confirmation::{Observation, Permission, SessionKey},
        reason::Reason,
        requests::{Action, Stage},
        restart::RestartHistory,
    },
    clock::Now,
    ledger::snapshot::Hook,
    town::{identity::Identity, settings::Restart as Policy},
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something was seen in passing: a scan, a heartbeat. It nominates, it never kills.
    Seen(Observation),
    /// The look that a [`Decision::ProbeAgain`] asked for.
    Probed(Observation),
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
    /// One that runs only when it is needed is needed now.
    Needed {
        /// Why.
        why: String,
        /// Its session, where it runs and is to be replaced.
        replaces: Option<SessionKey>,
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
    /// Probe the agent after this time and report it as [`Event::Probed`]. A timer that is set is only brought forward.
    ProbeAgain(Duration),
    /// Make this start and report it as [`Event::StartEnded`].
    Start(StartOrder),
    /// End the agent and report it as [`Event::StopEnded`].
    Stop(StopOrder),
}

/// The answer to an event.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Step {
    /// What to do.
    pub decision: Decision,
    /// What happened, in order; nothing when nothing changed.
    pub reasons: Vec<Reason>,
    /// A restart takes its turn while restarts are paced.
    pub takes_turn: bool,
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
    /// After how long the second probe is taken (`restart.confirm`, `polecats.confirm`).
    pub confirm: Duration,
    /// After how long one that ended at a usage limit is tried again (`usage_limit.retry_every`).
    pub retry_limited: Duration,
    /// How long a restart has to wait for its turn after a mass death; zero when it may be made at once.
    pub pace: Duration,
    /// From 0 to 1, for the policy's jitter.
    pub jitter: f64,
}
