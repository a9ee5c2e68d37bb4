//! Phase: the state of an agent in one word, and why: a projection of its [`lifecycle`](super::lifecycle) for status and
//! history. Pure; it must not decide anything.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    denial::{Denial, NotStarted},
    holds::Hold,
    lifecycle::{Attempt, Lifecycle, State, WaitsFor},
};
use crate::{agent::reason, town::reading};

/// The reason text of an agent right after the start of the supervisor.
pub const NOT_OBSERVED: &str = "not observed yet";

/// The state of an agent. Its [`Display`](fmt::Display) is the word that is also written to files.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It runs.
    Alive,
    /// It runs or is starting, and waits for a person to answer a question on its screen.
    WaitingAtQuestion,
    /// The supervisor is starting it.
    Starting,
    /// It looks dead, and is probed again before anything is done.
    Confirming,
    /// It will be started, but not before a certain time.
    Waiting,
    /// The plan of its account is used up: it runs without being able to work, or is started when that is over.
    Limited,
    /// The login of its account is lost: it runs without being able to work, or is started when somebody has logged in.
    LoggedOut,
    /// Somebody stopped it, by hand or by a request.
    Held,
    /// It was restarted too often, and will be tried again later.
    CrashLoop,
    /// It does not run, and must not be started now: deacon paused, rig parked or docked, emergency stop, running `gt
    /// down`, patrol switched off, another agent of its session's name; or whether one of these is so could not be found out.
    Paused,
    /// It does not run and is not needed.
    Absent,
    /// The supervisor cannot tell whether it runs: it was not probed yet, or the last probe was inconclusive.
    Unknown,
}

impl Phase {
    /// Its word in files and JSON: `alive`, `waiting_at_question`, `starting`, `confirming`, `waiting`, `limited`, `logged_out`, `held`, `crash_loop`, `paused`, `absent`, `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Alive => "alive",
            Phase::WaitingAtQuestion => "waiting_at_question",
            Phase::Starting => "starting",
            Phase::Confirming => "confirming",
            Phase::Waiting => "waiting",
            Phase::Limited => "limited",
            Phase::LoggedOut => "logged_out",
            Phase::Held => "held",
            Phase::CrashLoop => "crash_loop",
            Phase::Paused => "paused",
            Phase::Absent => "absent",
            Phase::Unknown => "unknown",
        }
    }

    /// The phase of this lifecycle. An agent that is being confirmed, started or held keeps its phase when it cannot
    /// be seen for a while; one that is alive or absent becomes unknown.
    pub(crate) fn of(lifecycle: &Lifecycle) -> Phase {
        match lifecycle.state() {
            State::Unseen | State::Absent { .. } if lifecycle.waits_for_permission() => Phase::Paused,
            State::Unseen => Phase::Unknown,
            State::Alive { .. } | State::Absent { .. } if lifecycle.is_out_of_sight() => Phase::Unknown,
            State::Alive { .. } if lifecycle.has_just_ended() => Phase::Confirming,
            State::Alive { .. } => Phase::Alive,
            State::Absent { why: NotStarted::Denied(Denial::WaitsForAgent(_)) } => Phase::Waiting,
            State::Absent { why: NotStarted::Denied(_) } => Phase::Paused,
            State::Absent { .. } => Phase::Absent,
            State::Starting { .. } => Phase::Starting,
            State::Confirming { .. } => Phase::Confirming,
            State::Waiting { why: WaitsFor::Account(denial), .. } => Phase::of_account(denial),
            State::Waiting { .. } => Phase::Waiting,
            State::Held { .. } | State::Stopping { .. } | State::HeldOnRequest { .. } => Phase::Held,
            State::CrashLoop { .. } => Phase::CrashLoop,
        }
    }
}

