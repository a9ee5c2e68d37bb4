//! `bd`: the one place that runs it (0.47 to 1.0).
//!
//! Each run has the limit of all commands, and waits for the turn at the databases it touches. What it prints is read by
//! whoever asked.

use std::{collections::BTreeSet, path::Path};

use super::{databases::Database, installed::Tool};
use crate::{
    commands::{Command, CommandError, Printed},
    ledger::Ledger,
};

/// The program.
pub const TOOL: Tool = Tool {
    setting: "bd",
    without: "polecats that died are not restarted, and labels of docked rigs are not seen",
};

/// Runs `bd <words>` in `directory` and returns what it printed, or why it did not do its work. `touches` are the databases
/// it reads or writes: nobody else runs `bd` on one of them meanwhile.
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

/// What running `bd <words>` in `directory` means by the settings in force.
fn command(ledger: &Ledger, words: &[&str], directory: &Path) -> Command {
    let settings = ledger.settings();
    Command {
        program: settings.commands.bd.clone(),
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        directory: directory.to_owned(),
        environment: settings.env.clone(),
        input: None,
        limit: settings.commands.timeout,
    }
}
