//! `run`: the supervisor itself, in the foreground, until a signal.

use clap::{Args, ValueEnum};

use super::town::TownArgument;
use crate::{LogFormat, ServeOptions, serve, town::log::journal};

/// Runs the supervisor in the foreground.
///
/// It runs until SIGTERM or SIGINT. The agents keep running when it stops.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gastown-supervisor run --town ~/gt")]
pub struct RunArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Format of the log on stderr [default: journal under systemd, else human]; the log file always has plain lines
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Set by `start`: only errors that prevent the start go to stderr
    #[arg(long, hide = true, conflicts_with = "log_format")]
    detached: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Lines as in the log file
    Human,
    /// One JSON object a line
    Json,
    /// Entries of systemd's journal, with priorities and fields
    Journal,
}

/// Runs until a signal. An error says why it could not run.
pub fn run(arguments: RunArguments) -> anyhow::Result<()> {
    let foreground = match arguments.log_format {
        Some(Format::Human) => LogFormat::Human,
        Some(Format::Json) => LogFormat::Json,
        Some(Format::Journal) => LogFormat::Journal,
        None => format_here(),
    };
    let foreground = (!arguments.detached).then_some(foreground);
    let TownArgument { town, file } = arguments.town;
    let options = ServeOptions { town, file, foreground };
    // The messages contain their causes; a chain would repeat them.
    serve(options).map_err(anyhow::Error::msg)
}

/// The format of the log on this stderr, when none is asked for.
pub fn format_here() -> LogFormat {
    if journal::has_stderr() { LogFormat::Journal } else { LogFormat::Human }
}
