//! The command line: one file a subcommand.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 not running.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gastown_supervisor::control::asking::Unanswered;

mod clear_backoff;
mod doctor;
mod explain;
mod poke;
mod run;
mod status;
mod town;

/// The exit code of a command that needs a supervisor, when none runs.
const NOT_RUNNING: u8 = 3;

/// Keeps a Gas Town alive: watches its AI agents in their tmux sessions and restarts those that die.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArguments),
    Status(status::StatusArguments),
    Explain(explain::ExplainArguments),
    Poke(poke::PokeArguments),
    ClearBackoff(clear_backoff::ClearBackoffArguments),
    Doctor(doctor::DoctorArguments),
}

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    // clap prints its own messages and exits with 2 on wrong usage.
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Status(arguments) => status::status(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Poke(arguments) => poke::poke(&arguments),
        Command::ClearBackoff(arguments) => clear_backoff::clear_backoff(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says why there is no answer; that nobody runs has an exit code of its own.
fn unanswered(error: Unanswered) -> anyhow::Result<ExitCode> {
    match error {
        Unanswered::NotRunning(_) => {
            eprintln!("{error}");
            Ok(ExitCode::from(NOT_RUNNING))
        }
        error => Err(error.into()),
    }
}
