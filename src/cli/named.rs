//! Named: the command has two names, and help shows the one that it was called by.
//!
//! Messages that other commands quote keep the long name, which is always installed.

use std::path::Path;

use clap::Command;

/// The name that the command always has,
pub const NAME: &str = "gastown-supervisor";
/// and the short one.
const SHORT: &str = "gts";

/// The command, with its examples under the name that this process was called by.
pub fn by_its_caller(command: Command) -> Command {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == SHORT) {
        return renamed(command.name(SHORT));
    }
    command
}

fn renamed(mut command: Command) -> Command {
    if let Some(text) = command.get_after_help() {
        let text = text.to_string().replace(NAME, SHORT);
        command = command.after_help(text);
    }
    command.mut_subcommands(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_the_short_name() {
        let inner = Command::new("run").after_help("Examples:\n  gastown-supervisor run");
        let outer = Command::new("x").after_help("Example:\n  gastown-supervisor start").subcommand(inner);
        let renamed = renamed(outer);
        assert_eq!(renamed.get_after_help().unwrap().to_string(), "Example:\n  gts start");
        let run = renamed.find_subcommand("run").unwrap();
        assert_eq!(run.get_after_help().unwrap().to_string(), "Examples:\n  gts run");
    }
}
