//! `clear-backoff`: clears what delays the start of an agent.

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{
    completing, say,
    town::{TownArgument, asked},
};
use crate::{
    control::{
        client::{Answer, Cleared},
        report::AgentReport,
    },
    terminal,
};

/// Clears an agent's backoff, crash loop or hold.
///
/// It is started now then.
///
/// Its restart history is cleared too. What the town forbids (a parked rig, a paused deacon, ESTOP) stays forbidden.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor clear-backoff gastown/witness\n  gastown-supervisor clear-backoff --all"
)]
pub struct ClearBackoffArguments {
    /// The agent, in any spelling
    #[arg(required_unless_present = "all", conflicts_with = "all", add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    /// All agents
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    town: TownArgument,
}

/// Clears it in the running supervisor, and prints for which agents.
pub fn clear_backoff(arguments: &ClearBackoffArguments) -> anyhow::Result<()> {
    let client = arguments.town.client()?;
    let agent = arguments.agent.as_deref();
    let Cleared { cleared, delayed } = asked(async { Ok(client.clear_backoff(agent).await?) })?;
    if cleared.is_empty() {
        say("nothing to clear")?;
    }
    if !delayed.is_empty() {
        say(&format!("cleared: {}", delayed.join(", ")))?;
    }
    let forgotten: Vec<String> = cleared.into_iter().filter(|agent| !delayed.contains(agent)).collect();
    if !forgotten.is_empty() {
        say(&format!("restarts forgotten: {} (nothing delayed a start)", forgotten.join(", ")))?;
    }
    // What is started from now on waits as they do.
    let status = asked(async { Ok(client.status().await) })?;
    let Answer::Live(status) = status else { return Ok(()) };
    let waiting: Vec<&AgentReport> = status.agents.iter().filter(|agent| agent.waits_for_memory()).collect();
    let Some(first) = waiting.first() else { return Ok(()) };
    let why = first.reason.as_deref().unwrap_or_default();
    let line = format!("starts wait for memory now ({}): {} {why}", waiting.len(), first.identity);
    say(&terminal::one_line(&line))
}