impl Phase {
    /// The phase of an agent whose account must not be used.
    pub(crate) fn of_account(denial: &Denial) -> Phase {
        match denial {
            Denial::LoggedOut(_) => Phase::LoggedOut,
            _ => Phase::Limited,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason for a phase, if there is one; what could not be found out comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The code, for machines.
    pub code: &'static str,
    /// The text, for people.
    pub text: String,
}

impl Why {
    fn new(code: &'static str, text: impl Into<String>) -> Option<Self> {
        Some(Why { code, text: text.into() })
    }

    /// The reason for the phase of this lifecycle.
    pub(crate) fn of(lifecycle: &Lifecycle) -> Option<Self> {
        if let Some(doubt) = lifecycle.doubt() {
            return match lifecycle.state() {
                State::Alive { .. } if lifecycle.is_out_of_sight() => {
                    Why::new("unclear", format!("was alive when last seen; {doubt}"))
                }
                _ => Why::new("unclear", doubt),
            };
        }
        match lifecycle.state() {
            State::Alive { .. } => None,
            State::Unseen => Why::new("not_observed", NOT_OBSERVED),
            State::Absent { why } => Why::new(why.code(), why.to_string()),
            State::Waiting { why, .. } => Why::new(why.code(), and_its_start(why.to_string(), lifecycle)),
            State::Confirming { held_up: Some(why), .. } => Why::new(why.code(), why.to_string()),
            State::Confirming { what, .. } => Why::new(what.code(), what.to_string()),
            State::Starting { order, .. } => {
                let code = match order.attempt {
                    _ if order.replace.is_some() => "replaced",
                    Attempt::Fresh => "not_running",
                    Attempt::HoldOver => "hold_over",
                    Attempt::Restart(_) => "restart",
                    Attempt::Trial => "trial",
                    Attempt::Asked => "requested",
                };
                Why::new(code, order.why())
            }
            State::Held { why, .. } => Why::new("stopped_by_hand", format!("stopped by hand: {why}")),
            State::Stopping { hold: Some(hold), .. } => {
                Why::new("stop_requested", format!("being stopped: {}", hold.why))
            }
            State::Stopping { hold: None, .. } => {
                Why::new("idle", "being stopped: it is idle and has no work")
            }
            State::HeldOnRequest { hold } if hold.down => {
                let who = hold.by.as_deref().unwrap_or_default();
                Why::new("down", format!("ended by {who} with the whole town (`down`)"))
            }
            State::HeldOnRequest { hold: Hold { by: Some(who), until, .. } } => {
                let until = until.map(|until| format!(" until {}", reason::at_second(until)));
                Why::new("stopped_by_operator", format!("stopped by {who}{}", until.unwrap_or_default()))
            }
            State::HeldOnRequest { hold } => {
                Why::new("stopped_on_request", format!("stopped on request: {}", hold.why))
            }
            State::CrashLoop { .. } => {
                let held = format!("held after {} restarts", lifecycle.history().restart_count);
                Why::new("crash_loop", and_its_start(held, lifecycle))
            }
        }
    }
}

/// Why it waits, and why `gt` did not start it before.
fn and_its_start(waits: String, lifecycle: &Lifecycle) -> String {
    match lifecycle.gt_failed() {
        Some(why) => format!("{waits}; its last start failed: {}", reading::shorten(why)),
        None => waits,
    }
}

impl WaitsFor {
    fn code(&self) -> &'static str {
        match self {
            WaitsFor::Backoff(_) => "backoff",
            WaitsFor::Turn => "paced",
            WaitsFor::OwnEnd(own) => own.code(),
            WaitsFor::Account(denial) => denial.code(),
            WaitsFor::Released => "account_usable",
            WaitsFor::AnotherTry(_) => "start_postponed",
            WaitsFor::Cleared => "backoff_cleared",
            WaitsFor::Changed => "restart_state_changed",
        }
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitsFor::Backoff(restart) => write!(f, "restart {restart} waits"),
            WaitsFor::Turn => f.write_str("restarts are paced after a mass death"),
            WaitsFor::OwnEnd(own) => own.fmt(f),
            WaitsFor::Account(denial) => denial.fmt(f),
            WaitsFor::Released => f.write_str("its account can be used again"),
            WaitsFor::AnotherTry(why) => f.write_str(why),
            WaitsFor::Cleared => f.write_str("its backoff was cleared"),
            WaitsFor::Changed => f.write_str("restart state was changed"),
        }
    }
}

/// The earliest time at which it is tried again by itself: the end of a wait, of a hold or of a crash loop; else the
/// end of its backoff. `None` when something else has to happen first.
pub fn next_try(lifecycle: &Lifecycle, now: Timestamp) -> Option<Timestamp> {
    match until(lifecycle.state()) {
        Some(until) => Some(until),
        None => lifecycle.history().backoff_until.filter(|until| *until > now),
    }
}

/// When this state ends by itself.
pub fn until(state: &State) -> Option<Timestamp> {
    match state {
        State::Waiting { why: WaitsFor::Account(Denial::UsageLimit { until, .. }), .. } => *until,
        State::Waiting { why: WaitsFor::Account(_), .. } => None,
        State::Waiting { until, .. } | State::Held { until, .. } => Some(*until),
        State::HeldOnRequest { hold } => hold.until,
        State::CrashLoop { trial_at } => Some(*trial_at),
        _ => None,
    }
}
