//! How the convoy watcher is, for a probe.

use jiff::Timestamp;
use serde::Serialize;

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConvoySnapshot {
    /// The child that tells closes.
    pub stream: StreamStatus,
    /// The last time `gt convoy check` was run.
    pub last_check: Option<CheckStatus>,
    /// When it is asked next whether there is an open convoy; `None` while convoys are not watched.
    pub next_timed: Option<Timestamp>,
    /// Whether there is an open convoy, as far as the last look found out.
    pub open_convoys: Option<bool>,
    /// Closes heard of, each once.
    pub closes_seen: u64,
    /// Lines of the child that were too long or could not be read.
    pub lines_skipped: u64,
}

/// The child that tells closes (`bd activity`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StreamStatus {
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It will be started.
    Waiting {
        /// When.
        until: Timestamp,
        /// Why it does not run, if it did.
        why: Option<String>,
    },
    /// There is none.
    Absent {
        /// Why.
        why: String,
    },
}

/// One run of `gt convoy check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckStatus {
    /// When it ended.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: String,
}
