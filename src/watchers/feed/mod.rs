//! The feed: what happens in the town, in one readable line each.
//!
//! Every program of a Gas Town appends to the raw event log, `.events.jsonl`; the feed, `.feed.jsonl`, has the part
//! that people want to see. The curator ([`actor`]) finds the next bytes of the log, even when its file was replaced
//! ([`follow`], [`position`]), and cuts them into lines. It reads each line ([`event`]), decides whether and how it
//! appears ([`rules`]) and in which words ([`summary`]), and writes it to the feed ([`curate`]) so that a restart
//! neither loses nor repeats a line ([`progress`]). Formats and words of Gas Town 0.2.6 to 0.3
//! (`internal/feed/curator.go`, `internal/events/events.go`).

pub mod actor;
pub mod curate;
pub mod event;
pub mod follow;
mod lines;
pub mod position;
pub mod progress;
pub mod rules;
pub mod summary;
