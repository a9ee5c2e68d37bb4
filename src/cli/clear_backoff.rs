//! `clear-backoff`: whatever keeps an agent from being started at once is over.

use clap::Args;

use super::{
    say,
    town::{TownArgument, asked},
};

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
pub fn clear_backoff(arguments: &ClearBackoffArguments) -> anyhow::Result<()> {
    let client = arguments.town.client()?;
    let agent = arguments.agent.as_deref();
    let cleared = asked(async { Ok(client.clear_backoff(agent).await?) })?;
    if cleared.is_empty() {
        return say("nothing to clear");
    }
    say(&format!("cleared: {}", cleared.join(", ")))
}
