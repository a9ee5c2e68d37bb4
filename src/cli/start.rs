//! `start`: starts a supervisor in the background that outlives its terminal; or has it start one agent.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{
    acting, complain, completing, duration, observed, say,
    town::{TownArgument, asked, is_of_this_file},
};
use crate::{
    Client,
    agent::requests::Action,
    clock::{Clock, SystemClock},
    control::acting::Order,
    service::detach::{self, Started},
    town::paths::TownPaths,
};

/// How long to wait until a supervisor is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait until an agent runs: it may have to wait for its turn.
const STARTED_WITHIN: Duration = Duration::from_secs(300);

/// Starts the supervisor in the background, or one agent.
///
/// Returns when the supervisor has observed every agent once, and says what it found; or when the agent was seen running. Or reports
/// why it is not ready.
///
/// An agent is started at once, whatever delays it: `stop <agent>`, a backoff, a crash loop. What the town forbids stays forbidden.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gastown-supervisor start --town ~/gt
  gastown-supervisor start toast")]
pub struct StartArguments {
    /// The agent to start, in any spelling or by its own name; without one the supervisor is started
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    #[command(flatten)]
    town: TownArgument,
    /// How long to wait; after that it is left running, or continues to start [default: 10s, for an agent 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Starts it. An error says why there is none, or why it is not ready.
pub fn start(arguments: &StartArguments) -> anyhow::Result<ExitCode> {
    let StartArguments { agent, town, timeout } = arguments;
    let Some(agent) = agent else {
        let timeout = timeout.unwrap_or(READY_WITHIN);
        return asked(start_in(&town.paths()?, timeout)).map(|()| ExitCode::SUCCESS);
    };
    let patience = timeout.unwrap_or(STARTED_WITHIN);
    acting::act(town, agent, Order { action: Action::Start, now: false, time: None, patience })
}

/// Starts a supervisor in this town, and prints that.
pub async fn start_in(paths: &TownPaths, timeout: Duration) -> anyhow::Result<()> {
    is_of_this_file(paths).await?;
    let clock = SystemClock::new();
    let begun = clock.now();
    let Started { pid, complaints } = detach::start(paths, timeout).await?;
    if !complaints.is_empty() {
        complain(&complaints);
    }
    say(&format!("started (PID {pid})"))?;
    let client = Client::of(paths.clone());
    observed::say_what_is_found(&client, timeout.saturating_sub(clock.now().since(begun))).await
}
