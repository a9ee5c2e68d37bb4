//! `reload`: has the supervisor of a town read its settings again, and tells what came of it.
//!
//! What came of it is asked of the supervisor: nothing is claimed that it has not confirmed.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use gastown_supervisor::{
    control::{AskError, Client, FRESH, StatusReport},
    service::running,
    town::{original, paths::TownPaths},
    tree::town_reading::SettingsState,
};
use hyper::StatusCode;
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{
    say,
    town::{TownArgument, asked},
};

/// How long one answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);
/// How long its reading is waited for.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// Between two questions meanwhile.
const POLL: Duration = Duration::from_millis(25);

/// Makes the supervisor read its settings again and reopen its log, and reports the result.
#[derive(Debug, Args)]
#[command(after_help = "\
Mistakes are reported with file, line and column, and the last good settings stay in force. If the supervisor does not confirm
within 5s, the command says so and fails. Nothing running: exit code 3.

Example:
  gastown-supervisor reload --town ~/gt")]
pub struct ReloadArguments {
    #[command(flatten)]
    town: TownArgument,
}

/// Reloads. An error is that nothing runs, what is wrong with the settings, or that what came of it is not known.
pub fn reload(arguments: &ReloadArguments) -> anyhow::Result<()> {
    let paths = arguments.town.paths()?;
    asked(reload_in(&paths))
}

async fn reload_in(paths: &TownPaths) -> anyhow::Result<()> {
    let holder = running::find(paths).await?;
    let pid = holder.pid();
    // An answer may be so old. Now every reading that is not begun in it is one of the settings as they are.
    sleep(FRESH).await;
    // HUP ends programs that do not expect it, the original `gt daemon` among them; only we have this socket.
    let before = match settings(paths).await {
        Ok(before) => before,
        Err(why) => match original::running_as(pid) {
            Some(original) => bail!("{original}; nothing was told"),
            None => bail!("PID {pid} supervises this town, but {why}; nothing was told"),
        },
    };
    holder.signal(Signal::HUP).await?;
    let now = match read_since(paths, &before).await {
        Ok(now) => now,
        Err(why) => bail!(
            "PID {pid} was told to read its settings again (HUP), but did not confirm it within {CONFIRMED_WITHIN:?}: {why}"
        ),
    };
    if let Some(refused) = now.refused {
        bail!("{refused}");
    }
    if let Some(problems) = now.shared {
        bail!("{problems}; everything else is in force");
    }
    say(&format!("settings read again and in force (PID {pid})"))?;
    now.next_start.map_or(Ok(()), |note| say(&note))
}

/// How the settings are once they were read after `before` was told; why that is not known within the limit.
async fn read_since(paths: &TownPaths, before: &SettingsState) -> Result<SettingsState, String> {
    let mut why = "it does not answer".to_owned();
    let look = async {
        loop {
            match settings(paths).await {
                Ok(now) if now.generation > before.begun => return now,
                Ok(_) => why = "it answers, but has not read them yet".to_owned(),
                Err(said) => why = format!("it {said}"),
            }
            sleep(POLL).await;
        }
    };
    timeout(CONFIRMED_WITHIN, look).await.map_err(|_| why)
}

/// Which settings are in force, by the root actor; why it does not say so.
async fn settings(paths: &TownPaths) -> Result<SettingsState, String> {
    match Client::new(paths.clone(), ANSWER).get("/v1/status").await {
        Ok((StatusCode::OK, body)) => match serde_json::from_slice::<StatusReport>(&body) {
            Ok(report) => Ok(report.settings),
            Err(error) => Err(format!("gives an answer that cannot be read: {error}")),
        },
        Ok((status, _)) => Err(format!("is stuck ({status})")),
        Err(error @ AskError::NobodyListens { .. }) => {
            Err(format!("may be another program, which HUP would end ({error})"))
        }
        Err(error) => Err(format!("does not answer: {error}")),
    }
}
