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
    let client = asked(arguments.town.client_of_this_file())?;
    let agent = arguments.agent.as_deref();
    let cleared = asked(async { Ok(client.clear_backoff(agent).await?) })?;
    in_words(&cleared).iter().try_for_each(|line| say(line))?;
    // What is started from now on waits as they do.
    let status = asked(async { Ok(client.status().await) })?;
    let Answer::Live(status) = status else { return Ok(()) };
    let waiting: Vec<&AgentReport> = status.agents.iter().filter(|agent| agent.waits_for_memory()).collect();
    let Some(first) = waiting.first() else { return Ok(()) };
    let why = first.reason.as_deref().unwrap_or_default();
    let line = format!("starts wait for memory now ({}): {} {why}", waiting.len(), first.identity);
    say(&terminal::one_line(&line))
}

/// What was cleared, in lines.
pub fn in_words(Cleared { cleared, delayed }: &Cleared) -> Vec<String> {
    let forgotten: Vec<&str> =
        cleared.iter().filter(|agent| !delayed.contains(agent)).map(String::as_str).collect();
    let mut lines = Vec::new();
    if cleared.is_empty() {
        lines.push("nothing to clear".to_owned());
    }
    if !delayed.is_empty() {
        lines.push(format!("cleared: {}", delayed.join(", ")));
    }
    if !forgotten.is_empty() {
        lines.push(format!("restarts forgotten: {} (nothing delayed a start)", forgotten.join(", ")));
    }
    lines
}
