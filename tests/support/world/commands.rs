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
            let takes = if command.program == "git" { state.git_takes } else { super::millis(50) };
            (
                hangs || state.hanging.contains_key("command"),
                fails || state.failing.contains("command"),
                takes,
            )
        };
        self.provoke(&command.directory);
        let begun = self.time();
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
        if command.program == "gt" && command.arguments.starts_with(&["mail".into(), "send".into()]) {
            let word = |at: usize| command.arguments.get(at).cloned().unwrap_or_default();
            let mail = (now, word(2), word(4));
            self.state().mails.push(mail);
        }
        Ok(Printed::default())
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        let state = self.state();
        state.programs.contains(program).then(|| PathBuf::from("/bin").join(program))
    }
}
