//! The convoy watcher's part of the status.

use jiff::Timestamp;
use serde::Serialize;

/// The convoy watcher's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConvoySnapshot {
    /// How earlier versions noticed closes.
    pub stream: StreamStatus,
    /// The last time `gt convoy check` was run.
    pub last_check: Option<CheckStatus>,
    /// When convoys are checked next if one is open, complete or not; `None` while convoys are not watched.
    pub next_timed: Option<Timestamp>,
    /// Whether there is an open convoy, as of the last round.
    pub open_convoys: Option<bool>,
    /// The number of beads of open convoys that were found closed.
    pub closes_seen: u64,
    /// Always 0: there is no stream.
    pub lines_skipped: u64,
}

/// Only for programs that read it: `bd activity` is no longer followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StreamStatus {
    /// There is no stream.
    Absent {
        /// Why.
        why: &'static str,
    },
}

/// One run of `gt convoy check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckStatus {
    /// When it ended.
    pub at: Timestamp,
    /// Its result, for people.
    pub outcome: String,
}
