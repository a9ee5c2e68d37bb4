//! `poke`: what is done from time to time, at once.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use gastown_supervisor::{
    control::asking::{self, Asking},
    town::files::Disk,
};

use super::town::{TownArgument, asked};

/// Has the supervisor make a heartbeat, or read the deacon's inbox for requests, at once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor poke\n  gastown-supervisor poke lifecycle --town ~/gt"
)]
pub struct PokeArguments {
    /// What
    #[arg(value_enum, default_value_t = What::Heartbeat)]
    what: What,
    #[command(flatten)]
    town: TownArgument,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Look at everything and answer
    Heartbeat,
    /// Read the deacon's inbox for lifecycle requests
    Lifecycle,
}

/// Pokes it.
pub fn poke(arguments: &PokeArguments) -> anyhow::Result<ExitCode> {
    let paths = arguments.town.paths()?;
    let (what, said) = match arguments.what {
        What::Heartbeat => (asking::Poke::Heartbeat, "a heartbeat begins"),
        What::Lifecycle => (asking::Poke::Lifecycle, "the deacon's inbox is read"),
    };
    match asked(async { Ok(Asking::new(paths, &Disk).poke(what).await) })? {
        Ok(()) => println!("{said}"),
        Err(error) => return super::unanswered(error),
    }
    Ok(ExitCode::SUCCESS)
}
