//! `bd`: the one place that runs it (0.47 to 1.0).
//!
//! Each run has the limit of all commands, and waits for its turn at the databases it touches. The caller parses the
//! output.

use std::{collections::BTreeSet, path::Path};

use super::{databases::Database, installed::Tool};
use crate::{
    commands::{Command, CommandError, Printed},
    ledger::Ledger,
};

/// `bd`, for reports about a missing program.
pub const TOOL: Tool = Tool {
    setting: "bd",
    without: "polecats that died are not restarted, and labels of docked rigs are not seen",
};

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
    ran
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
