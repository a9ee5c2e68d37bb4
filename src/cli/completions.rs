//! `completions`: the script that lets a shell complete our commands, with the names of the town's agents.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::{completing, named, written};

/// Prints the script that completes commands, options and the names of agents.
///
/// The names are those of the running supervisor, or of the town's files where none runs. Load the script when the shell
/// starts, so that it fits the program after an upgrade.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gastown-supervisor completions bash   # in ~/.bashrc: source <(gastown-supervisor completions bash)
  gastown-supervisor completions zsh    # in ~/.zshrc, after compinit: source <(gastown-supervisor completions zsh)
  gastown-supervisor completions fish   # in ~/.config/fish/config.fish: gastown-supervisor completions fish | source")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints it for both names of the command.
pub fn completions(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    for name in named::NAMES {
        let script = completing::script(shell, name, &named::as_called()?)?;
        written(&String::from_utf8_lossy(&script))?;
    }
    Ok(())
}
