//! The stand-ins do what the real agents, `gt` and `bd` are relied on for, and tmux accepts what sessions are dressed in.
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
