//! PID files of `gt`: which process such a file names, and whether that can be the `gt` that wrote it.
//!
//! Gas Town 1.x has two: `daemon/shutting-down`, with the PID of a `gt down` at work, and `mayor/mayor-acp.pid`, with that of the
//! `gt` through which the mayor runs as an ACP process (gt 1.0.1, `internal/cmd/down.go`, `internal/mayor/cleanup.go`). A file may
//! be left from a `gt` that was killed, and then another program may have its PID. This must not remove the file.

use std::{io, path::Path};

use crate::{operator::register::programs, ports::Ports, town::pid};

/// What such a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// There is no such file.
    Nobody,
    /// A `gt` of this PID runs.
    Gt(u32),
    /// Another program has this PID: the file was left behind.
    Another(u32),
    /// No process has this PID: the file was left behind.
    Ended(u32),
}

/// Reads the file and looks for its process; an error says why that could not be found out.
pub async fn look(ports: &Ports, path: &Path) -> io::Result<Named> {
    let content = match ports.files.read(path).await {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Named::Nobody);
        }
        Err(error) => return Err(error),
    };
    let named = pid::parse(&content);
    let pid = named.ok_or_else(|| io::Error::other("it does not contain a process id"))?;
    let trees = ports.processes.trees(&[pid]).await.map_err(io::Error::other)?;
    let Some(found) = trees.get(&pid).and_then(|tree| tree.first()) else { return Ok(Named::Ended(pid)) };
    let programs = programs(ports);
    // A process whose names cannot be read may be anything.
    let is_gt = found.names.is_empty() || found.names.iter().any(|name| programs.contains(name));
    Ok(if is_gt { Named::Gt(pid) } else { Named::Another(pid) })
}
