//! Readiness: whether a supervisor that was just started has taken over its town.
//!
//! This is the only place that decides it. The control socket comes last: an actor of the tree creates it, and the root
//! answers `/healthz` only when all its children run.

use std::{path::Path, time::Duration};

use hyper::StatusCode;

use super::running::{self, RunningError};
use crate::{
    control::http::Http,
    terminal,
    town::{paths::TownPaths, pid},
};

/// The time limit of one answer.
const ANSWER: Duration = Duration::from_secs(2);

/// What the supervisor of this id still lacks, for people; `None` when it holds the town's lock and its tree is built.
pub async fn missing(paths: &TownPaths, pid: u32) -> Result<Option<String>, RunningError> {
    if running::is_free(paths).await? {
        return Ok(Some(format!("it does not hold {} yet", shown(paths, &paths.daemon_lock()))));
    }
    if pid::read(&paths.pid_file()) != Some(pid) {
        return Ok(Some(format!("{} does not name it yet", shown(paths, &paths.pid_file()))));
    }
    Ok(match Http::new(paths.clone(), ANSWER).get("/healthz").await {
        Ok((StatusCode::OK, _)) => None,
        Ok((status, _)) => Some(format!("its root actor does not answer ({status})")),
        Err(error) => Some(format!("its control socket does not answer: {error}")),
    })
}

fn shown(paths: &TownPaths, file: &Path) -> String {
    terminal::path(paths.shown(file))
}
