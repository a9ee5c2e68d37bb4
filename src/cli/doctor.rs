//! `doctor`: checks the town and reports what is wrong, as text or as JSON. Changes nothing.

use std::process::ExitCode;

use clap::Args;

use super::{
    print, print_json,
    town::{TownArgument, asked, plain},
};
use crate::doctor::{self, telling};

/// Checks the town, its files, tools and tmux servers, and reports what is wrong and what to do. Changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong (there may be notes), 1 something is wrong or there is no town, 2 wrong usage.\n\n\
                  Examples:\n  gastown-supervisor doctor --town ~/gt\n  \
                  gastown-supervisor doctor --json | jq '.findings[] | select(.severity == \"wrong\")'"
)]
pub struct DoctorArguments {
    #[command(flatten)]
    town: TownArgument,
    /// Print one JSON object: {"town", "ok", "findings": [{"area", "severity", "what", "hint", "path", "line", "column"}]}
    #[arg(long)]
    json: bool,
}

/// Checks, prints the report, and returns an exit code that says whether something is wrong.
pub fn doctor(arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    let report = asked(async { Ok(doctor::examine(arguments.town.town.as_deref()).await?) })?;
    match arguments.json {
        true => print_json(&report)?,
        false => print(&telling::text(&report, !plain()))?,
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
