//! The names of an agent's process, and the pane that holds one in a scan. Pure except for the shared cell.

use std::sync::Arc;

use parking_lot::Mutex;

use super::liveness::{ProcessNames, agent_pane};
use crate::sessions::{PaneTarget, scan::Scan};

/// The names that the last probe searched for. A process with one of them is the agent, whatever the settings say by
/// now, so a heartbeat reads no settings for healthy agents.
#[derive(Debug, Clone, Default)]
pub struct KnownNames(Arc<Mutex<Option<ProcessNames>>>);

impl KnownNames {
    /// A cell with these names.
    #[cfg(feature = "test-support")]
    pub fn of(names: ProcessNames) -> Self {
        KnownNames(Arc::new(Mutex::new(Some(names))))
    }

    /// The names; `None` before the first probe.
    pub(super) fn get(&self) -> Option<ProcessNames> {
        self.0.lock().clone()
    }

    /// Replaces the names.
    pub(super) fn set(&self, names: ProcessNames) {
        *self.0.lock() = Some(names);
    }
}

/// The pane an agent lives in, according to a scan; `None` also when its names are not known.
pub fn pane_in(scan: &Scan, session: &str, known: &KnownNames) -> Option<PaneTarget> {
    let (Ok(sessions), Ok(trees)) = (&scan.sessions, &scan.trees) else { return None };
    let session = sessions.get(session)?;
    Some(session.target(agent_pane(&session.panes, trees, &known.get()?)?))
}
