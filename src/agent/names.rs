//! The names an agent's process is looked for under, and the pane that holds one in a scan. Pure but for the names' cell.

use std::sync::Arc;

use parking_lot::Mutex;

use super::liveness::{ProcessNames, agent_pane};
use crate::sessions::{PaneTarget, scan::Scan};

/// The names under which an agent was last looked for. One that is found under them is alive, whatever the settings say by
/// now, so a heartbeat reads no settings for agents that are well.
#[derive(Debug, Clone, Default)]
pub struct KnownNames(Arc<Mutex<Option<ProcessNames>>>);

impl KnownNames {
    /// These names.
    #[cfg(feature = "test-support")]
    pub fn of(names: ProcessNames) -> Self {
        KnownNames(Arc::new(Mutex::new(Some(names))))
    }

    /// Them, if there are any.
    pub(super) fn get(&self) -> Option<ProcessNames> {
        self.0.lock().clone()
    }

    /// From now on these.
    pub(super) fn set(&self, names: ProcessNames) {
        *self.0.lock() = Some(names);
    }
}

/// The pane an agent lives in, as a scan shows it, when it is known under which names to look for it.
pub fn pane_in(scan: &Scan, session: &str, known: &KnownNames) -> Option<PaneTarget> {
    let (Ok(sessions), Ok(trees)) = (&scan.sessions, &scan.trees) else { return None };
    let session = sessions.get(session)?;
    Some(session.target(agent_pane(&session.panes, trees, &known.get()?)?))
}
