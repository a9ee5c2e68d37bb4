//! The scan: one reading of all sessions and the processes in them. It is the truth; events are only hints.
//!
//! It takes one query to tmux and one reading of the process table, whatever the number of sessions. It must not
//! judge the result: [`liveness`](crate::agent::liveness) decides whether an agent lives.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Session, Sessions};
use crate::{
    clock::Now,
    go_duration,
    processes::{Process, Processes, ProcessesError},
};

/// The process trees of panes, by the pane process's id; or why they could not be read.
pub type Trees = Result<Arc<BTreeMap<u32, Vec<Process>>>, ProcessesError>;

/// The result of one full scan.
#[derive(Debug, Clone)]
pub struct Scan {
    /// When it started: processes that started later are not in it.
    pub begun: Now,
    /// All sessions by name, or why they could not be listed.
    pub sessions: Result<BTreeMap<String, Arc<Session>>, String>,
    /// The processes in the sessions' panes.
    pub trees: Trees,
}

/// What one scan showed of one session.
#[derive(Debug, Clone)]
pub enum Glimpse {
    /// The session does not exist.
    Absent,
    /// The session exists; the trees include the processes in its panes, and perhaps those of others.
    Present(Arc<Session>, Trees),
    /// It could not be found out, and why.
    Unknown(String),
}

impl Scan {
    /// A scan that failed, for this reason.
    pub fn failed(begun: Now, why: String) -> Scan {
        Scan { begun, sessions: Err(why), trees: Ok(Arc::default()) }
    }

    /// The result for one session.
    pub fn glimpse(&self, name: &str) -> Glimpse {
        match &self.sessions {
            Err(why) => Glimpse::Unknown(why.clone()),
            Ok(sessions) => match sessions.get(name) {
                None => Glimpse::Absent,
                Some(session) => Glimpse::Present(session.clone(), self.trees.clone()),
            },
        }
    }
}

/// Scans all sessions and processes.
pub async fn scan(sessions: &dyn Sessions, processes: &dyn Processes, now: Now) -> Scan {
    match sessions.list().await {
        Err(error) => Scan::failed(now, error.to_string()),
        Ok(list) => {
            let trees = trees(processes, &list).await;
            let sessions =
                list.into_iter().map(|session| (session.name.clone(), Arc::new(session))).collect();
            Scan { begun: now, sessions: Ok(sessions), trees }
        }
    }
}

/// Scans all sessions and processes, within this limit.
pub async fn scan_within(
    limit: Duration,
    sessions: &dyn Sessions,
    processes: &dyn Processes,
    now: Now,
) -> Scan {
    match tokio::time::timeout(limit, scan(sessions, processes, now)).await {
        Ok(scan) => scan,
        Err(_) => Scan::failed(now, format!("sessions were not listed within {}", go_duration::short(limit))),
    }
}

/// Reads one session anew.
pub async fn glimpse(sessions: &dyn Sessions, processes: &dyn Processes, name: &str) -> Glimpse {
    match sessions.find(name).await {
        Err(error) => Glimpse::Unknown(error.to_string()),
        Ok(None) => Glimpse::Absent,
        Ok(Some(session)) => {
            let trees = trees(processes, std::slice::from_ref(&session)).await;
            Glimpse::Present(Arc::new(session), trees)
        }
    }
}

async fn trees(processes: &dyn Processes, sessions: &[Session]) -> Trees {
    let roots: Vec<u32> = sessions
        .iter()
        .flat_map(|session| &session.panes)
        .filter(|pane| !pane.dead)
        .map(|pane| pane.pid)
        .collect();
    if roots.is_empty() {
        return Ok(Arc::default());
    }
    processes.trees(&roots).await.map(Arc::new)
}
