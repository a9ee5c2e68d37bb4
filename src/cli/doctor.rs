//! `doctor`: looks at the town and says what is wrong, in words or as JSON. Changes nothing.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use gastown_supervisor::doctor::{self, telling};

/// Looks at the town, its files, tools and tmux servers, and says what is wrong and what to do. Changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong (notes are no fault), 1 something is wrong or there is no town, 2 wrong usage.\n\n\
                  Examples:\n  gastown-supervisor doctor --town ~/gt\n  \
                  gastown-supervisor doctor --json | jq '.findings[] | select(.severity == \"wrong\")'"
)]
pub struct DoctorArguments {
    /// The town: the directory that holds mayor/town.json [default: GT_TOWN_ROOT, GT_ROOT, or the town around here]
    #[arg(long, value_name = "DIR")]
    town: Option<PathBuf>,
    /// Print one JSON object: {"town", "ok", "findings": [{"area", "severity", "what", "hint", "path", "line", "column"}]}
    #[arg(long)]
    json: bool,
}

/// Examines, prints, and says by the exit code whether something is wrong.
pub fn doctor(arguments: DoctorArguments) -> anyhow::Result<ExitCode> {
    let report = doctor::examine(arguments.town)?;
    let mut text = if arguments.json {
        serde_json::to_string_pretty(&report)?
    } else {
        telling::text(&report, wants_colour())
    };
    if arguments.json {
        text.push('\n');
    }
    // Whoever reads may have seen enough: a closed pipe is no failure.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wants_colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
