//! `daemon/shutting-down`: the file in which a `gt down` of Gas Town 1.x notes its PID while it stops the town.
//!
//! It counts while a living `gt` has that PID. It may be left from one that was killed, and then another program may have
//! the PID. From gt 1.0.1 (`internal/cmd/down.go`). This must not remove the file.

use std::io;

use crate::{operator::register::programs, ports::Ports, town::pid};

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShuttingDown {
    /// There is no such file.
    No,
    /// This `gt` is at work.
    By(u32),
    /// No `gt` of this PID runs: the file was left behind.
    Left(u32),
}

/// Reads the file and looks for its process; an error says why that could not be found out.
pub async fn look(ports: &Ports) -> io::Result<ShuttingDown> {
    let content = match ports.files.read(&ports.paths.shutting_down()).await {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(ShuttingDown::No);
        }
        Err(error) => return Err(error),
    };
    let named = pid::parse(&content);
    let pid = named.ok_or_else(|| io::Error::other("it does not contain a process id"))?;
    let trees = ports.processes.trees(&[pid]).await.map_err(io::Error::other)?;
    let found = trees.get(&pid).and_then(|tree| tree.first());
    let programs = programs(ports);
    // A process whose names cannot be read may be anything.
    let is_gt =
        found.is_some_and(|it| it.names.is_empty() || it.names.iter().any(|name| programs.contains(name)));
    Ok(if is_gt { ShuttingDown::By(pid) } else { ShuttingDown::Left(pid) })
}
