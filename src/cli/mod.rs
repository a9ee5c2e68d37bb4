//! The command line: one file for each subcommand, and what they share.
//!
//! Exit codes: 0 success, 1 failed, 2 wrong usage, 3 not running. A command that needs a running supervisor passes on
//! the library's "not running" ([`RunningError`], [`ClientError`]), and [`main`] turns it into 3. A command that also
//! has an answer without a supervisor returns the code itself. The colours of the help are clap's, which respects
//! `NO_COLOR`.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;

use crate::{ClientError, go_duration, service::running::RunningError, terminal, town::log::journal};

mod acting;
mod adopt;
mod agents_file;
mod attach;
mod clear_backoff;
mod completing;
mod completions;
mod doctor;
mod down;
mod events;
mod explain;
mod init;
mod logs;
mod man;
mod named;
mod notify;
mod nudge;
mod observed;
mod one_file;
mod poke;
mod reload;
mod restart;
mod run;
mod running_sessions;
mod settings;
mod start;
mod status;
mod stop;
mod top;
mod town;
mod unit;
mod up;
mod wait;

/// The exit code of a command that needs a supervisor, when none runs.
const NOT_RUNNING: u8 = 3;

/// Keeps AI agents alive: watches them in their tmux sessions and restarts those that die.
///
/// The agents are those of a Gas Town, or those of a file, `agents.toml`.
#[derive(Debug, Parser)]
#[command(
    version = env!("GTS_VERSION"),
    arg_required_else_help = true,
    after_help = "\
Exit codes: 0 success, 1 failed (the reason is on stderr), 2 wrong usage, 3 not running.

Example:
  gastown-supervisor start --town ~/gt
  gastown-supervisor up --file ~/src/agents.toml"
)]
struct Arguments {
    #[command(flatten)]
    _town: town::TownArgument,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArguments),
    Up(up::UpArguments),
    Down(down::DownArguments),
    Adopt(adopt::AdoptArguments),
    Run(run::RunArguments),
    Start(start::StartArguments),
    Stop(stop::StopArguments),
    Restart(restart::RestartArguments),
    Reload(reload::ReloadArguments),
    Logs(logs::LogsArguments),
    Status(status::StatusArguments),
    Top(top::TopArguments),
    Explain(explain::ExplainArguments),
    Events(events::EventsArguments),
    Wait(wait::WaitArguments),
    Attach(attach::AttachArguments),
    Nudge(nudge::NudgeArguments),
    Settings(settings::SettingsArguments),
    Poke(poke::PokeArguments),
    ClearBackoff(clear_backoff::ClearBackoffArguments),
    Doctor(doctor::DoctorArguments),
    Unit(unit::UnitArguments),
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
    Notify(notify::NotifyArguments),
}

/// Parses the arguments, runs the subcommand, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    completing::answer_the_shell();
    let fine = |()| ExitCode::SUCCESS;
    let outcome = match parsed().command {
        Command::Init(arguments) => init::init(&arguments).map(fine),
        Command::Up(arguments) => up::up(&arguments),
        Command::Down(arguments) => down::down(&arguments),
        Command::Adopt(arguments) => adopt::adopt(&arguments).map(fine),
        Command::Run(arguments) => run::run(arguments).map(fine),
        Command::Start(arguments) => start::start(&arguments),
        Command::Stop(arguments) => stop::stop(&arguments),
        Command::Restart(arguments) => restart::restart(&arguments),
        Command::Reload(arguments) => reload::reload(&arguments).map(fine),
        Command::Logs(arguments) => logs::logs(&arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Top(arguments) => top::top(&arguments).map(fine),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Events(arguments) => events::events(&arguments),
        Command::Wait(arguments) => wait::wait(&arguments),
        Command::Attach(arguments) => attach::attach(&arguments).map(fine),
        Command::Nudge(arguments) => nudge::nudge(&arguments),
        Command::Settings(arguments) => settings::settings(&arguments),
        Command::Poke(arguments) => poke::poke(&arguments).map(fine),
        Command::ClearBackoff(arguments) => clear_backoff::clear_backoff(&arguments).map(fine),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Unit(arguments) => unit::unit(&arguments).map(fine),
        Command::Completions(arguments) => completions::completions(&arguments).map(fine),
        Command::Man(arguments) => man::man(&arguments).map(fine),
        Command::Notify(arguments) => notify::notify(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        if is_not_running(&error) {
            complain(&format!("{error:#}"));
            return ExitCode::from(NOT_RUNNING);
        }
        complain(&journal::as_error(&format!("Error: {error:#}")));
        ExitCode::FAILURE
    })
}

/// The command line's grammar, in whose texts the command has the name that it was called by.
fn grammar() -> clap::Command {
    named::by_its_caller(Arguments::command())
}

/// The arguments. On wrong usage clap reports it and the process exits with 2; what clap repeats of the arguments is
/// escaped.
fn parsed() -> Arguments {
    let harmless = || std::env::args_os().map(|word| terminal::one_line(&word.to_string_lossy()));
    let read = grammar().try_get_matches().and_then(|words| Arguments::from_arg_matches(&words));
    read.unwrap_or_else(|error| grammar().try_get_matches_from(harmless()).err().unwrap_or(error).exit())
}

fn is_not_running(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RunningError::NotRunning { .. }))
        || matches!(error.downcast_ref(), Some(ClientError::NotRunning(_)))
}

/// Prints an answer, escaping everything that a terminal would obey. A closed output is no error.
fn print(text: &str) -> anyhow::Result<()> {
    written(&terminal::coloured_lines(text))
}

/// Prints an answer as JSON, escaped for a terminal as text is.
fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    written(&format!("{}\n", terminal::json(&serde_json::to_string_pretty(answer)?)))
}

fn written(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}

/// Prints one line of an answer.
fn say(line: &str) -> anyhow::Result<()> {
    print(&format!("{line}\n"))
}

/// Prints a line to standard error.
fn complain(line: &str) {
    // There is nowhere left to report this.
    let _ = writeln!(io::stderr(), "{}", terminal::lines(line));
}

/// A duration as an argument: `90s`, `2m`.
fn duration(text: &str) -> Result<Duration, go_duration::DurationError> {
    go_duration::parse(text)
}
