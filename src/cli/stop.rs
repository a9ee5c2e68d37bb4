//! `stop`: sends SIGTERM to the supervisor of a town, and waits until it has exited.

use std::{pin::pin, time::Duration};

use anyhow::bail;
use clap::Args;

use super::{
    complain, duration, say,
    town::{TownArgument, asked},
};
use crate::{
    go_duration,
    service::running::{self, Stopped},
    town::paths::TownPaths,
};

/// After this time the command prints what it waits for.
const QUIET: Duration = Duration::from_secs(1);

/// Stops the supervisor. The agents keep running.
///
/// It sends SIGTERM, never SIGKILL, and waits until the supervisor has released the town.
#[derive(Debug, Args)]
#[command(after_help = "\
The original `gt daemon` is stopped too; it may take two minutes while it starts agents. No supervisor running: exit code 3.

Example:
  gastown-supervisor stop --town ~/gt")]
pub struct StopArguments {
    #[command(flatten)]
    town: TownArgument,
    #[command(flatten)]
    wait: WaitArguments,
}

/// How long to wait for the end.
#[derive(Debug, Args)]
pub struct WaitArguments {
    /// How long to wait until the running supervisor has exited
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "130s")]
    pub timeout: Duration,
}

/// Stops it. An error says that no supervisor runs, or why it did not stop.
pub fn stop(arguments: &StopArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(stop_in(&paths, arguments.wait.timeout))
}

/// Stops the supervisor of this town, and prints that.
pub async fn stop_in(paths: &TownPaths, limit: Duration) -> anyhow::Result<()> {
    let holder = running::find(paths).await?;
    let pid = holder.pid();
    let mut stopping = pin!(holder.stop(limit));
    let stopped = tokio::select! {
        biased;
        stopped = &mut stopping => stopped,
        () = tokio::time::sleep(QUIET) => {
            complain(&format!("waiting up to {} for PID {pid} to exit", go_duration::format(limit)));
            stopping.await
        }
    };
    let limit = go_duration::format(limit);
    match stopped? {
        Stopped::Gone => say(&format!("stopped (PID {pid}); the agents keep running")),
        Stopped::Replaced(other) => {
            let other = other.map_or_else(|| "another one".to_owned(), |pid| format!("PID {pid}"));
            bail!(
                "PID {pid} exited, but {other} took its place; stop what starts it, for example a service manager"
            )
        }
        Stopped::Holds => bail!(
            "PID {pid} got SIGTERM but still holds daemon/daemon.lock after {limit}; nothing was killed (examine it with `ps -fp {pid}`)"
        ),
    }
}
