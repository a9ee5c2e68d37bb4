//! The feed: what happens in the town, in one readable line each.
//!
//! Everybody in a Gas Town appends to the raw event log, `.events.jsonl`; the feed, `.feed.jsonl`, has what people want to see of
//! it. The curator ([`actor`]) finds what comes next in the log, whatever became of its file ([`follow`], [`position`]), cuts it
//! into lines, reads each ([`event`]), decides whether and how it appears ([`rules`]), and in which words ([`summary`]), and
//! carries that over ([`curate`]) so that a restart neither loses nor repeats a line ([`progress`]). Formats and words of Gas
//! Town 0.2.6 to 0.3 (`internal/feed/curator.go`, `internal/events/events.go`).

pub mod actor;
pub mod curate;
pub mod event;
pub mod follow;
mod lines;
pub mod position;
pub mod progress;
pub mod rules;
pub mod summary;
