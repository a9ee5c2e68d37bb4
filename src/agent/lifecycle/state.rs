//! The states of an agent's life, each with the data of that state only.

use jiff::Timestamp;

use super::order::StartOrder;
use crate::{
    agent::{
        confirmation::SessionKey,
        denial::{Denial, NotStarted},
        holds::Hold,
        reason::{HeldUp, Missing},
        waits::Own,
    },
    clock::Now,
    operator::rules::Operation,
};

/// The state of an agent's lifecycle.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Not probed yet since the supervisor (or its actor) started.
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
    /// Its session exists with an agent in it (or one that is just coming up).
    Alive {
        /// When it was first seen so.
        since: Now,
        /// The incarnation of its session.
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
        /// Which signs were missing.
        what: Missing,
        /// What still delays a confirmation that is due.
        held_up: Option<HeldUp>,
        /// Its life before; `None` when it was never seen alive.
        before: Option<Life>,
        /// The commands of Gas Town that were running then, or had been just before.
        involved: Vec<Operation>,
    },
    /// To be started, but not before a certain time.
    Waiting {
        /// The time of the start.
        until: Timestamp,
        /// Whether that start counts as a restart.
        counted: bool,
        /// Whether it has had its turn among paced restarts, or needs none.
        paced: bool,
        /// Why it waits.
        why: WaitsFor,
    },
    /// Stopped by hand: left alone for a while.
    Held {
        /// When the hold ends.
        until: Timestamp,
        /// Why it is held, for people.
        why: String,
        /// What has been seen since; a change in it ends the hold.
        since: HeldSince,
    },
    /// Being ended, because somebody asked for it, or because it is idle.
    Stopping {
        /// The session that is to end.
        session: SessionKey,
        /// Its hold from now on; `None` for one that is idle, which is started again once it has work.
        hold: Option<Hold>,
    },
    /// Stopped because somebody asked for it: left alone until the next request.
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
    /// Its account can be used again, and its turn.
    Account(Denial),
    /// Nothing any more: its account can be used again, and its turn has come.
    Released,
    /// A start failed, and why.
    AnotherTry(String),
    /// Its backoff was cleared.
    Cleared,
    /// Its restart state was changed from outside.
    Changed,
}

/// The life that seems to have ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// The incarnation of its session.
    pub session: SessionKey,
    /// Whether the state file said `stopped` while it was alive.
    pub said_stopped: bool,
    /// The commands of Gas Town that were running when an end of it was noticed and not judged yet.
    pub involved: Vec<Operation>,
}

/// What has been seen of an agent since it was stopped by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldSince {
    /// Its gate was seen closed; when it opens again, the hold ends.
    pub gate_closed: bool,
    /// The state file said something else than `running`; when it says so again, the hold ends.
    pub not_running: bool,
}
