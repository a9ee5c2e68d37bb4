//! The status of one agent, as its actor answers and reports show it. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The status of an agent.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AgentStatus {
    /// Its identity, such as `gastown/witness`.
    pub identity: String,
    /// Its role, such as `witness`.
    pub role: String,
    /// Its rig; `None` for an agent of the town.
    pub rig: Option<String>,
    /// Its session's name.
    pub session: String,
    /// `alive`, `waiting_at_question`, `starting`, `confirming`, `waiting`, `held`, `crash_loop`, `paused`, `absent` or `unknown`: see [`Phase`](crate::agent::phase::Phase).
    pub state: &'static str,
    /// Since when it is in this state, as far as is known. For an agent that was found running: since its session was
    /// created. What an earlier supervisor knew counts.
    pub since: Timestamp,
    /// Restarts since it was last stable.
    pub restarts: u32,
    /// The earliest time at which it is tried again by itself.
    pub backoff_until: Option<Timestamp>,
    /// The reason for this state, if there is one.
    pub reason: Option<String>,
    /// The code of the reason, for machines.
    pub reason_code: Option<&'static str>,
    /// What it is doing while it is alive, as far as is known.
    pub activity: Option<Doing>,
    /// Why its transcript does not say what it is doing, where that is known.
    pub activity_doubt: Option<String>,
    /// Its last end that nobody intended.
    pub last_end: Option<End>,
    /// The name of the process that is the agent, as of the last probe.
    pub program: Option<String>,
    /// The PID of that process.
    pub pid: Option<u32>,
    /// The bead on its hook, where that is known.
    pub hook: Option<String>,
    /// When the session in which it lives was created.
    pub started_at: Option<Timestamp>,
    /// How it died last, also under an earlier supervisor.
    pub last_exit: Option<Exit>,
    /// What the checks of its health say while it is alive; `None` where it is not checked.
    pub health: Option<Health>,
}

/// What the checks of an agent's health say.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub state: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// How many checks in a row have failed.
    pub failures: u32,
    /// What the last failure said, without secrets, if the last check failed.
    pub said: Option<String>,
}

/// How an agent died last.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When it died.
    pub at: Timestamp,
    /// Its exit status as a shell reports it (128 plus the signal's number), where it is known.
    pub exit: Option<i32>,
    /// The signal that ended it (`SIGKILL`).
    pub signal: Option<String>,
}

/// An exit status for people: `SIGKILL (137)`, `exit 1`; `None` when it is not known.
pub fn exit_in_words(exit: Option<i32>, signal: Option<&str>) -> Option<String> {
    match (exit?, signal) {
        (exit, Some(signal)) => Some(format!("{signal} ({exit})")),
        (exit, None) => Some(format!("exit {exit}")),
    }
}

/// What a living agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Doing {
    /// `working`, `idle`, `waiting_at_question`, `limited`, `logged_out` or `hung`.
    pub activity: &'static str,
    /// The program's own sentence, the question, or why it may be hung.
    pub detail: Option<String>,
    /// `transcript`, `screen` or `processes`.
    pub source: String,
    /// Since when.
    pub since: Timestamp,
}

/// An end that nobody intended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// When it was noticed.
    pub noticed: Timestamp,
    /// When it was confirmed.
    pub confirmed: Timestamp,
    /// The cause as far as known ("crashed (exit 137)").
    pub reason: String,
}
