//! Standing: how an agent is, in one word, and why — a projection of its [`lifecycle`](super::lifecycle) for status and
//! history. Pure; it must not decide anything.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lifecycle::{Attempt, Lifecycle, State};

/// How an agent is. Its [`Display`](fmt::Display) is the word that is also written to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It runs.
    Alive,
    /// It runs, or is coming up, and waits for somebody to answer a question on its screen.
    WaitingAtQuestion,
    /// A start of ours is under way.
    Starting,
    /// It looks dead, and is looked at again before anything is done.
    Confirming,
    /// It is to be started, but not before a certain time.
    Waiting,
    /// Somebody stopped it, by hand or by a request.
    Held,
    /// It was restarted too often, and is tried again later.
    CrashLoop,
    /// It does not run, and must not be started now: deacon paused, rig parked or docked, emergency stop, `gt down` at
    /// work, patrol switched off, another agent of its session's name.
    Paused,
    /// It does not run, and nobody misses it.
    Absent,
    /// Whether it runs is not known: it was not looked at yet, or the last look could not tell.
    Unknown,
}

impl Standing {
    /// The word: `alive`, `waiting_at_question`, `starting`, `confirming`, `waiting`, `held`, `crash_loop`, `paused`, `absent`, `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Alive => "alive",
            Standing::WaitingAtQuestion => "waiting_at_question",
            Standing::Starting => "starting",
            Standing::Confirming => "confirming",
            Standing::Waiting => "waiting",
            Standing::Held => "held",
            Standing::CrashLoop => "crash_loop",
            Standing::Paused => "paused",
            Standing::Absent => "absent",
            Standing::Unknown => "unknown",
        }
    }

    /// How the agent of this lifecycle is. What the supervisor is doing about one that ended does not become unknown
    /// because it cannot be seen for a while; whether one lives, or still does not, does.
    pub(crate) fn of(lifecycle: &Lifecycle) -> Standing {
        match lifecycle.state() {
            State::Unseen => Standing::Unknown,
            State::Alive { .. } | State::Absent { .. } if lifecycle.is_out_of_sight() => Standing::Unknown,
            State::Alive { .. } => Standing::Alive,
            State::Absent { paused: true, .. } => Standing::Paused,
            State::Absent { paused: false, .. } => Standing::Absent,
            State::Starting { .. } => Standing::Starting,
            State::Confirming { .. } => Standing::Confirming,
            State::Waiting { .. } => Standing::Waiting,
            State::Held { .. } | State::Stopping { .. } | State::HeldOnRequest { .. } => Standing::Held,
            State::CrashLoop { .. } => Standing::CrashLoop,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why it is so, where there is a reason: what could not be found out comes first.
pub fn reason(lifecycle: &Lifecycle) -> Option<String> {
    if let Some(doubt) = lifecycle.doubt() {
        return Some(match lifecycle.state() {
            State::Alive { .. } if lifecycle.is_out_of_sight() => {
                format!("was alive when last seen; {doubt}")
            }
            _ => doubt.to_owned(),
        });
    }
    Some(match lifecycle.state() {
        State::Alive { .. } => return None,
        State::Unseen => "not looked at yet".to_owned(),
        State::Absent { why, .. } | State::Waiting { why, .. } => why.clone(),
        State::Confirming { what, .. } => what.clone(),
        State::Starting { order, .. } => match &order.replace {
            Some(replacement) => replacement.why.clone(),
            None => match order.attempt {
                Attempt::Fresh => "it was not running".to_owned(),
                Attempt::HoldOver => "hold over".to_owned(),
                Attempt::Restart(n) => format!("restart {n}"),
                Attempt::Trial => "trial after a crash loop".to_owned(),
                Attempt::Asked => "somebody asked for it".to_owned(),
            },
        },
        State::Held { why, .. } => format!("stopped by hand: {why}"),
        State::Stopping { hold, .. } => format!("being stopped: {}", hold.why),
        State::HeldOnRequest { hold } => format!("stopped on request: {}", hold.why),
        State::CrashLoop { .. } => {
            format!("held after {} restarts", lifecycle.history().restart_count)
        }
    })
}

/// When it is tried again by itself, at the earliest: the end of a wait, of a hold or of a crash loop's time; else what its
/// restarts leave of a backoff. `None` when nothing but itself has to happen first, or when only somebody else can end it.
pub fn next_try(lifecycle: &Lifecycle, now: Timestamp) -> Option<Timestamp> {
    match until(lifecycle.state()) {
        Some(until) => Some(until),
        None => lifecycle.history().backoff_until.filter(|until| *until > now),
    }
}

/// The end of the time that a state lasts by itself.
pub fn until(state: &State) -> Option<Timestamp> {
    match state {
        State::Waiting { until, .. } | State::Held { until, .. } => Some(*until),
        State::CrashLoop { trial_at } => Some(*trial_at),
        _ => None,
    }
}
