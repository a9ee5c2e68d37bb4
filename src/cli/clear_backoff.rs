//! `clear-backoff`: whatever keeps an agent from being started at once is over.

use std::process::ExitCode;

use clap::Args;
use gastown_supervisor::{control::asking::Asking, town::files::Disk};

use super::town::{TownArgument, asked};

/// Ends whatever keeps an agent from being started at once: a backoff, a crash loop, a hold after it was stopped. Its restarts
/// are forgotten. What the town forbids (a parked rig, a paused deacon, ESTOP) stays forbidden.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor clear-backoff gastown/witness\n  gastown-supervisor clear-backoff --all"
)]
pub struct ClearBackoffArguments {
    /// The agent, in any spelling
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    agent: Option<String>,
    /// All agents
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    town: TownArgument,
}

/// Clears it.
pub fn clear_backoff(arguments: &ClearBackoffArguments) -> anyhow::Result<ExitCode> {
    let paths = arguments.town.paths()?;
    let agent = arguments.agent.as_deref();
    match asked(async { Ok(Asking::new(paths, &Disk).clear_backoff(agent).await) })? {
        Ok(cleared) if cleared.is_empty() => println!("nothing to clear"),
        Ok(cleared) => println!("cleared: {}", cleared.join(", ")),
        Err(error) => return super::unanswered(error),
    }
    Ok(ExitCode::SUCCESS)
}
