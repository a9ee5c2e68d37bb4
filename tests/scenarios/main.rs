//! The whole tree on a simulated town: no real time, no real tmux, no disk.
//!
//! Named stories, one for each thing a town goes through, and seeded ones in which everything goes wrong. A seed that
//! fails prints the end of its trace and how to run it alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "tests keep tasks of their own")]

#[path = "../support/world/mod.rs"]
mod world;

mod lives;
mod seeds;
