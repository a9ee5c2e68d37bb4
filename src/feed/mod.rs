//! The feed: what happens in the town, in one readable line each.
//!
//! Everybody in a Gas Town appends to the raw event log, `.events.jsonl`; the feed, `.feed.jsonl`, has what people want to see of
//! it. A line of the log is read ([`event`]), it is decided whether and how it appears ([`rules`]), and in which words
//! ([`summary`]). Formats and words of Gas Town 0.2.6 to 0.3 (`internal/feed/curator.go`, `internal/events/events.go`).

pub mod event;
pub mod rules;
pub mod summary;
