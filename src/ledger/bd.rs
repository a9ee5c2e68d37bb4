//! `bd`: the one place that runs it (0.47 to 1.0).
//!
//! Each run has the limit of all commands, and waits for the turn at the databases it touches. What it prints is read by
//! whoever asked.

use std::{collections::BTreeSet, path::Path};

use super::{databases::Database, installed::Tool};
use crate::{
    commands::{Command, CommandError, Heard, Printed},
    ledger::Ledger,
};

/// The program.
pub const TOOL: Tool = Tool {
    setting: "bd",
    without: "polecats that died are not brought back, labels of docked rigs are not seen, and beads that are closed are not told",
};

/// Runs `bd <words>` in `directory` and returns what it printed, or why it did not do its work. `touches` are the databases
/// it reads or writes: nobody else runs `bd` on one of them meanwhile.
pub async fn run(
    ledger: &Ledger,
    words: &[&str],
    touches: &BTreeSet<Database>,
    directory: &Path,
) -> Result<Printed, CommandError> {
    let _turn = ledger.ledger_turn.take(touches).await;
    let command = command(ledger, words, directory);
    let program = command.program.clone();
    let ran = ledger.commands.run(command).await;
    TOOL.note(ledger, &program, &ran);
    ran
}

/// Runs a `bd` that goes on printing, as [`command`] says, and hands over its lines until it ends, or why it did not do its
/// work. It asks the daemons of `bd` and touches no database, so that nobody waits for it and it waits for nobody.
pub async fn follow(ledger: &Ledger, command: Command, heard: Heard) -> Result<(), CommandError> {
    let program = command.program.clone();
    let ended = ledger.commands.follow(command, heard).await;
    TOOL.note(ledger, &program, &ended);
    ended
}

/// What running `bd <words>` in `directory` means by the settings in force.
pub fn command(ledger: &Ledger, words: &[&str], directory: &Path) -> Command {
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
