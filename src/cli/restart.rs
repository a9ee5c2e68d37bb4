//! `restart`: replaces the running supervisor, if there is one; or has it restart one agent.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{
    acting::{self, WaitArguments},
    completing, say,
    start::{READY_WITHIN, start_in},
    stop::stop_in,
    town::{TownArgument, asked},
};
use crate::{
    agent::requests::Action,
    service::{self, running::RunningError},
    town::{files::Disk, paths::TownPaths},
    tree::town_reading::{self, LastValid},
};

/// Restarts the supervisor, or one agent.
///
/// Without an agent the supervisor is stopped, if one runs, and started in the background. The agents keep running, and it adopts
/// them.
///
/// An agent is ended once it is idle, and started again. One that does not run is started. A hold, a backoff and a crash loop end
/// with that. It continues its conversation as after a crash.
#[derive(Debug, Args)]
#[command(after_help = "\
If the settings are invalid, the running supervisor is left alone.

Examples:
  gastown-supervisor restart --town ~/gt
  gastown-supervisor restart gastown/witness --now")]
pub struct RestartArguments {
    /// The agent to restart, in any spelling or by its own name; without one the supervisor is restarted
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    #[command(flatten)]
    town: TownArgument,
    #[command(flatten)]
    wait: WaitArguments,
}

/// Restarts it. An error says why there is no new supervisor.
pub fn restart(arguments: &RestartArguments) -> anyhow::Result<ExitCode> {
    let RestartArguments { agent, town, wait } = arguments;
    match agent {
        Some(agent) => acting::act(town, agent, wait.order(Action::Restart)),
        None => asked(restart_in(&town.paths()?, wait)).map(|()| ExitCode::SUCCESS),
    }
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
    match stop_in(paths, wait.for_supervisor()).await {
        Err(error) if matches!(error.downcast_ref(), Some(RunningError::NotRunning { .. })) => {
            say("no supervisor was running")?;
        }
        stopped => stopped?,
    }
    start_in(paths, READY_WITHIN).await
}
