//! A town of one file: what its root needs beside the ports, and the reading of that file.
//!
//! The file is `agents.toml`; what it means is the business of [`agents_file`](crate::agents_file). Nothing here may write it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    agents_file::{
        plan::Plan,
        reading::{Around, read as read_text},
    },
    terminal,
    town::{files::Files, standing::Standings},
};

/// What the root of such a town needs.
#[derive(Debug, Clone)]
pub struct OneFile {
    /// The sender of what is said of each agent.
    pub standings: Arc<watch::Sender<Arc<Standings>>>,
    /// The plan that was read when the supervisor started.
    pub plan: Arc<Plan>,
    /// The home of the user as whom the supervisor runs, for `~`; `None` where it is not known.
    pub home: Option<PathBuf>,
}

/// Reads the file: its bytes and its plan, else why there is none, with every mistake on a line of its own.
pub async fn read(files: &dyn Files, file: &Path, home: Option<&Path>) -> Result<(Vec<u8>, Plan), String> {
    let bytes = files.read(file).await.map_err(|error| format!("{}: {error}", terminal::path(file)))?;
    let around = Around { directory: file.parent().unwrap_or(file), home };
    let plan = read_text(file, &bytes, around).map_err(|mistakes| mistakes.to_string())?;
    Ok((bytes, plan))
}
