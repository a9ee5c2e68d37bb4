//! Installed: whether Gas Town's programs can be run at all; one that cannot is told once.
//!
//! What is missing because of it, each part says for itself.

use crate::{commands::CommandError, deps::Deps};

/// One of the programs, and what is lost without it.
pub(super) struct Tool {
    /// Its key under `commands` in `settings/supervisor.json`.
    pub setting: &'static str,
    /// What does not work without it.
    pub without: &'static str,
}

impl Tool {
    /// Notes how a run of it ended: whether it is installed.
    pub(super) fn note<T>(&self, deps: &Deps, program: &str, ran: &Result<T, CommandError>) {
        let key = format!("command/{}", self.setting);
        match ran {
            Err(CommandError::NotFound { .. }) => {
                let text = format!(
                    "{program} is not installed or not on PATH: {}; install it, or set commands.{} in \
                     settings/supervisor.json",
                    self.without, self.setting
                );
                deps.problems.report(key, text);
            }
            _ => drop(deps.problems.clear(&key)),
        }
    }
}
