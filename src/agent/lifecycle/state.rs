//! The states of an agent's life, each with the data of that state only.

use jiff::Timestamp;

use super::order::StartOrder;
use crate::{
    agent::{
        confirmation::SessionKey,
        denial::NotStarted,
        holds::Hold,
        reason::{HeldUp, Missing},
        waits::Own,
    },
    clock::Now,
    operator::rules::Operation,
};

/// Where an agent is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Not looked at yet since the supervisor (or its actor) began.
    Unseen,
    /// Not running, and not to be started now.
    Absent {
        /// Why not.
        why: NotStarted,
    },
    /// The supervisor is starting it.
    Starting {
        /// Since when it is in this state.
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
    /// It looks dead; the second probe is due.
    Confirming {
        /// When that was noticed.
        noticed: Now,
        /// When the second probe is due.
        due: Now,
        /// What was noticed.
        what: Missing,
        /// What the confirmation waits for, when it was due already.
        held_up: Option<HeldUp>,
        /// What it was before; `None` when it was never seen alive.
        before: Option<Life>,
        /// The commands of Gas Town that were at work then, or had been just before.
        involved: Vec<Operation>,
    },
    /// To be started, but not before a certain time.
    Waiting {
        /// When.
        until: Timestamp,
        /// Whether that start counts as a restart.
        counted: bool,
        /// Whether it has had its turn among restarts that are paced, or needs none.
        paced: bool,
        /// Why it waits.
        why: WaitsFor,
    },
    /// Stopped by hand: left alone for a while.
    Held {
        /// How long.
        until: Timestamp,
        /// Why it is held, for people.
        why: String,
        /// What has been seen since; a change of it ends the hold.
        since: HeldSince,
    },
    /// Somebody asked for it to be stopped, and it is being ended.
    Stopping {
        /// The session that is to end.
        session: SessionKey,
        /// How it is held from now on.
        hold: Hold,
    },
    /// Stopped because somebody asked for it: left alone until somebody asks again.
    HeldOnRequest {
        /// Since when, why, and with which work.
        hold: Hold,
    },
    /// Restarted too often: left alone until the next trial.
    CrashLoop {
        /// When the next trial start is due.
        trial_at: Timestamp,
    },
}

/// Why an agent waits to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// The backoff before its n-th restart.
    Backoff(u32),
    /// Its turn among the restarts after a mass death.
    Turn,
    /// It ended for a reason of its own.
    OwnEnd(Own),
    /// A start could not be made, and why.
    AnotherTry(String),
    /// Its backoff was cleared.
    Cleared,
    /// Its restart state was changed from outside.
    Changed,
}

/// The life that seems to have ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// Its session.
    pub session: SessionKey,
    /// Whether the state file said `stopped` while it was alive.
    pub said_stopped: bool,
    /// The commands of Gas Town that were at work when an end of it was noticed and not judged yet.
    pub involved: Vec<Operation>,
}

/// What has been seen of an agent since it was stopped by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldSince {
    /// Its gate was seen closed; that it opens again ends the hold.
    pub gate_closed: bool,
    /// The state file was seen to say something else than `running`; that it says so again ends the hold.
    pub not_running: bool,
}
