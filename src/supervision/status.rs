//! The status of one agent, as its actor answers and reports show it. Pure.

use jiff::Timestamp;

/// What a probe shows of an agent.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AgentStatus {
    /// Its identity, such as `gastown/witness`.
    pub identity: String,
    /// Its role, such as `witness`.
    pub role: String,
    /// Its rig, if it has one.
    pub rig: Option<String>,
    /// Its session's name.
    pub session: String,
    /// `alive`, `waiting_at_question`, `starting`, `confirming`, `waiting`, `held`, `crash_loop`, `paused`, `absent` or `unknown`: see [`Phase`](crate::agent::phase::Phase).
    pub state: &'static str,
    /// Since when it is so, as far as is known: of one that was found running, since its session was made; an earlier
    /// supervisor's knowledge counts.
    pub since: Timestamp,
    /// Restarts since it was last stable.
    pub restarts: u32,
    /// When it is tried again by itself: no start before this.
    pub backoff_until: Option<Timestamp>,
    /// Why it is in this state, where there is a reason.
    pub reason: Option<String>,
    /// The same for machines.
    pub reason_code: Option<&'static str>,
    /// The last end of it that nobody meant.
    pub last_end: Option<End>,
}

/// An end that nobody meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct End {
    /// When it was noticed.
    pub noticed: Timestamp,
    /// When it was confirmed.
    pub confirmed: Timestamp,
    /// What is known of it ("crashed (exit 137)").
    pub reason: String,
}
