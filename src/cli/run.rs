//! `run`: the supervisor itself, in the foreground, until a signal.

use clap::{Args, ValueEnum};

use super::town::TownArgument;
use crate::{LogFormat, ServeOptions, serve};

/// Runs the supervisor in the foreground.
///
/// It runs until SIGTERM or SIGINT. The agents keep running when it stops.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gastown-supervisor run --town ~/gt")]
pub struct RunArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Format of the log on stderr; daemon/daemon.log always has plain lines
    #[arg(long, value_enum, default_value_t = Format::Human)]
    log_format: Format,
    /// Set by `start`: only errors that prevent the start go to stderr
    #[arg(long, hide = true, conflicts_with = "log_format")]
    detached: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// Runs until a signal. An error says why it could not run.
pub fn run(arguments: RunArguments) -> anyhow::Result<()> {
    let foreground = match arguments.log_format {
        Format::Human => LogFormat::Human,
        Format::Json => LogFormat::Json,
    };
    let foreground = (!arguments.detached).then_some(foreground);
    let options = ServeOptions { town: arguments.town.town, foreground };
    // The messages contain their causes; a chain would repeat them.
    serve(options).map_err(anyhow::Error::msg)
}
