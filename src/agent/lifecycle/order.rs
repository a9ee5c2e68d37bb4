//! A start: how it is ordered, and how it can end.

use std::time::Duration;

use jiff::Timestamp;

use crate::agent::{
    confirmation::SessionKey,
    conversation::Begun,
    denial::{Denial, Unwanted},
};

/// Why a start is made, and how it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Nobody saw it end: the supervisor's first start, or one after a gate or hold. Not counted.
    Fresh,
    /// Somebody stopped it by hand, and its hold is over. Not counted.
    HoldOver,
    /// It died; this is its n-th restart since it was last stable.
    Restart(u32),
    /// A trial after a crash loop.
    Trial,
    /// Somebody asked for it: at once, and not counted.
    Asked,
}

/// A start to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOrder {
    /// How it counts.
    pub attempt: Attempt,
    /// A live agent that this start must replace.
    pub replace: Option<Replacement>,
}

/// A live agent to be ended and started again in one step. Apart from requests, this is the only way the supervisor
/// ends a live agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The one incarnation of its session to end.
    pub session: SessionKey,
    /// Why, for the log.
    pub why: String,
    /// The condition that must still hold right before it is ended.
    pub because: Because,
}

/// The reason to end a live agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It makes no progress: the deacon's heartbeat file still has this timestamp.
    HeartbeatAt(Timestamp),
    /// The checks of its health say that it is not well, and still do.
    Unhealthy,
    /// It was requested, which stays true.
    Asked,
    /// An operator's command asked for it.
    ByCommand {
        /// It must be idle.
        when_idle: bool,
    },
}

/// An agent to be ended because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopOrder {
    /// The one incarnation of its session to end.
    pub session: SessionKey,
    /// It is ended only while it is idle.
    pub when_idle: bool,
}

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopEnd {
    /// The agent was ended.
    Ended,
    /// That incarnation was gone already.
    Gone,
    /// Not allowed (any more); what runs was left running.
    Refused(Denial),
    /// Whether to end it could not be found out, or ending it failed.
    Unclear(String),
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartEnd {
    /// The agent is up and has its first instruction.
    Up {
        /// Its session.
        session: SessionKey,
        /// How long the start took.
        took: Duration,
        /// With which conversation; `None` where none is kept.
        conversation: Option<Begun>,
    },
    /// An agent was there already; nothing was done.
    Found(SessionKey),
    /// Somebody else has just created its session, and no agent is in it yet; nothing was done.
    Taken,
    /// It was given up once a session was there, or before one was ended; what runs was left running.
    Left {
        /// That session.
        session: SessionKey,
        /// Why ("rig is parked").
        why: String,
        /// Whether because it is not idle, so that the end can be asked for again.
        busy: bool,
    },
    /// Not allowed (any more); what runs was left running.
    Refused(Denial),
    /// Not wanted any more, or something else was requested.
    Unwanted(Unwanted),
    /// Whether to start could not be found out; nothing was done.
    Unclear(String),
    /// Its program is missing, or cannot be run.
    NoProgram(String),
    /// No session could be created for another reason: it has no directory, or tmux refused.
    Impossible(String),
    /// A session was created, or should have been, but no agent appeared in it in time.
    NeverAppeared(String),
    /// `gt` was to start it and hung, or said what is not true, and no agent appeared.
    NotByGt(String),
    /// Somebody stopped it by hand before its session was created, and how that is known.
    StoppedByHand(String),
    /// The session ended during the start.
    Ended(SessionKey),
}
