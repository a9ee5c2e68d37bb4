//! The stand-ins do what the real agents, `gt` and `bd` are relied on for, and tmux accepts what sessions are dressed in.
//!
//! On a real tmux with a private socket; nothing here touches the user's own server.
#![allow(clippy::disallowed_methods, reason = "tests run programs and touch the disk")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up fails")]

mod agents;
mod appearance;
mod commands;
#[path = "../support/standin.rs"]
mod support;
mod tmux;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Waits until `holds`, looking again every few milliseconds; fails with `what` after 20 seconds.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 20 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
