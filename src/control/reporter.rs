//! Reporter: gathers the report, once for all clients that ask at the same time (single-flight).
//!
//! The actors are asked again only when the last report is older than [`FRESH`]. No client waits longer than the limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ractor::ActorRef;
use tokio::sync::{Mutex, watch};

use super::{gather::gather, report::StatusReport};
use crate::{
    deps::Deps,
    ports::problems::OpenProblems,
    tree::{housekeeping::Process, root::RootMsg},
};

/// A report serves all clients that ask within this time after it was begun.
pub const FRESH: Duration = Duration::from_millis(20);
/// An actor that has not answered by then is shown as silent.
const LIMIT: Duration = Duration::from_millis(700);

/// Gathers reports; shared by all connections.
pub struct Reporter {
    deps: Arc<Deps>,
    problems: OpenProblems,
    process: Process,
    root: ActorRef<RootMsg>,
    last: Mutex<Option<(Duration, u64, Arc<StatusReport>)>>,
    /// Counts the commands that may have made the last report outdated.
    told: AtomicU64,
}

impl Reporter {
    /// The reporter of the supervisor with this root.
    pub fn new(deps: Arc<Deps>, problems: OpenProblems, process: Process, root: ActorRef<RootMsg>) -> Self {
        Reporter { deps, problems, process, root, last: Mutex::new(None), told: AtomicU64::new(0) }
    }

    /// The ports and registers.
    pub fn deps(&self) -> &Arc<Deps> {
        &self.deps
    }

    /// Moves when a problem begins, ends or changes.
    pub fn problems_changed(&self) -> watch::Receiver<()> {
        self.problems.changed()
    }

    /// The status report; `None` when the root does not answer.
    pub async fn report(&self) -> Option<Arc<StatusReport>> {
        let mut last = self.last.lock().await;
        let (now, told) = (self.deps.now().mono, self.told.load(Ordering::Relaxed));
        if let Some((at, after, report)) = &*last
            && now.saturating_sub(*at) < FRESH
            && *after == told
        {
            return Some(report.clone());
        }
        let report = Arc::new(gather((&self.deps, &self.problems), self.process, &self.root, LIMIT).await?);
        *last = Some((now, told, report.clone()));
        Some(report)
    }

    /// Sends the root a message; false when the root is gone.
    pub fn tell(&self, message: RootMsg) -> bool {
        self.told.fetch_add(1, Ordering::Relaxed);
        self.root.cast(message).is_ok()
    }
}
