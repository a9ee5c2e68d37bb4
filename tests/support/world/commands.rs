//! The commands of the world: `git`, `bd` and `gt`, each as far as the supervisor runs it.

use std::path::PathBuf;

use async_trait::async_trait;
use gastown_supervisor::commands::{Command, CommandError, Commands, Printed};

use super::{State, World, weather::pause};

#[async_trait]
impl Commands for World {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let line = command.line();
        let kinds = kinds(&command);
        let (hangs, fails, takes, missing) = {
            let mut state = self.state();
            let bad = state.weather.commands;
            let (hangs, fails) = (state.chance(bad / 3.0), state.chance(bad));
            let takes = match command.program.as_str() {
                "git" => state.git_takes,
                "bd" => state.bd_takes,
                _ => super::millis(50),
            };
            (
                hangs || kinds.iter().any(|kind| state.hanging.contains_key(kind)),
                fails || kinds.iter().any(|kind| state.failing.contains(kind)),
                takes,
                kinds.len() > 1 && !state.programs.contains(&command.program),
            )
        };
        self.provoke(&command.directory);
        let begun = self.time();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let _one = (command.program == "bd" && words.first() == Some(&"show")).then(|| OneRead::begin(self));
        self.state()
            .note(begun, true, || format!("run `{line}`{}", if hangs { ", which hangs" } else { "" }));
        if missing {
            return Err(CommandError::NotFound { program: command.program, line });
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
        match (command.program.as_str(), words.as_slice()) {
            ("gt", ["mail", "inbox" | "delete" | "archive", ..]) => {
                return self.state().gt_mail(now, &command);
            }
            ("gt", ["mail", "send", to, "-s", subject, ..]) => {
                self.state().mails.push((now, (*to).to_owned(), (*subject).to_owned()));
                self.state().was_mailed(now, subject);
            }
            ("gt", ["log", "crash", ..]) => {
                self.state().crash_logs.push((now, command.arguments[2..].to_vec()));
            }
            ("bd", ["version"]) => return Ok(Printed { stdout: VERSION.to_vec(), stderr: Vec::new() }),
            ("bd", ["show", ..]) => {
                let (code, stdout, stderr) = self.state().bd_show(&command.arguments[1..]);
                let (stdout, status) = (stdout.into_bytes(), format!("exit code {code}"));
                return match code {
                    0 => Ok(Printed { stdout, stderr: stderr.into_bytes() }),
                    _ => Err(CommandError::Failed { line, status, code: Some(code), stdout, stderr }),
                };
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

/// As recorded of the real one.
const VERSION: &[u8] = b"bd version 0.47.2 (dev)\n";

/// The names under which a command can be told to hang, to fail or to print something else: `command` is all of them,
/// `bd`, `gt` and `git` are all of one program, and those of `gt mail` are each by itself.
fn kinds(command: &Command) -> Vec<&'static str> {
    let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
    let program = ["bd", "gt", "git"].into_iter().find(|program| command.program == *program);
    let of_mail = match (program, words.as_slice()) {
        (Some("gt"), ["mail", word, ..]) => {
            ["inbox", "delete", "archive", "send"].into_iter().find(|kind| kind == word)
        }
        _ => None,
    };
    ["command"].into_iter().chain(program).chain(of_mail).collect()
}

impl State {
    /// Whether a command that breaks does so when its work is done; in bad weather, sometimes. Of those that take a
    /// message out of the inbox only.
    fn breaks_late(&mut self, kinds: &[&str]) -> bool {
        let takes = kinds.contains(&"delete") || kinds.contains(&"archive");
        takes && (self.breaks_late || self.weather.commands > 0.0 && self.rng.bool())
    }
}

/// One read of beads under way, until it is dropped: two must never overlap.
struct OneRead(World);

impl OneRead {
    fn begin(world: &World) -> Self {
        let now = world.time();
        let mut state = world.state();
        state.bd_reads += 1;
        if state.bd_reads > 1 {
            state.violated(now, "two runs of bd at the same time".to_owned());
        }
        OneRead(world.clone())
    }
}

impl Drop for OneRead {
    fn drop(&mut self) {
        self.0.state().bd_reads -= 1;
    }
}
