//! `start`: starts a supervisor in the background that outlives its terminal.

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::{
    complain, duration, observed, say,
    town::{TownArgument, asked},
};
use crate::{
    Client,
    service::detach::{self, Started},
    town::paths::TownPaths,
};

/// How long to wait until a supervisor is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(10);

/// Starts the supervisor in the background.
///
/// Returns when it has observed every agent once, and says what it found; or reports why it is not ready.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gastown-supervisor start --town ~/gt")]
pub struct StartArguments {
    #[command(flatten)]
    town: TownArgument,
    /// How long to wait until it is ready; after that it is left running
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    timeout: Duration,
}

/// Starts it. An error says why there is none, or why it is not ready.
pub fn start(arguments: &StartArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(start_in(&paths, arguments.timeout))
}

/// Starts a supervisor in this town, and prints that.
pub async fn start_in(paths: &TownPaths, timeout: Duration) -> anyhow::Result<()> {
    let begun = Instant::now();
    let Started { pid, complaints } = detach::start(paths, timeout).await?;
    if !complaints.is_empty() {
        complain(&complaints);
    }
    say(&format!("started (PID {pid})"))?;
    let client = Client::new(Some(paths.root()))?;
    observed::say_what_is_found(&client, timeout.saturating_sub(begun.elapsed())).await
}
