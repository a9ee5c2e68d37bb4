//! Meanwhile: whether somebody stopped an agent by hand while its start waited for a place or a remote.
//!
//! Nothing runs then that could be ended, so no end tells of it: only the command that was at work, and what it wrote down.
//! It must not decide what follows.

use super::{confirmation::StateFile, permission, spec::AgentSpec};
use crate::{clock::Now, deps::Deps, operator::rules};

/// How things were when a start was begun.
#[derive(Debug)]
pub struct Meanwhile {
    begun: Now,
    said_stopped: bool,
}

impl Meanwhile {
    /// As things are now.
    pub async fn begin(deps: &Deps, spec: &AgentSpec) -> Self {
        Meanwhile {
            begun: deps.now(),
            said_stopped: permission::state_file(deps, spec).await == StateFile::Stopped,
        }
    }

    /// How it is known that somebody stopped the agent since; `None` when nobody did.
    pub async fn stopped(&self, deps: &Deps, spec: &AgentSpec) -> Option<String> {
        let since = deps.operations.since(self.begun);
        // Somebody may have changed their mind.
        let last = rules::latest(&since, &spec.identity, false);
        if let Some(operation) = last.filter(|it| it.stops(&spec.identity)) {
            return Some(format!("`{}`", operation.line));
        }
        let says_stopped = permission::state_file(deps, spec).await == StateFile::Stopped;
        (says_stopped && !self.said_stopped).then(|| "Gas Town notes it as stopped".to_owned())
    }
}
