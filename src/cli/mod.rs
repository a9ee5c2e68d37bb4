//! The command line: one file a subcommand, and what is the same for all.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 not running. A command that needs a running supervisor passes on
//! [`RunningError::NotRunning`]; [`main`] makes 3 of it. What is printed is plain; the colours of the help are clap's, which
//! respects `NO_COLOR`.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use gastown_supervisor::{go_duration, service::running::RunningError};

mod logs;
mod reload;
mod restart;
mod run;
mod start;
mod stop;
mod town;

/// What `main` returns when nothing runs.
const NOT_RUNNING: u8 = 3;

/// How long one answer of a running supervisor is waited for.
const ANSWER: Duration = Duration::from_secs(5);

/// Keeps a Gas Town alive: watches its AI agents in their tmux sessions and restarts those that die.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Exit codes: 0 fine, 1 failed (the reason is on standard error), 2 wrong usage, 3 not running.

Example:
  gastown-supervisor start --town ~/gt"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArguments),
    Start(start::StartArguments),
    Stop(stop::StopArguments),
    Restart(restart::RestartArguments),
    Reload(reload::ReloadArguments),
    Logs(logs::LogsArguments),
}

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    // clap prints its own messages and exits with 2 on wrong usage.
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Start(arguments) => start::start(arguments),
        Command::Stop(arguments) => stop::stop(arguments),
        Command::Restart(arguments) => restart::restart(arguments),
        Command::Reload(arguments) => reload::reload(arguments),
        Command::Logs(arguments) => logs::logs(arguments),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if matches!(error.downcast_ref(), Some(RunningError::NotRunning { .. })) {
        complain(&format!("{error:#}"));
        return ExitCode::from(NOT_RUNNING);
    }
    complain(&format!("Error: {error:#}"));
    ExitCode::FAILURE
}

/// Prints a line of the answer. An output nobody reads is no error.
fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// Prints a line beside the answer.
fn complain(line: &str) {
    // There is nowhere left to tell it.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs what has to wait for others.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the event loop cannot be made")?.block_on(work)
}

/// A duration as an argument: `90s`, `2m`.
fn duration(text: &str) -> Result<Duration, go_duration::DurationError> {
    go_duration::parse(text)
}
