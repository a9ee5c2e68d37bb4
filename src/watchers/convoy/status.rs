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
    /// How convoys are fed, in a town of Gas Town 1.x.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedStatus>,
}

/// How the next steps of convoys are slung.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// The last scan for convoys that nobody works on.
    pub last_scan: Option<CheckStatus>,
    /// How many there were at the last scan that could list them.
    pub stranded: Option<usize>,
    /// How many issues were slung since the start.
    pub fed: u64,
    /// When the next scan is due; `None` while convoys are not watched.
    pub next_scan: Option<Timestamp>,
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

/// One run of `gt convoy check`, or one scan for convoys that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckStatus {
    /// When it ended.
    pub at: Timestamp,
    /// Its result, for people.
    pub outcome: String,
}
