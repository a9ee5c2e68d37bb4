//! Commands, counted: every run of another program passes here, whichever adapter runs it.
//!
//! It must not change what a command does or what came of it. tmux has an adapter of its own and is not counted.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::Metrics;
use crate::{
    clock::Clock,
    commands::{Command, CommandError, Commands, Printed},
    town::settings::Settings,
};

/// The programs that are named; all others are `other`, so that their number is bounded.
const PROGRAMS: [&str; 8] = ["bd", "gt", "git", "dolt", "notify-send", "sh", "systemd-run", "tmux"];

/// An adapter whose runs are counted.
pub struct CountedCommands {
    inner: Arc<dyn Commands>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<Arc<Settings>>,
}

impl CountedCommands {
    /// Counts the runs of `inner`. The settings say under which names `bd`, `gt` and `git` are run.
    pub fn new(
        inner: Arc<dyn Commands>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        settings: watch::Receiver<Arc<Settings>>,
    ) -> Self {
        CountedCommands { inner, metrics, clock, settings }
    }
}

#[async_trait]
impl Commands for CountedCommands {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let program = named(&self.settings.borrow(), &command.program);
        self.metrics.command_began(program);
        let mut running = Running { of: self, program, began: self.clock.now().mono, outcome: "cancelled" };
        let outcome = self.inner.run(command).await;
        running.outcome = word(&outcome);
        outcome
    }

    async fn locate(&self, program: &str) -> Option<PathBuf> {
        self.inner.locate(program).await
    }

    fn search_path(&self) -> Option<String> {
        self.inner.search_path()
    }
}

/// A run. One whose future is dropped was killed, and is counted too.
struct Running<'a> {
    of: &'a CountedCommands,
    program: &'static str,
    began: Duration,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = self.of.clock.now().mono.saturating_sub(self.began);
        self.of.metrics.command_ended(self.program, self.outcome, took);
    }
}

fn word(outcome: &Result<Printed, CommandError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(CommandError::NotFound { .. }) => "not_found",
        Err(CommandError::NotStarted { .. }) => "not_started",
        Err(CommandError::Failed { .. }) => "failed",
        Err(CommandError::TimedOut { .. }) => "timed_out",
        Err(CommandError::TooMuchOutput { .. }) => "too_much_output",
    }
}

/// The name under which runs of this program are counted.
fn named(settings: &Settings, program: &str) -> &'static str {
    let commands = &settings.commands;
    let set = [("bd", &commands.bd), ("gt", &commands.gt), ("git", &commands.git)];
    if let Some((name, _)) = set.into_iter().find(|(_, set)| *set == program) {
        return name;
    }
    let base = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    PROGRAMS.into_iter().find(|known| *known == base).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::SystemClock,
        ports::metrics::{Format, Measured, Page},
    };

    #[derive(Debug)]
    struct Says(Result<Printed, CommandError>);

    #[async_trait]
    impl Commands for Says {
        async fn run(&self, _: Command) -> Result<Printed, CommandError> {
            match &self.0 {
                Err(CommandError::TooMuchOutput { .. }) => std::future::pending().await,
                outcome => outcome.clone(),
            }
        }

        async fn locate(&self, _: &str) -> Option<PathBuf> {
            None
        }

        fn search_path(&self) -> Option<String> {
            None
        }
    }

    fn commands(says: Result<Printed, CommandError>) -> (CountedCommands, Measured) {
        let (metrics, measured) = Metrics::new();
        let mut settings = Settings::default();
        settings.commands.bd = "/opt/beads-0.47".to_owned();
        let (_, settings) = watch::channel(Arc::new(settings));
        (
            CountedCommands::new(Arc::new(Says(says)), metrics, Arc::new(SystemClock::new()), settings),
            measured,
        )
    }

    fn command(program: &str) -> Command {
        Command {
            program: program.to_owned(),
            arguments: Vec::new(),
            directory: "/".into(),
            environment: Default::default(),
            input: None,
            limit: Duration::from_secs(1),
        }
    }

    fn has(measured: &Measured, line: &str) -> bool {
        let mut page = Page::default();
        measured.onto(&mut page);
        page.text(Format::OpenMetrics).unwrap().lines().any(|it| it == line)
    }

    #[tokio::test]
    async fn each_run_by_its_program_and_outcome() {
        let line = String::new;
        for (program, says, expected) in [
            ("/opt/beads-0.47", Ok(Printed::default()), ["bd", "ok"]),
            ("gt", Err(CommandError::TimedOut { line: line(), limit: Duration::ZERO }), ["gt", "timed_out"]),
            (
                "/usr/bin/git",
                Err(CommandError::NotFound { program: line(), line: line() }),
                ["git", "not_found"],
            ),
            ("/home/x/anything", Ok(Printed::default()), ["other", "ok"]),
        ] {
            let (commands, measured) = commands(says);
            let _ = commands.run(command(program)).await;
            let [name, outcome] = expected;
            let of =
                format!("gastown_supervisor_commands_total{{program=\"{name}\",outcome=\"{outcome}\"}} 1");
            assert!(has(&measured, &of), "{of}");
            assert!(has(&measured, &format!("gastown_supervisor_commands_running{{program=\"{name}\"}} 0")));
            assert!(has(
                &measured,
                &format!("gastown_supervisor_command_duration_seconds_count{{program=\"{name}\"}} 1")
            ));
        }
    }

    #[tokio::test]
    async fn one_that_is_given_up_is_counted_when_it_is_killed() {
        let (commands, measured) =
            commands(Err(CommandError::TooMuchOutput { line: String::new(), bytes: 0 }));
        let running = "gastown_supervisor_commands_running{program=\"bd\"} 1";
        {
            let mut run = std::pin::pin!(commands.run(command("bd")));
            assert!(futures::poll!(&mut run).is_pending());
            assert!(has(&measured, running));
        }
        assert!(!has(&measured, running));
        assert!(has(&measured, "gastown_supervisor_commands_total{program=\"bd\",outcome=\"cancelled\"} 1"));
    }
}
