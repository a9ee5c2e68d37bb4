//! `bd`: the one place that runs it (0.47 to 1.0).
//!
//! Each run has the limit of all commands, and waits for its turn at the databases it touches. The caller parses the
//! output.

use std::{collections::BTreeSet, path::Path};

use super::{databases::Database, installed::Tool, show_output};
use crate::{
    commands::{Command, CommandError, Printed},
    ledger::Ledger,
    town::reading::shorten,
};

const WITHOUT: &str = "polecats that died are not restarted, and labels of docked rigs are not seen";

/// `bd`, for reports about a missing program.
pub const TOOL: Tool = Tool { setting: "bd", without: WITHOUT, without_in_v1: WITHOUT };

/// Runs `bd <words>` in `directory` and returns its output, or why it failed. `touches` are the databases it reads or
/// writes: no other `bd` runs on one of them meanwhile.
pub async fn run(
    ledger: &Ledger,
    words: &[&str],
    touches: &BTreeSet<Database>,
    directory: &Path,
) -> Result<Printed, CommandError> {
    let _turn = ledger.turns.take(touches).await;
    let command = command(ledger, words, directory);
    let program = command.program.clone();
    let ran = ledger.commands.run(command).await;
    TOOL.note(ledger, &program, &ran);
    for database in touches {
        let subcommand = words.first().copied().unwrap_or_default();
        match &ran {
            Err(CommandError::TimedOut { limit, .. }) => {
                ledger.faults.hung(ledger, database, subcommand, *limit)
            }
            ended => {
                ledger.faults.ended(ledger, database, subcommand);
                ledger.faults.note(ledger, database, subcommand, ended.as_ref().map(drop).map_err(why));
            }
        }
    }
    ran
}

/// Like [`run`], in the directory of the only database that it touches.
pub async fn run_in(ledger: &Ledger, words: &[&str], database: &Database) -> Result<Printed, CommandError> {
    let directory = database.directory(ledger.paths.root());
    run(ledger, words, &[database.clone()].into(), &directory).await
}

/// Why a run failed: in the words of `bd`, where it printed an error object.
pub fn why(error: &CommandError) -> String {
    let CommandError::Failed { line, stdout, stderr, .. } = error else {
        return error.to_string();
    };
    let begins: Vec<&str> = line.split(' ').take(2).collect();
    let own = show_output::error(stdout, stderr);
    own.map_or_else(|| error.to_string(), |own| format!("{}: {}", begins.join(" "), shorten(&own)))
}

/// The command for `bd <words>` in `directory`, by the settings in force.
fn command(ledger: &Ledger, words: &[&str], directory: &Path) -> Command {
    let settings = ledger.settings();
    let mut environment = settings.env.clone();
    environment.extend(ledger.dolt_variables());
    Command {
        program: settings.commands.bd.clone(),
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        directory: directory.to_owned(),
        environment,
        input: None,
        limit: settings.commands.timeout,
    }
}
