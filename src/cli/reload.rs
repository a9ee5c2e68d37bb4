//! `reload`: has the supervisor of a town read its settings again, and says what came of it.

use clap::Args;

use super::{
    say,
    town::{TownArgument, asked},
};

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
    let client = arguments.town.client()?;
    let reloaded = asked(async { Ok(client.reload().await?) })?;
    say(&format!("settings read again and in force (PID {})", reloaded.pid))?;
    reloaded.next_start.map_or(Ok(()), |note| say(&note))
}
