//! Agents on a real tmux: the adapter, the stand-ins that play the agents, and the supervisor that keeps them.
//!
//! Each test has a town and a tmux socket of its own; nothing here touches the user's server.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]

mod adapter;
mod beside_the_user;
mod cleanup;
mod deacon;
mod deaths;
mod elsewhere;
mod exits;
mod foreign;
mod gate;
mod liveness;
mod nudge;
mod soak;
mod standin;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod watcher;
mod watching;
