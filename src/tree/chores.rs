//! Chores: the files that tell others about this process, kept as they must be — state, PID and restart state.
//!
//! A disk that is full or a directory that is gone is reported once and retried; nothing stops because of it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    agent::{restart::RestartHistory, restart_ledger::RestartLedger},
    deps::Deps,
    ledger::Ledger,
    terminal,
    town::{
        daemon_state::DaemonState,
        reading::Reading,
        restart_state::{self, RestartEntry, RestartState},
    },
    writes::{Content, Write},
};

/// The problem of a restart state that cannot be read; over when it was written again.
pub const UNREADABLE: &str = "file/daemon/restart_state.json";

/// Histories are written so long after a change,
const HISTORIES_SETTLE: Duration = Duration::from_secs(2);
/// and then not again for so many times as long as it took.
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

/// Writes the PID file again when somebody deleted it or it does not name us; we hold the lock, so it is ours.
pub async fn keep_pid_file(deps: &Deps, pid: u32) {
    let path = deps.paths.pid_file();
    let ours = pid.to_string();
    match deps.files.read(&path).await {
        Ok(content) if content == ours.as_bytes() => {
            deps.problems.clear(&write_key(deps, &path));
        }
        _ => {
            if write(deps, path, ours.into_bytes()).await {
                tracing::info!("PID file was gone or not ours, written again");
            }
        }
    }
}

/// Reads `daemon/restart_state.json`. One that does not parse is kept beside it and started afresh; one that cannot be
/// read at all leaves what is known.
pub async fn read_restart_state(deps: &Deps) -> Option<BTreeMap<String, RestartHistory>> {
    let path = deps.paths.restart_state();
    let key = UNREADABLE;
    match deps.files.read(&path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(BTreeMap::new()),
        Err(error) => {
            deps.problems.report(key, format!("daemon/restart_state.json cannot be read: {error}"));
            None
        }
        Ok(bytes) => match Reading::of(deps.paths.shown(&path), Ok(bytes), restart_state::parse) {
            Reading::Good(state) => {
                deps.problems.clear(key);
                Some(state.agents.into_iter().map(|(agent, entry)| (agent, history(entry))).collect())
            }
            Reading::Missing => Some(BTreeMap::new()),
            Reading::Bad(problem) => {
                deps.problems.report(key, format!("{problem}; it is set aside as .corrupt and begun afresh"));
                if let Err(error) = deps.files.set_aside(&path, "corrupt").await {
                    tracing::warn!("daemon/restart_state.json could not be set aside: {error}");
                }
                Some(BTreeMap::new())
            }
        },
    }
}

/// Writes `daemon/restart_state.json` whenever an owner changed something. Never ends by itself.
pub async fn keep_restart_state(deps: &Deps) {
    let mut changed = deps.restarts.changed();
    while changed.changed().await.is_ok() {
        write_restart_state(deps).await;
    }
}

/// Writes the agents' histories some time after one changed, whatever changes meanwhile. Never ends by itself.
pub async fn keep_histories(deps: &Deps) {
    let mut changed = deps.histories.changed();
    // What changed under a root that crashed.
    if deps.histories.is_unsaved() {
        changed.mark_changed();
    }
    while changed.changed().await.is_ok() {
        tokio::time::sleep(HISTORIES_SETTLE).await;
        changed.mark_unchanged();
        let began = deps.now();
        // That it cannot be written was reported, and is retried.
        let _ = deps.histories.save(deps).await;
        // A slow disk, or a long history, is not written all the time.
        tokio::time::sleep(deps.now().since(began) * HISTORIES_REST).await;
    }
}

/// The last word on the agents' histories, at an orderly stop.
pub async fn close_histories(deps: &Deps) {
    deps.histories.supervisor_stops(deps.now().wall);
    // That it cannot be written was reported.
    let _ = deps.histories.save(deps).await;
}

/// Writes `daemon/restart_state.json` as it is known now.
pub async fn write_restart_state(deps: &Deps) {
    if write(deps, deps.paths.restart_state(), RestartFile(deps.restarts.clone())).await {
        deps.problems.clear(UNREADABLE);
    }
}

/// The restart state as it is known whenever it is written.
struct RestartFile(RestartLedger);

impl Content for RestartFile {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let agents = self.0.all().into_iter().map(|(agent, history)| (agent, entry(history))).collect();
        RestartState { agents, ..RestartState::default() }.to_bytes()
    }
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

fn history(entry: RestartEntry) -> RestartHistory {
    RestartHistory {
        last_restart: entry.last_restart,
        restart_count: entry.restart_count,
        backoff_until: entry.backoff_until,
        crash_loop_since: entry.crash_loop_since,
        recent: entry.recent,
    }
}

fn entry(history: RestartHistory) -> RestartEntry {
    RestartEntry {
        last_restart: history.last_restart,
        restart_count: history.restart_count,
        backoff_until: history.backoff_until,
        crash_loop_since: history.crash_loop_since,
        recent: history.recent,
        ..RestartEntry::default()
    }
}

/// Before the first retry of what could not be written; doubled for each that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Retries files and events that could not be written for as long as that lasts. Never ends by itself.
pub async fn keep_writing(ledger: &Ledger) {
    let mut failed = ledger.writes.failures();
    // What failed under an earlier caller.
    failed.mark_changed();
    while failed.changed().await.is_ok() {
        let mut pause = FIRST_RETRY;
        loop {
            tokio::time::sleep(pause).await;
            let files_fail = ledger.writes.retry(ledger).await;
            if ledger.outbox.waiting() > 0 {
                ledger.outbox.flush(ledger).await;
            }
            if !files_fail && ledger.outbox.waiting() == 0 {
                break;
            }
            pause = LONGEST_RETRY.min(pause * 2);
        }
    }
}
