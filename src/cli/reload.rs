//! `reload`: makes the supervisor of a town reload its settings, and prints the result.

use clap::Args;

use super::{
    say,
    town::{TownArgument, asked, is_of_this_file},
};

/// Reloads the settings, reopens the log, and reports the result.
#[derive(Debug, Args)]
#[command(after_help = "\
Mistakes are reported with file, line and column, and the last good settings stay in force. If the supervisor does not confirm
within 5s, the command fails. No supervisor running: exit code 3.

Example:
  gastown-supervisor reload --town ~/gt")]
pub struct ReloadArguments {
    #[command(flatten)]
    town: TownArgument,
}

/// Reloads. An error says that no supervisor runs, what is wrong with the settings, or that the result is unknown.
pub fn reload(arguments: &ReloadArguments) -> anyhow::Result<()> {
    let (paths, client) = (arguments.town.paths()?, arguments.town.client()?);
    let reloaded = asked(async {
        is_of_this_file(&paths).await?;
        Ok(client.reload().await?)
    })?;
    say(&format!("settings reloaded and in force (PID {})", reloaded.pid))?;
    reloaded.next_start.map_or(Ok(()), |note| say(&note))
}
