//! `restart`: a new supervisor in the place of the one that runs, if one does.

use anyhow::Context;
use clap::Args;
use gastown_supervisor::{service::running::RunningError, town::paths::TownPaths};

use super::{
    reload, say,
    start::{READY_WITHIN, start_in},
    stop::{WaitArguments, stop_in},
    town::{TownArgument, asked},
};

/// Stops the supervisor, if one runs, and starts it in the background. Agents stay alive and are taken over as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
With settings a supervisor cannot start with, the running one is left alone.

Example:
  gastown-supervisor restart --town ~/gt")]
pub struct RestartArguments {
    #[command(flatten)]
    town: TownArgument,
    #[command(flatten)]
    wait: WaitArguments,
}

/// Restarts it. An error is why there is no new one.
pub fn restart(arguments: &RestartArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(restart_in(&paths, &arguments.wait))
}

async fn restart_in(paths: &TownPaths, wait: &WaitArguments) -> anyhow::Result<()> {
    reload::read(paths).await.0.context("nothing was restarted")?;
    match stop_in(paths, wait.timeout).await {
        Err(error) if matches!(error.downcast_ref(), Some(RunningError::NotRunning { .. })) => {
            say("nothing was running")?;
        }
        stopped => stopped?,
    }
    start_in(paths, READY_WITHIN).await
}
