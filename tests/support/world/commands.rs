//! The commands of the world: `git`, `bd` and `gt`, each as far as the supervisor runs it.

use std::{collections::BTreeSet, path::PathBuf};

use async_trait::async_trait;
use gastown_supervisor::commands::{Command, CommandError, Commands, Printed};

use super::{State, World, weather::pause};

#[async_trait]
impl Commands for World {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let line = command.line();
        let (hangs, fails, takes) = {
            let mut state = self.state();
            let bad = state.weather.commands;
            let (hangs, fails) = (state.chance(bad / 3.0), state.chance(bad));
            let takes = match command.program.as_str() {
                "git" => state.git_takes,
                "bd" => state.bd_takes,
                _ => super::millis(50),
            };
            // `command` is all of them, `bd` and `gt` are only those, `bd <rig>` is the one on that rig's database.
            let name = |call: &&str| {
                *call == "command"
                    || *call == command.program
                    || call.strip_prefix("bd ").is_some_and(|rig| databases(&state, &command).contains(rig))
            };
            (hangs || state.hanging.keys().any(name), fails || state.failing.iter().any(name), takes)
        };
        self.provoke(&command.directory);
        let begun = self.time();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let _one = OneRun::begin(self, &command);
        self.state()
            .note(begun, true, || format!("run `{line}`{}", if hangs { ", which hangs" } else { "" }));
        pause(if hangs { command.limit } else { takes.min(command.limit) }).await;
        let now = self.time();
        // `sh` is everywhere.
        if matches!(command.program.as_str(), "bd" | "gt" | "git")
            && !self.state().programs.contains(&command.program)
        {
            return Err(CommandError::NotFound { program: command.program, line });
        }
        if hangs || takes >= command.limit {
            self.state().note(now, true, || format!("`{line}` timed out"));
            return Err(CommandError::TimedOut { line, limit: command.limit });
        }
        if fails {
            let status = "exit code 1".to_owned();
            let stderr = "it failed".to_owned();
            return Err(CommandError::Failed { line, status, code: Some(1), stdout: Vec::new(), stderr });
        }
        match (command.program.as_str(), words.as_slice()) {
            ("gt", ["mail", "send", to, "-s", subject, ..]) => {
                self.state().mails.push((now, (*to).to_owned(), (*subject).to_owned()));
                self.state().was_mailed(now, subject);
            }
            ("gt", ["log", "crash", ..]) => {
                self.state().crash_logs.push((now, command.arguments[2..].to_vec()));
            }
            ("bd", ["show", ..]) => {
                let (code, stdout, stderr) = self.state().bd_show(&command.arguments[1..]);
                let (stdout, status) = (stdout.into_bytes(), format!("exit code {code}"));
                return match code {
                    0 => Ok(Printed { stdout, stderr: stderr.into_bytes() }),
                    _ => Err(CommandError::Failed { line, status, code: Some(code), stdout, stderr }),
                };
            }
            ("bd", ["version"]) => {
                let stdout = self.state().bd_version.as_bytes().to_vec();
                return Ok(Printed { stdout, stderr: Vec::new() });
            }
            _ => {}
        }
        Ok(Printed::default())
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        let state = self.state();
        state.programs.contains(program).then(|| PathBuf::from("/bin").join(program))
    }
}

/// The databases a run of `bd` touches: rigs, by the routes; an empty name is the town.
fn databases(state: &State, command: &Command) -> BTreeSet<String> {
    let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
    let rigs: Vec<String> = state.routed_rigs();
    let of = |id: &str| {
        let fitting = rigs.iter().filter(|rig| id.starts_with(&format!("{rig}-")));
        fitting.max_by_key(|rig| rig.len()).cloned().unwrap_or_default()
    };
    match (command.program.as_str(), words.as_slice()) {
        ("bd", ["show", ids @ ..]) => {
            ids.iter().filter(|id| !id.starts_with("--")).map(|id| of(id)).collect()
        }
        ("bd", ["sync"]) => {
            let directory = command.directory.strip_prefix(super::TOWN).unwrap_or(&command.directory);
            let rig = directory.iter().next().map(|name| name.to_string_lossy().into_owned());
            [rig.filter(|rig| rigs.contains(rig)).unwrap_or_default()].into()
        }
        _ => BTreeSet::new(),
    }
}

/// One run of `bd` on its databases, until it is dropped: two must never overlap on one.
struct OneRun(World, BTreeSet<String>);

impl OneRun {
    fn begin(world: &World, command: &Command) -> Self {
        let now = world.time();
        let mut state = world.state();
        let touched = databases(&state, command);
        for database in &touched {
            if !state.bd_at_work.insert(database.clone()) {
                state.violated(
                    now,
                    format!("two runs of bd on the database of {database:?} at the same time"),
                );
            }
        }
        OneRun(world.clone(), touched)
    }
}

impl Drop for OneRun {
    fn drop(&mut self) {
        self.0.state().bd_at_work.retain(|database| !self.1.contains(database));
    }
}
