//! `man`: the manual pages, made from the help.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::{named, written};
use crate::terminal;

/// Prints the manual page of the program, or of one of its commands.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor man | man -l -\n  gastown-supervisor man status | man -l -\n  gastown-supervisor man --dir ~/.local/share/man/man1"
)]
pub struct ManArguments {
    /// The command
    command: Option<String>,
    /// Write all pages into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints or writes the pages.
pub fn man(arguments: &ManArguments) -> anyhow::Result<()> {
    // The pages are installed under the long name, whatever this program was called by.
    let mut grammar = named::always(super::grammar()).disable_help_subcommand(true);
    grammar.build();
    if let Some(directory) = &arguments.dir {
        return clap_mangen::generate_to(grammar, directory)
            .with_context(|| format!("the pages cannot be written to {}", terminal::path(directory)));
    }
    let page = match &arguments.command {
        None => grammar,
        Some(name) => of(&grammar, name).with_context(|| format!("there is no command `{name}`"))?,
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text)?;
    written(&String::from_utf8_lossy(&text))
}

fn of(grammar: &Command, name: &str) -> Option<Command> {
    grammar.find_subcommand(name).filter(|command| !command.is_hide_set()).cloned()
}
