//! `poke`: what is done from time to time, at once.

use clap::{Args, ValueEnum};

use super::{
    say,
    town::{TownArgument, asked},
};
use crate::Poke;

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
pub fn poke(arguments: &PokeArguments) -> anyhow::Result<()> {
    let client = arguments.town.client()?;
    let (what, said) = match arguments.what {
        What::Heartbeat => (Poke::Heartbeat, "a heartbeat begins"),
        What::Lifecycle => (Poke::Lifecycle, "the deacon's inbox is read"),
    };
    asked(async { Ok(client.poke(what).await?) })?;
    say(said)
}
