//! Scope: a limit of memory for an agent that is started directly (`start.memory.max`).
//!
//! systemd's manager of the user gives the agent a scope, a cgroup of its own, in which the kernel ends it before it takes the memory
//! of others. `systemd-run --scope` executes the program, so that the pane's process becomes the agent, as without it. Whether
//! that works is found out once, by a scope in which nothing is done. Where it does not, the agent is started without a limit.

use std::{collections::BTreeMap, time::Duration};

use super::Start;
use crate::{
    commands::{Command, CommandError},
    deps::Deps,
    ports::problems::ProblemKey,
    town::settings::amount::Amount,
};

/// Executes another program with other variables.
const ENV: &str = "/usr/bin/env";
/// The time limit of the trial.
const TRIAL: Duration = Duration::from_secs(10);
/// A trial that failed is repeated after this: the user's manager may not have been up yet.
const FAILED_FOR: Duration = Duration::from_secs(10 * 60);
/// The problem that agents get no limit.
const PROBLEM: &str = "start.memory.max";

impl Start<'_> {
    /// The words that run this command with its own limit or that of its role; the command itself where there is none.
    pub(super) async fn in_a_scope(&self, command: Vec<String>) -> Vec<String> {
        let settings = &self.deps.settings().start.memory;
        let (key, max, what) = match self.deps.standing(&self.spec.identity) {
            Some(said) => {
                let what = format!("{} is started without its limit memory.max", self.spec.identity);
                (self.spec.problem_key("memory"), said.memory, what)
            }
            None => {
                let what = "agents are started without the limit start.memory.max".to_owned();
                (ProblemKey::named(PROBLEM), settings.max.of(self.spec.identity.role()), what)
            }
        };
        // One problem of all agents is over only when none has a limit.
        let is_over = self.has_gt() && !settings.max.is_set() || !self.has_gt() && max.is_none();
        if is_over {
            self.deps.problems.clear(&key);
        }
        let Some(max) = max else { return command };
        match works(self.deps, max).await {
            Ok(()) => {
                self.deps.problems.clear(&key);
                scope(max, command)
            }
            Err(why) => {
                self.deps.problems.report(key, format!("{what}: {why}"));
                command
            }
        }
    }
}

/// The words that execute this command in a scope with this limit. The variable leads to the user's manager; the tmux server may
/// not have it.
fn scope(max: Amount, command: impl IntoIterator<Item = String>) -> Vec<String> {
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", rustix::process::geteuid().as_raw());
    let max = format!("MemoryMax={max}");
    let words = [ENV, &runtime, "systemd-run", "--user", "--scope", "--collect", "--quiet", "-p", &max, "--"];
    words.into_iter().map(str::to_owned).chain(command).collect()
}

/// Whether agents can be given a limit; an error says why not.
async fn works(deps: &Deps, max: Amount) -> Result<(), String> {
    let now = deps.now().mono;
    let mut known = deps.starts.scopes.lock().await;
    if let Some((at, works)) = &*known
        && (works.is_ok() || now.saturating_sub(*at) < FAILED_FOR)
    {
        return works.clone();
    }
    let mut words = scope(max, ["true".to_owned()]).into_iter();
    let trial = Command {
        program: words.next().unwrap_or_default(),
        arguments: words.collect(),
        directory: deps.paths.root().to_owned(),
        environment: BTreeMap::new(),
        input: None,
        limit: TRIAL,
    };
    let works = match deps.commands.run(trial).await {
        Ok(_) => Ok(()),
        Err(CommandError::Failed { code: Some(127), .. }) => Err("systemd-run is not installed".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    *known = Some((now, works.clone()));
    works
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_put_before_the_command() {
        for (max, property) in [
            (Amount::Bytes(2 << 30), "MemoryMax=2147483648"),
            (Amount::Percent(25.0), "MemoryMax=25%"),
            (Amount::Percent(2.5), "MemoryMax=2.5%"),
        ] {
            let words = scope(max, ["/usr/bin/env", "-u", "GT_CREW", "claude", "do it"].map(str::to_owned));
            assert_eq!(words[0], "/usr/bin/env");
            assert!(words[1].starts_with("XDG_RUNTIME_DIR=/run/user/"), "{words:?}");
            assert_eq!(words[2..7].join(" "), "systemd-run --user --scope --collect --quiet");
            let rest = ["-p", property, "--", "/usr/bin/env", "-u", "GT_CREW", "claude", "do it"];
            assert_eq!(words[7..], rest);
        }
    }
}
