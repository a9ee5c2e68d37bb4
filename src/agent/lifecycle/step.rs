//! One step of the lifecycle: what goes in and what comes out.

use std::time::Duration;

use jiff::Timestamp;

use super::order::{StartEnd, StartOrder, StopEnd, StopOrder};
use crate::{
    agent::{
        confirmation::{Observation, Permission, SessionKey},
        denial::Denial,
        reason::Reason,
        requests::{Action, ByCommand, Stage},
        restart::RestartHistory,
    },
    clock::Now,
    ledger::snapshot::Hook,
    town::{
        identity::{Identity, Wanted},
        settings::Restart as Policy,
        standing::RestartWhen,
    },
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A scan, heartbeat or unasked probe showed this. It nominates, it never kills.
    Seen(Observation),
    /// The probe that a [`Decision::ProbeAgain`] asked for.
    Probed(Observation),
    /// The start in progress ended.
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
    /// The checks of its health say that it is not well in this session: it should be replaced.
    Unhealthy {
        /// The session.
        session: SessionKey,
        /// What they say, for people.
        why: String,
        /// Whether the supervisor may act.
        permission: Permission,
    },
    /// An agent that runs only when needed is needed now.
    Needed {
        /// Why, for the log.
        why: String,
        /// Its session, when it runs and is to be replaced.
        replaces: Option<SessionKey>,
    },
    /// The restart state was changed from outside (the file, a signal): take this history.
    Remembered(RestartHistory),
    /// Whatever delays its start is to end.
    Cleared,
    /// Its account can be used again, and its turn has come.
    Released,
    /// Somebody asked for it to be stopped or started afresh.
    Asked(Box<Asked>),
    /// It is alive in this session, has been idle for long and has no work: it is to be ended.
    Idle {
        /// The session.
        session: SessionKey,
        /// Since when it is idle, for people.
        why: String,
    },
    /// The stop in progress ended.
    StopEnded(StopEnd),
    /// What is on its hook, for a polecat.
    Hook(Hook),
}

/// A request, and the state of the agent when it is handled.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked for.
    pub action: Action,
    /// By whom, for people ("stop requested (mail hq-5w2)").
    pub why: String,
    /// By which command; `None` for a mail.
    pub by: Option<ByCommand>,
    /// Why it must not be ended now, where that is to be done only while it is idle.
    pub busy: Option<Denial>,
    /// Its stage: a request that an earlier owner began is continued.
    pub stage: Stage,
    /// The agent as just probed.
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
    /// A restart takes its turn in this step, because restarts are paced.
    pub takes_turn: bool,
}

/// What is passed in with every event.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The current time.
    pub now: Now,
    /// Whose lifecycle it is.
    pub identity: &'a Identity,
    /// When that agent is to run.
    pub wanted: Wanted,
    /// When it is started again by itself, where a file says so; else always.
    pub restart: Option<RestartWhen>,
    /// The restart policy in force.
    pub policy: &'a Policy,
    /// The delay of the second probe (`restart.confirm`, `polecats.confirm`).
    pub confirm: Duration,
    /// Whether a hook of its tmux session starts it again when its process ends.
    pub is_respawned: bool,
    /// The delay before an agent that ended at a usage limit, and whose account is not known, is tried again.
    pub retry_limited: Duration,
    /// Why its account, as last known, forbids to start it.
    pub account: Option<&'a Denial>,
    /// How long a restart has to wait for its turn after a mass death; zero when it may be made at once.
    pub pace: Duration,
    /// A number from 0 to 1 for the policy's jitter.
    pub jitter: f64,
}
