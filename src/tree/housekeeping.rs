//! Housekeeping: the files that tell others about this process, kept as they must be — state, PID and restart state.
//!
//! A disk that is full or a directory that is gone is reported once and retried; nothing stops because of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    deps::Deps,
    ports::{
        Ports,
        writes::{Content, Write},
    },
    terminal,
    town::daemon_state::DaemonState,
};

/// Debounce before histories are saved,
const HISTORIES_SETTLE: Duration = Duration::from_secs(2);
/// and the cool-down after a save, as a multiple of its duration.
const HISTORIES_REST: u32 = 100;

/// What stays the same about this process while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
}

/// Writes `daemon/state.json`, which `gt daemon status` reads.
pub async fn write_state(
    deps: &Deps,
    process: Process,
    running: bool,
    last_heartbeat: Option<Timestamp>,
    heartbeat_count: u64,
) {
    let state = DaemonState {
        running,
        pid: process.pid,
        started_at: Some(process.started_at),
        last_heartbeat,
        heartbeat_count,
    };
    write(deps, deps.paths.state(), state).await;
}

/// Rewrites the PID file when it was deleted or does not name us; we hold the lock, so it is ours.
pub async fn keep_pid_file(deps: &Deps, pid: u32) {
    let path = deps.paths.pid_file();
    let ours = pid.to_string();
    match deps.files.read(&path).await {
        Ok(content) if content == ours.as_bytes() => {
            deps.problems.clear(&write_key(deps, &path));
        }
        _ => {
            if write(deps, path, ours.into_bytes()).await {
                tracing::info!("PID file was missing or not ours, rewritten");
            }
        }
    }
}

/// Writes what is known of the agents whenever that changes. Never ends by itself.
pub async fn keep_records(deps: &Deps) {
    let mut changed = deps.records.changed();
    while changed.changed().await.is_ok() {
        deps.records.save(deps).await;
    }
}

/// Writes the agents' histories some time after something changed, whatever changes meanwhile. Never ends by itself.
pub async fn keep_histories(deps: &Deps) {
    let mut changed = deps.records.changed();
    while changed.changed().await.is_ok() {
        tokio::time::sleep(HISTORIES_SETTLE).await;
        changed.mark_unchanged();
        let began = deps.now();
        deps.records.save_histories(deps).await;
        // A slow disk, or a long history, is not written all the time.
        tokio::time::sleep(deps.now().since(began) * HISTORIES_REST).await;
    }
}

/// Saves the agents' histories a last time, at an orderly stop.
pub async fn close_histories(deps: &Deps) {
    deps.records.supervisor_stops(deps.now().wall);
    deps.records.save_histories(deps).await;
}

impl Content for DaemonState {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        self.to_bytes()
    }
}

/// Whether it could be written; that it could not is reported once, and retried.
async fn write(deps: &Deps, path: PathBuf, content: impl Content + 'static) -> bool {
    let key = write_key(deps, &path);
    let write = Write { path, mode: 0o644, key, content: Arc::new(content) };
    deps.writes.replace(deps, write).await.is_ok()
}

fn write_key(deps: &Deps, path: &Path) -> String {
    format!("write/{}", terminal::path(deps.paths.shown(path)))
}

/// Before the first retry of what could not be written; doubled for each that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Retries files and events that could not be written for as long as that lasts. Never ends by itself.
pub async fn keep_writing(ports: &Ports) {
    let mut failed = ports.writes.failures();
    // What failed under an earlier caller.
    failed.mark_changed();
    while failed.changed().await.is_ok() {
        let mut pause = FIRST_RETRY;
        loop {
            tokio::time::sleep(pause).await;
            if !ports.writes.retry(ports).await {
                break;
            }
            pause = LONGEST_RETRY.min(pause * 2);
        }
    }
}
