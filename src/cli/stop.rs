//! `stop`: sends SIGTERM to the supervisor of a town, and waits until it has exited; or has it stop one agent.

use std::{pin::pin, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{
    acting::{self, WaitArguments},
    complain, completing, duration, say,
    town::{TownArgument, asked, is_of_this_file},
};
use crate::{
    agent::requests::Action,
    control::acting::Order,
    go_duration,
    processes::standstill,
    service::running::{self, Stopped},
    terminal,
    town::paths::TownPaths,
};

/// After this time the command prints what it waits for.
const QUIET: Duration = Duration::from_secs(1);

/// Stops the supervisor, or one agent.
///
/// Without an agent it sends SIGTERM, never SIGKILL, and waits until the supervisor has released the town. The agents keep running.
///
/// An agent is stopped once it is idle, and is left alone from then on, also by the next supervisor: until `start <agent>`, or until
/// the time of --for is over, or somebody else starts it. The command returns when its session is gone.
#[derive(Debug, Args)]
#[command(after_help = "\
The original `gt daemon` is stopped too; it may take two minutes while it starts agents. No supervisor running: exit code 3.

Examples:
  gastown-supervisor stop --town ~/gt
  gastown-supervisor stop toast --for 2h")]
pub struct StopArguments {
    /// The agent to stop, in any spelling or by its own name; without one the supervisor is stopped
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: Option<String>,
    #[command(flatten)]
    town: TownArgument,
    /// With an agent: how long it is held; without this, until somebody starts it
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, requires = "agent")]
    time: Option<Duration>,
    #[command(flatten)]
    wait: WaitArguments,
}

/// Stops it. An error says that no supervisor runs, or why it did not stop.
pub fn stop(arguments: &StopArguments) -> anyhow::Result<ExitCode> {
    let StopArguments { agent, town, time, wait } = arguments;
    if let Some(agent) = agent {
        return acting::act(town, agent, Order { time: *time, ..wait.order(Action::Stop) });
    }
    asked(stop_in(&town.paths()?, wait.for_supervisor())).map(|()| ExitCode::SUCCESS)
}

/// Stops the supervisor of this town, and prints that.
pub async fn stop_in(paths: &TownPaths, limit: Duration) -> anyhow::Result<()> {
    is_of_this_file(paths).await?;
    let holder = running::find(paths).await?;
    let pid = holder.pid();
    if let Some(why) = standstill::of_stopped(pid) {
        bail!("PID {pid} does nothing: {why}, and would hear SIGTERM only then; nothing was sent");
    }
    let mut stopping = pin!(holder.stop(limit));
    let stopped = tokio::select! {
        biased;
        stopped = &mut stopping => stopped,
        () = tokio::time::sleep(QUIET) => {
            complain(&format!("waiting up to {} for PID {pid} to exit", go_duration::short(limit)));
            stopping.await
        }
    };
    let limit = go_duration::short(limit);
    match stopped? {
        Stopped::Gone => say(&format!("stopped (PID {pid}); the agents keep running")),
        Stopped::Replaced(other) => {
            let other = other.map_or_else(|| "another one".to_owned(), |pid| format!("PID {pid}"));
            bail!(
                "PID {pid} exited, but {other} took its place; stop what starts it, for example a service manager"
            )
        }
        Stopped::Holds => bail!(
            "PID {pid} got SIGTERM but still holds {} after {limit}; nothing was killed (examine it with `ps -fp {pid}`)",
            terminal::path(paths.shown(&paths.daemon_lock()))
        ),
    }
}
