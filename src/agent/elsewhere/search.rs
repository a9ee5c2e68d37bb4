//! The search of the process table for agents, shared by callers that ask at about the same time. It must not judge
//! what a process is.

use std::{sync::Arc, time::Duration};

use crate::{
    ports::Ports,
    processes::{ProcessesError, Resident},
    town::environment,
};

/// The variables that show which agent a process belongs to.
const VARIABLES: &[&str] = &[
    "GT_ROOT",
    "GT_TOWN_ROOT",
    "BD_ACTOR",
    "GT_ROLE",
    "GT_RIG",
    "GT_POLECAT",
    "GT_PROCESS_NAMES",
    "TMUX",
    environment::TOWN,
    environment::AGENT,
];

/// The time limit of a search: a process that hangs in the kernel can block its reader for ever.
const LIMIT: Duration = Duration::from_secs(5);
/// A search that timed out may leave a thread behind, so the next one waits this long.
const AFTER_A_HANG: Duration = Duration::from_secs(60);

type Seen = Result<Arc<Vec<Resident>>, ProcessesError>;

/// The result of the last search, and when it began; shared by all owners.
#[derive(Debug, Clone, Default)]
pub struct Elsewhere {
    last: Arc<tokio::sync::Mutex<Option<(Duration, Seen)>>>,
}

impl Elsewhere {
    /// The processes that may be agents, from a search that began at most this long ago.
    pub(super) async fn residents(&self, ports: &Ports, at_most: Duration) -> Seen {
        let asked = ports.now().mono;
        let mut last = self.last.lock().await;
        if let Some((begun, seen)) = &*last
            && *begun + at_most >= asked
        {
            return seen.clone();
        }
        let mut begun = ports.now().mono;
        let search = ports.processes.residents(VARIABLES, ports.paths.root());
        let seen = match tokio::time::timeout(LIMIT, search).await {
            Ok(seen) => seen.map(Arc::new),
            Err(_) => {
                begun += AFTER_A_HANG;
                Err(ProcessesError(format!("no answer within {LIMIT:?}")))
            }
        };
        *last = Some((begun, seen.clone()));
        seen
    }

    /// Drops what was found if it is too old to be shared: command lines and variables of all processes, some MiB where many run.
    pub(super) fn forget_old(&self, ports: &Ports) {
        let Ok(mut last) = self.last.try_lock() else { return };
        last.take_if(|(begun, _)| *begun + super::JUST_SEARCHED < ports.now().mono);
    }
}
