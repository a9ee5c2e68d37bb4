//! The program: how a tmux process of ours is started.
//!
//! Each gets its socket explicitly (`$TMUX` would override the default one) and our environment without the variables
//! that would reach the user's sessions through a server it starts. It has a process group of its own, so that Ctrl-C
//! in our terminal does not end it before the supervisor has closed the connection. It runs in `/`: a server that it
//! starts stays in its directory, and must not pin one.
#![allow(clippy::disallowed_methods, reason = "part of the tmux adapter, which runs tmux")]

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::town::environment;

/// Which tmux server to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Socket {
    /// The user's default server (`-L default`).
    Default,
    /// A socket of this name in tmux's directory (`-L`).
    Name(String),
    /// The socket at this path (`-S`).
    Path(PathBuf),
}

/// A tmux command line up to its socket, without the command itself. `-u`: names and screens are UTF-8 whatever our
/// locale is.
pub fn tmux(program: &PathBuf, socket: &Socket) -> Command {
    let mut command = Command::new(program);
    command.arg("-u");
    match socket {
        Socket::Default => command.args(["-L", "default"]),
        Socket::Name(name) => command.arg("-L").arg(name),
        Socket::Path(path) => command.arg("-S").arg(path),
    };
    environment::withhold(command.as_std_mut());
    command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .process_group(0);
    command
}
