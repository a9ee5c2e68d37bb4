//! The status of one agent, as its actor answers and reports show it. Pure.

use jiff::Timestamp;

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
    /// Its last end that nobody intended.
    pub last_end: Option<End>,
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
