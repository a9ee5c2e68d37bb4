//! `reload`: has the supervisor of a town read its settings again, once they are known to be good.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use gastown_supervisor::{
    control::{AskError, Client},
    service::running,
    town::{files::Disk, original, paths::TownPaths},
    tree::town_reading,
};
use hyper::StatusCode;
use rustix::process::Signal;

use super::{
    say,
    town::{TownArgument, asked},
};

/// How long its answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);

/// Checks the settings and has the supervisor read them again, and open its log anew.
#[derive(Debug, Args)]
#[command(after_help = "\
What is wrong is told with file, line and column, and the last good settings stay in force. Nothing running: exit code 3.

Example:
  gastown-supervisor reload --town ~/gt")]
pub struct ReloadArguments {
    #[command(flatten)]
    town: TownArgument,
}

/// Reloads. An error is that nothing runs, or what is wrong with the settings.
pub fn reload(arguments: &ReloadArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(reload_in(&paths))
}

async fn reload_in(paths: &TownPaths) -> anyhow::Result<()> {
    let holder = running::find(paths).await?;
    let (ours, shared) = read(paths).await;
    ours.map_err(|problem| anyhow!("{problem}; the last good settings stay in force"))?;
    // HUP ends programs that do not expect it, the original `gt daemon` among them; only we have this socket.
    let pid = holder.pid();
    match answers(paths).await {
        Ok(()) => {}
        Err(why) => match original::running_as(pid) {
            Some(original) => bail!("{original}; nothing was told"),
            None => bail!("PID {pid} supervises this town, but {why}; nothing was told"),
        },
    }
    holder.signal(Signal::HUP).await?;
    // What was told first is taken first: an answer now comes from one that has taken the signal.
    if let Err(why) = answers(paths).await {
        bail!("PID {pid} was told to read its settings again, but {why}");
    }
    match shared {
        None => say(&format!("settings read again (PID {})", holder.pid())),
        Some(problems) => bail!("{problems}; everything else was read again"),
    }
}

/// Whether the root actor answers; why it does not.
async fn answers(paths: &TownPaths) -> Result<(), String> {
    match Client::new(paths.clone(), ANSWER).get("/healthz").await {
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, _)) => Err(format!("is stuck ({status})")),
        Err(error @ AskError::NobodyListens { .. }) => {
            Err(format!("may be another program, which HUP would end ({error})"))
        }
        Err(error) => Err(format!("does not answer: {error}")),
    }
}

/// Reads the settings as a supervisor would: whether it could start with them, and what is wrong with the file it shares
/// with `gt`, each with path, line and column.
pub async fn read(paths: &TownPaths) -> (anyhow::Result<()>, Option<String>) {
    let (ours, shared) = town_reading::read_settings(&Disk, paths).await.resolve(&mut None);
    (ours.map(drop).map_err(anyhow::Error::msg), shared)
}
