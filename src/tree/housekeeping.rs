//! Housekeeping: keeps the files that show this process to other programs up to date: state, PID and restart state.
//!
//! A full disk or a missing directory is reported once and retried; nothing stops because of it.

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

/// The debounce before histories are saved,
const HISTORIES_SETTLE: Duration = Duration::from_secs(2);
/// and the cool-down after a save, as a multiple of its duration.
const HISTORIES_REST: u32 = 100;

/// Facts about this process that do not change while it runs.
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

/// Writes which file of its directory this supervisor runs, for the commands of the other ones; in a Gas Town there is none.
pub async fn write_running_file(deps: &Deps) {
    let file = deps.paths.agents_file();
    if let Some(name) = file.as_deref().and_then(Path::file_name) {
        write(deps, deps.paths.running_file(), name.as_encoded_bytes().to_vec()).await;
    }
}

/// Rewrites the PID file when it was deleted or does not name us; we hold the lock, so the file is ours.
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

/// Writes the agents' records whenever they change. Never returns.
pub async fn keep_records(deps: &Deps) {
    let mut changed = deps.records.changed();
    while changed.changed().await.is_ok() {
        deps.records.save(deps).await;
    }
}

/// Writes what is known of accounts whenever that changes. Never returns.
pub async fn keep_accounts(deps: &Deps) {
    let mut changed = deps.accounts.changed();
    while changed.changed().await.is_ok() {
        deps.accounts.save(deps).await;
    }
}

/// Writes the agents' histories a fixed time after one changed, whatever changes meanwhile. Never returns.
pub async fn keep_histories(deps: &Deps) {
    let mut changed = deps.records.changed();
    while changed.changed().await.is_ok() {
        tokio::time::sleep(HISTORIES_SETTLE).await;
        changed.mark_unchanged();
        let began = deps.now();
        if !deps.settings().history.last_screen {
            deps.records.forget_last_screens();
            changed.mark_unchanged();
        }
        deps.records.save_histories(deps).await;
        // A slow disk, or a long history, must not lead to constant writing.
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

/// Returns whether it could be written; a failure is reported once, and retried.
async fn write(deps: &Deps, path: PathBuf, content: impl Content + 'static) -> bool {
    let key = write_key(deps, &path);
    let write = Write { path, mode: 0o644, key, content: Arc::new(content) };
    deps.writes.replace(deps, write).await.is_ok()
}

fn write_key(deps: &Deps, path: &Path) -> String {
    format!("write/{}", terminal::path(deps.paths.shown(path)))
}

/// The delay before the first retry of a failed write; doubled for each that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Retries failed writes of files and events while there are any. Never returns.
pub async fn keep_writing(ports: &Ports) {
    let mut failed = ports.writes.failures();
    // Failures under an earlier caller.
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
