//! The commands of the world: `git`, `bd` and `gt`, each as far as the supervisor runs it.

use std::path::PathBuf;

use async_trait::async_trait;
use gastown_supervisor::commands::{Command, CommandError, Commands, Printed};

use super::{World, weather::pause};

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
            // `command` is all of them, `bd` or `gt` is only that one.
            let program = command.program.as_str();
            (
                hangs || state.hanging.contains_key("command") || state.hanging.contains_key(program),
                fails || state.failing.contains("command") || state.failing.contains(program),
                takes,
            )
        };
        self.provoke(&command.directory);
        let begun = self.time();
        let words: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let _one = (command.program == "bd" && words.first() == Some(&"show")).then(|| OneRead::begin(self));
        self.state()
            .note(begun, true, || format!("run `{line}`{}", if hangs { ", which hangs" } else { "" }));
        pause(if hangs { command.limit } else { takes.min(command.limit) }).await;
        let now = self.time();
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
            _ => {}
        }
        Ok(Printed::default())
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        let state = self.state();
        state.programs.contains(program).then(|| PathBuf::from("/bin").join(program))
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
