//! The commands of the world: `git`, `bd` and `gt`, as far as the supervisor uses them.

use std::{collections::BTreeSet, path::PathBuf};

use async_trait::async_trait;
use gastown_supervisor::commands::{Command, CommandError, Commands, Printed};

use super::{Answers, Fault, State, World, git, gt_starts, weather::pause};

#[async_trait]
impl Commands for World {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let line = command.line();
        let kinds = kinds(&command);
        let now = self.time();
        self.state().may_run(now, &command);
        self.state().may_run_of_gas_town(now, &command);
        let starts = self.starts(&command);
        let special = self.takes_in_gas_town_1(&command);
        let (hangs, fails, takes, missing) = {
            let mut state = self.state();
            let bad = if starts.is_some() { 0.0 } else { state.weather.commands };
            let (hangs, fails) = (state.chance(bad / 3.0), state.chance(bad));
            let takes = match command.program.as_str() {
                "git" if git::asks_a_remote(&command) => state.git_takes,
                "git" => super::millis(3),
                "bd" => state.bd_takes,
                _ => special.unwrap_or(super::millis(50)),
            };
            // `bd <rig>` is the `bd` on that rig's database.
            let name = |call: &&str| {
                kinds.contains(call)
                    || call.strip_prefix("bd ").is_some_and(|rig| databases(&state, &command).contains(rig))
            };
            (
                hangs || state.hanging.keys().any(name),
                fails || state.failing.iter().any(name),
                takes,
                // `sh` always exists.
                command.program != "sh" && !state.programs.contains(&command.program),
            )
        };
        self.provoke(&command.directory);
        let begun = self.time();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let (_one, _check) = (OneRun::begin(self, &command), self.convoy_check_begins(&words));
        let _sling = self.sling_begins(&words);
        self.state()
            .note(begun, true, || format!("run `{line}`{}", if hangs { ", which hangs" } else { "" }));
        if missing {
            return Err(CommandError::NotFound { program: command.program, line });
        }
        if let Some(starts) = starts {
            let fails = fails || self.state().gas_town_1.dolt != Answers::Well;
            let fault = hangs.then_some(Fault::Hangs).or(fails.then_some(Fault::Fails));
            return self.gt_start(&command, starts, fault).await;
        }
        pause(if hangs { command.limit } else { takes.min(command.limit) }).await;
        let now = self.time();
        if (hangs || fails) && self.state().breaks_late(&kinds) {
            let _ = self.state().gt_mail(now, &command);
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
        let prints = kinds.iter().find_map(|kind| self.state().prints.get(kind).cloned());
        if let Some(text) = prints {
            return Ok(Printed { stdout: text.into_bytes(), stderr: Vec::new() });
        }
        if let Some(done) = self.run_in_gas_town_1(&command) {
            return done;
        }
        match (command.program.as_str(), words.as_slice()) {
            ("git", _) => return self.state().git(now, &command),
            ("bd", _) if self.state().is_v1() => return self.state().bd_v1(&command),
            ("gt", ["mail", "inbox" | "delete" | "archive", ..]) => {
                return self.state().gt_mail(now, &command);
            }
            ("sh", ["-c", _]) => {
                let input = command.input.as_deref().unwrap_or_default();
                self.state().alerts.extend(serde_json::from_slice::<serde_json::Value>(input));
            }
            ("gt", ["mail", "send", to, "-s", subject, rest @ ..]) => {
                self.state().mails.push((now, (*to).to_owned(), (*subject).to_owned()));
                self.state().bodies.push((*rest.last().unwrap()).to_owned());
                self.state().was_mailed(now, subject);
            }
            ("gt", ["log", "crash", ..]) => {
                self.state().crash_logs.push((now, command.arguments[2..].to_vec()));
            }
            ("gt", ["convoy", "check"]) => {
                let stdout = self.state().convoys.check().into_bytes();
                return Ok(Printed { stdout, stderr: Vec::new() });
            }
            ("bd", ["list", "--type=convoy", "--status=open", "--limit", "0", "--json"]) => {
                let stdout = self.state().convoys.list().into_bytes();
                return Ok(Printed { stdout, stderr: Vec::new() });
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
        if program.contains('/') {
            let name = program.strip_prefix("/bin/").unwrap_or(program);
            return state.programs.contains(name).then(|| program.into());
        }
        state.programs.contains(program).then(|| PathBuf::from("/bin").join(program))
    }

    fn search_path(&self) -> Option<String> {
        Some("/bin".to_owned())
    }
}

impl World {
    /// The session that this command starts, and the variables of its agent.
    fn starts(&self, command: &Command) -> Option<(String, Vec<(&'static str, String)>)> {
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let is_it = command.program == "gt" && self.state().is_v1();
        gt_starts::started(&words).filter(|_| is_it)
    }
}

/// The names under which a command can be made to hang, to fail or to print something else: `command` means all of
/// them, `bd`, `gt` and `git` all of one program; those of `gt mail`, `gt convoy`, `gt sling`, `gt scheduler`, `gt krc`, `bd list` and `git
/// symbolic-ref` have their own.
fn kinds(command: &Command) -> Vec<&'static str> {
    let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
    let program = ["bd", "gt", "git"].into_iter().find(|program| command.program == *program);
    let of_it = match (program, words.as_slice()) {
        (Some("gt"), ["mail", word, ..]) => {
            ["inbox", "delete", "archive", "send"].into_iter().find(|kind| kind == word)
        }
        (Some("gt"), ["convoy", ..]) => Some("convoy"),
        (Some("gt"), ["sling", ..]) => Some("sling"),
        (Some("gt"), ["scheduler", ..]) => Some("scheduler"),
        (Some("gt"), ["krc", ..]) => Some("krc"),
        (Some("bd"), ["list", ..]) => Some("bd list"),
        (Some("git"), ["symbolic-ref", ..]) => Some("git symbolic-ref"),
        _ => None,
    };
    ["command"].into_iter().chain(program).chain(of_it).collect()
}

impl State {
    /// A town of one file needs nothing of Gas Town, nor `git`.
    fn may_run_of_gas_town(&mut self, now: std::time::Duration, command: &Command) {
        let is_own = !self.gas_town.dialect.is_gas_town();
        if is_own && ["gt", "bd", "git"].contains(&command.program.as_str()) {
            self.violated(now, format!("`{}` is run in a town of one file", command.line()));
        }
    }

    /// Whether a command that fails does so after its work; in bad weather, sometimes. Only for commands that remove
    /// a message from the inbox.
    fn breaks_late(&mut self, kinds: &[&str]) -> bool {
        let takes = kinds.contains(&"delete") || kinds.contains(&"archive");
        takes && (self.breaks_late || self.weather.commands > 0.0 && self.rng.bool())
    }
}

/// The databases that a run of `bd` uses: rigs, by the routes; an empty name is the town.
fn databases(state: &State, command: &Command) -> BTreeSet<String> {
    let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
    if state.is_v1() && command.program == "bd" && words != ["version"] {
        return [state.database_here(command)].into();
    }
    let rigs: Vec<String> = state.routed_rigs();
    let of = |id: &str| {
        let fitting = rigs.iter().filter(|rig| id.starts_with(&format!("{rig}-")));
        fitting.max_by_key(|rig| rig.len()).cloned().unwrap_or_default()
    };
    match (command.program.as_str(), words.as_slice()) {
        ("bd", ["show", ids @ ..]) => {
            ids.iter().filter(|id| !id.starts_with("--")).map(|id| of(id)).collect()
        }
        ("bd", ["list", ..]) => [String::new()].into(),
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
