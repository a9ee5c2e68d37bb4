//! Installed: whether `bd` and `gt` can be run at all. A missing one is reported once.
//!
//! That report says what does not work without the program, so the parts that need it add nothing.

use crate::{
    commands::CommandError,
    ports::{
        Ports,
        problems::{Condition, ProblemKey},
    },
    town::dialect::Dialect,
};

/// Whether an error says only that a program is not installed, which the code that ran it has reported.
pub fn is_reported(error: &str) -> bool {
    error.contains(" is not installed or not on PATH (needed for ")
}

/// One of the programs, and what does not work without it.
#[derive(Debug)]
pub struct Tool {
    /// Its key under `commands` in `settings/supervisor.json`.
    pub setting: &'static str,
    /// What does not work without it in a town of January's Gas Town,
    pub without: &'static str,
    /// and in one of 1.x.
    pub without_in_v1: &'static str,
}

impl Tool {
    /// What does not work without it.
    pub fn without(&self, dialect: Dialect) -> &'static str {
        if dialect.is_v1() { self.without_in_v1 } else { self.without }
    }

    /// Notes from the result of a run whether the program is installed.
    pub(super) fn note<T>(&self, ports: &Ports, program: &str, ran: &Result<T, CommandError>) {
        let key = ProblemKey::from(format!("command/{}", self.setting)).meaning(Condition::MissingProgram);
        match ran {
            Err(CommandError::NotFound { .. }) => {
                let text = format!(
                    "{program} is not installed or not on PATH: {}; install it, or set commands.{} in \
                     settings/supervisor.json",
                    self.without(ports.dialect()),
                    self.setting
                );
                ports.problems.report(key, text);
            }
            _ => ports.problems.clear(&key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_where_it_was_run() {
        let line = || "bd show a".to_owned();
        let missing = CommandError::NotFound { program: "bd".into(), line: line() };
        let late = CommandError::TimedOut { line: line(), limit: std::time::Duration::from_secs(30) };
        assert!(is_reported(&missing.to_string()), "{missing}");
        assert!(is_reported(&format!("the deacon's inbox cannot be read: {missing}")));
        assert!(!is_reported(&late.to_string()), "{late}");
    }
}
