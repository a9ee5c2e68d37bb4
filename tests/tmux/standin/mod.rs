//! The stand-ins do what the real agents, `gt` and `bd` are relied on for, and tmux accepts what sessions are dressed in.
//!
//! On a real tmux with a private socket; nothing here touches the user's own server.

mod agents;
mod appearance;
mod commands;
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
