//! A start: how it is ordered, and how it may end.

use std::time::Duration;

use jiff::Timestamp;

use crate::agent::{
    confirmation::SessionKey,
    denial::{Denial, Unwanted},
};

/// Why a start is made, and how it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Nobody saw it end: the supervisor's first start, or one after a gate or hold. Not counted.
    Fresh,
    /// Somebody had stopped it by hand, and the time for which it was left alone is over. Not counted.
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
    /// An agent that is alive and must be replaced by this start.
    pub replace: Option<Replacement>,
}

/// A live agent to be ended and started again in one step: the only way the supervisor ends a live one by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Exactly this incarnation of its session.
    pub session: SessionKey,
    /// Why, for the log.
    pub why: String,
    /// What must still be so right before it is ended.
    pub because: Because,
}

/// The reason to end a live agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It makes no progress: the deacon's heartbeat file still has this timestamp.
    HeartbeatAt(Timestamp),
    /// It was asked for, which stays so.
    Asked,
}

/// An agent to be ended because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopOrder {
    /// Exactly this incarnation of its session.
    pub session: SessionKey,
}

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopEnd {
    /// It was ended.
    Ended,
    /// That incarnation was gone already.
    Gone,
    /// Not allowed (any more); what runs was left running.
    Refused(Denial),
    /// It could not be found out whether to end it, or it could not be ended.
    Unclear(String),
}

/// How a start ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartEnd {
    /// The agent is up and has been told to begin.
    Up {
        /// Its session.
        session: SessionKey,
        /// How long the start took.
        took: Duration,
    },
    /// An agent was there already; nothing was done.
    Found(SessionKey),
    /// Somebody else has just made its session, and no agent is in it yet; nothing was done.
    Taken,
    /// It was given up once a session was there, or before one was ended; what runs is left running.
    Left {
        /// That session.
        session: SessionKey,
        /// Why ("rig is parked").
        why: String,
    },
    /// Not allowed (any more); what runs was left running.
    Refused(Denial),
    /// Not wanted any more, or something else was asked for.
    Unwanted(Unwanted),
    /// It could not be found out whether to start; nothing was done.
    Unclear(String),
    /// No session could be made: the program is missing, tmux refused.
    Impossible(String),
    /// A session was made, but no agent appeared in it in time.
    NeverAppeared(String),
    /// Somebody stopped it by hand before its session was made, and how that is known.
    StoppedByHand(String),
    /// The session ended during the start.
    Ended(SessionKey),
}
