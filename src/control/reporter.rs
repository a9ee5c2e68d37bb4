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
use tokio::sync::Mutex;

use super::{gather::gather, peer::Users, report::StatusReport};
use crate::{
    deps::Deps,
    ports::{metrics::Measured, problems::OpenProblems},
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
    measured: Measured,
    process: Process,
    root: ActorRef<RootMsg>,
    last: Mutex<Option<(Duration, u64, Arc<StatusReport>)>>,
    /// Counts the commands that may have made the last report outdated.
    told: AtomicU64,
    users: Users,
}

impl Reporter {
    /// The reporter of the supervisor with this root.
    pub fn new(
        deps: Arc<Deps>,
        (problems, measured): (OpenProblems, Measured),
        process: Process,
        root: ActorRef<RootMsg>,
    ) -> Self {
        Reporter {
            deps,
            problems,
            measured,
            process,
            root,
            last: Mutex::new(None),
            told: AtomicU64::new(0),
            users: Users::default(),
        }
    }

    /// The ports and registers.
    pub fn deps(&self) -> &Arc<Deps> {
        &self.deps
    }

    /// What was counted.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The supervisor's process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// The open problems.
    pub fn problems(&self) -> &OpenProblems {
        &self.problems
    }

    /// The names of the users who ask.
    pub fn users(&self) -> &Users {
        &self.users
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
