//! The stand-ins do what the supervisor relies on in the real agents, `gt` and `bd`, and tmux accepts the appearance
//! of sessions.
//!
//! On a real tmux with a private socket; nothing here touches the user's own server.

mod agents;
mod appearance;
mod commands;
mod tmux;

use std::{fs, path::Path};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
