//! The first screens of an agent that `gt` started: a program may ask something at its start, or meet a limit.
//!
//! A direct start reads the screen until the prompt shows. `gt` returns once the process runs, and the next scan that reads screens
//! may be a minute away. This only reads; it must not answer a question.

use std::time::Duration;

use super::Owner;
use crate::agent::{confirmation::SessionKey, nudge};

/// From the end of the start, and from one to the next.
const AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

impl Owner {
    /// Reads what an agent shows that `gt` has just started in this session.
    pub(super) fn read_first_screens(&mut self, session: SessionKey) {
        if !self.deps.dialect().facts().gt_starts_agents {
            return;
        }
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            for after in AFTER {
                tokio::time::sleep(after).await;
                // What cannot be read now is read with the next scan.
                let _ = nudge::read_screen(&deps, &spec, &session).await;
            }
        });
    }
}
