//! `doctor`: checks the town and reports what is wrong, as text or as JSON. Changes nothing.

use std::process::ExitCode;

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    print, print_json,
    town::{TownArgument, asked, plain, terminal_width},
};
use crate::{
    clock::{Clock, SystemClock},
    doctor::{self, telling::Telling},
    local_time::LocalTime,
};

/// Checks the town, and reports what is wrong and what to do.
///
/// It checks files, the disk, tools, agents' programs, tmux servers and units of systemd, and asks a running supervisor for its PATH and
/// its problems. It works without one, too, and changes nothing.
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
    let report = asked(async { Ok(doctor::examine_named(arguments.town.named()).await?) })?;
    match arguments.json {
        true => print_json(&report)?,
        false => {
            let local = LocalTime::new(SystemClock::new().now().wall, &TimeZone::system());
            print(&Telling { colour: !plain(), width: terminal_width(), local }.text(&report))?;
        }
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
