//! Named: the command has two names, and help shows the one that it was called by.
//!
//! Messages that other commands quote keep the long name, which is always installed.

use std::path::PathBuf;

use clap::Command;

/// The name that the command always has,
pub const NAME: &str = "gastown-supervisor";
/// and the short one.
const SHORT: &str = "gts";
/// Both.
pub const NAMES: [&str; 2] = [NAME, SHORT];

/// The command, with its examples under the name that this process was called by.
pub fn by_its_caller(command: Command) -> Command {
    match called().file_name() {
        Some(name) if name == SHORT => renamed(command.name(SHORT), NAME, SHORT),
        _ => command,
    }
}

/// The command under its long name.
pub fn always(command: Command) -> Command {
    renamed(command.name(NAME), &format!("{SHORT} "), &format!("{NAME} "))
}

/// How this process was called: a name that is found on `PATH`, or an absolute path.
pub fn as_called() -> anyhow::Result<String> {
    let called = called();
    let path = if called.components().count() > 1 { std::env::current_dir()?.join(called) } else { called };
    Ok(path.to_string_lossy().into_owned())
}

fn called() -> PathBuf {
    std::env::args_os().next().map_or_else(|| PathBuf::from(NAME), PathBuf::from)
}

fn renamed(mut command: Command, from: &str, to: &str) -> Command {
    if let Some(text) = command.get_after_help() {
        let text = text.to_string().replace(from, to);
        command = command.after_help(text);
    }
    command.mut_subcommands(|command| renamed(command, from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_the_short_name() {
        let inner = Command::new("run").after_help("Examples:\n  gastown-supervisor run");
        let outer = Command::new("x").after_help("Example:\n  gastown-supervisor start").subcommand(inner);
        let renamed = renamed(outer, NAME, SHORT);
        assert_eq!(renamed.get_after_help().unwrap().to_string(), "Example:\n  gts start");
        let run = renamed.find_subcommand("run").unwrap();
        assert_eq!(run.get_after_help().unwrap().to_string(), "Examples:\n  gts run");
    }
}
