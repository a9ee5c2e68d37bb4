//! The states of an agent's life, each with the data of that state only.

use jiff::Timestamp;

use super::order::StartOrder;
use crate::{agent::confirmation::SessionKey, clock::Now};

/// Where an agent is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Not looked at yet since the supervisor (or its actor) began.
    Unseen,
    /// Not running, and not to be started now.
    Absent {
        /// Why not ("rig is parked").
        why: String,
    },
    /// A start of ours is under way.
    Starting {
        /// Since when.
        since: Now,
        /// What was ordered.
        order: StartOrder,
    },
    /// Its session is there with an agent in it (or one that is just coming up).
    Alive {
        /// When it was first seen so.
        since: Now,
        /// Which session.
        session: SessionKey,
        /// Whether the state file said `stopped` when it was last seen alive.
        said_stopped: bool,
    },
    /// It looks dead; the second look is due.
    Confirming {
        /// When that was noticed.
        noticed: Now,
        /// When the second look is due.
        due: Now,
        /// What was noticed, in a few words.
        what: String,
        /// What it was before; `None` when it was never seen alive.
        before: Option<Life>,
    },
    /// To be started, but not before a certain time.
    Waiting {
        /// When.
        until: Timestamp,
        /// Whether that start counts as a restart.
        counted: bool,
        /// Why it waits.
        why: String,
    },
    /// Stopped by hand: left alone for a while.
    Held {
        /// How long.
        until: Timestamp,
        /// Whether its rig was seen closed meanwhile; that it opens again ends the hold.
        gate_closed: bool,
    },
    /// Restarted too often: left alone until the next trial.
    CrashLoop {
        /// When the next trial start is due.
        trial_at: Timestamp,
    },
}

/// The life that seems to have ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// Its session.
    pub session: SessionKey,
    /// Whether the state file said `stopped` while it was alive.
    pub said_stopped: bool,
}

/// What an owner knew, for the one that takes its place when it crashes: without it, an agent stopped by hand or just
/// about to be confirmed dead would be started because an actor crashed.
#[derive(Debug, Clone, PartialEq)]
pub enum Memory {
    /// It was last seen alive so, and its end is not confirmed yet.
    Lived(Life),
    /// It was stopped by hand, as in [`State::Held`].
    Held {
        /// How long it is left alone.
        until: Timestamp,
        /// Whether its rig was seen closed meanwhile.
        gate_closed: bool,
    },
}
