//! The command line: one file a subcommand.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod doctor;
mod run;

/// Keeps a Gas Town alive: watches its AI agents in their tmux sessions and restarts those that die.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Doctor(doctor::DoctorArguments),
    Run(run::RunArguments),
}

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    // clap prints its own messages and exits with 2 on wrong usage.
    let outcome = match Arguments::parse().command {
        Command::Doctor(arguments) => doctor::doctor(arguments),
        Command::Run(arguments) => run::run(arguments).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
