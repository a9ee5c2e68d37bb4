//! The town's own tmux server: which of the sockets that are there `gt` 1.x uses for this town.
//!
//! It lists the sockets in tmux's directory; [`town::dialect::socket`](crate::town::dialect::socket) decides. It must not
//! connect to any of them.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that finds the tmux server")]

use std::{fs, io, os::unix::fs::FileTypeExt, path::Path};

use crate::{
    sessions::tmux::Socket,
    town::{dialect::socket, paths::TownPaths},
};

/// The name of the town's server. An error names the sockets between which it cannot be told.
pub async fn name(paths: &TownPaths) -> Result<String, Vec<String>> {
    let listed = tokio::task::spawn_blocking(|| sockets(&Socket::directory())).await;
    // A directory that cannot be read contains no server that could be used, either.
    let sockets = listed.ok().and_then(Result::ok).unwrap_or_default();
    socket::among(paths.root(), &sockets)
}

fn sockets(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
