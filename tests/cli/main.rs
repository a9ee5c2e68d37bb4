//! The binary from outside: its files in the town, signals, a second supervisor, and bad input.
//!
//! Each test has a town and a tmux socket of its own. Tests that measure time run alone.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]

mod acting;
mod adoption;
mod agents_file;
mod alerts;
mod asking;
mod at_a_glance;
mod background;
mod bad_day;
mod bad_files;
mod completing;
mod conversations;
mod convoys;
mod deaths;
mod doctor;
mod doctor_live;
mod earlier;
mod effective_settings;
mod endpoint;
mod environment;
#[path = "../support/exposition.rs"]
mod exposition;
mod feed;
mod files;
mod full_disk;
mod gas_town_1;
mod help;
mod hostile_path;
mod log;
mod logs;
mod lost_town;
mod mail;
mod metrics;
mod nudging;
mod one_file;
mod operators;
mod own_town;
mod page;
mod refusals;
mod reload;
mod restarting;
mod service;
mod shutdown_lock;
mod socket;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod tools;
mod top;
mod v1_standin;
mod v1_town;
mod wrong_kinds;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static QUIET: RwLock<()> = RwLock::new(());

/// Held by a test that measures nothing.
fn among_others() -> RwLockReadGuard<'static, ()> {
    support::limits::lock("the end of a test that runs alone", |limit| QUIET.try_read_for(limit))
}

/// Held by a test that measures time: no other test of this binary runs meanwhile.
fn alone() -> RwLockWriteGuard<'static, ()> {
    support::limits::lock("the end of all other tests", |limit| QUIET.try_write_for(limit))
}
