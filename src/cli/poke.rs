//! `poke`: triggers a periodic task now.

use clap::{Args, ValueEnum};

use super::{
    say,
    town::{TownArgument, asked},
};
use crate::Poke;

/// Triggers a heartbeat, or a reading of the inbox, now.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor poke\n  gastown-supervisor poke lifecycle --town ~/gt"
)]
pub struct PokeArguments {
    /// What to trigger
    #[arg(value_enum, default_value_t = What::Heartbeat)]
    what: What,
    #[command(flatten)]
    town: TownArgument,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// A heartbeat: probe every agent
    Heartbeat,
    /// Read the deacon's inbox for `LIFECYCLE:` requests
    Lifecycle,
}

/// Triggers it in the running supervisor.
pub fn poke(arguments: &PokeArguments) -> anyhow::Result<()> {
    let (what, said) = match arguments.what {
        What::Heartbeat => (Poke::Heartbeat, "heartbeat triggered"),
        What::Lifecycle => (Poke::Lifecycle, "reading of the deacon's inbox triggered"),
    };
    asked(async { Ok(arguments.town.client_of_this_file().await?.poke(what).await?) })?;
    say(said)
}
