//! `restart`: replaces the running supervisor, if there is one.

use anyhow::Context;
use clap::Args;

use super::{
    say,
    start::{READY_WITHIN, start_in},
    stop::{WaitArguments, stop_in},
    town::{TownArgument, asked},
};
use crate::{
    service::{self, running::RunningError},
    town::{files::Disk, paths::TownPaths},
    tree::town_reading::{self, LastValid},
};

/// Stops the supervisor, if one runs, and starts it.
///
/// The new one runs in the background. The agents keep running, and it adopts them.
#[derive(Debug, Args)]
#[command(after_help = "\
If the settings are invalid, the running supervisor is left alone.

Example:
  gastown-supervisor restart --town ~/gt")]
pub struct RestartArguments {
    #[command(flatten)]
    town: TownArgument,
    #[command(flatten)]
    wait: WaitArguments,
}

/// Restarts it. An error says why there is no new supervisor.
pub fn restart(arguments: &RestartArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(restart_in(&paths, &arguments.wait))
}

async fn restart_in(paths: &TownPaths, wait: &WaitArguments) -> anyhow::Result<()> {
    const NOTHING: &str = "nothing was restarted";
    let read = town_reading::read_settings(&Disk, paths).await.and_of_the_town(&Disk, paths).await;
    let resolve = |dialect| read.resolve(dialect, &mut LastValid::default()).0;
    let settings = service::settings_of_town(paths, resolve).await;
    let (settings, gas_town) = settings.map_err(anyhow::Error::msg).context(NOTHING)?;
    if let Some(why) = service::refusal(paths, settings, gas_town).await {
        return Err(anyhow::Error::msg(why).context(NOTHING));
    }
    match stop_in(paths, wait.timeout).await {
        Err(error) if matches!(error.downcast_ref(), Some(RunningError::NotRunning { .. })) => {
            say("no supervisor was running")?;
        }
        stopped => stopped?,
    }
    start_in(paths, READY_WITHIN).await
}
