//! Meanwhile: whether somebody stopped an agent by hand while its start waited for a slot or a remote.
//!
//! Nothing runs then that could end, so no end is reported: only the running command and the state file show the
//! stop. It must not decide what follows.

use super::{confirmation::StateFile, permission, spec::AgentSpec};
use crate::{clock::Now, deps::Deps, operator::rules};

/// The state of things when a start began.
#[derive(Debug)]
pub struct Meanwhile {
    begun: Now,
    said_stopped: bool,
}

impl Meanwhile {
    /// Records the current state.
    pub async fn begin(deps: &Deps, spec: &AgentSpec) -> Self {
        Meanwhile {
            begun: deps.now(),
            said_stopped: permission::state_file(deps, spec).await == StateFile::Stopped,
        }
    }

    /// How it is known that somebody stopped the agent since; `None` when nobody did.
    pub async fn stopped(&self, deps: &Deps, spec: &AgentSpec) -> Option<String> {
        let since = deps.operations.since(self.begun);
        // A later command may have reversed an earlier one.
        let last = rules::latest(&since, &spec.identity, false);
        if let Some(operation) = last.filter(|it| it.stops(&spec.identity)) {
            return Some(format!("`{}`", operation.line));
        }
        let says_stopped = permission::state_file(deps, spec).await == StateFile::Stopped;
        (says_stopped && !self.said_stopped).then(|| "Gas Town notes it as stopped".to_owned())
    }
}
