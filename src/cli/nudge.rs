//! `nudge`: has the supervisor type a text into an agent.

use std::{
    io::{self, Read},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::tz::TimeZone;

use super::{
    acting, complain, completing, say,
    town::{TownArgument, asked},
};
use crate::{
    clock::{Clock, SystemClock},
    control::nudging,
    local_time::LocalTime,
};

/// The word in place of a text that stands on standard input.
const STDIN: &str = "-";

/// Types a text into an agent, and sends it with Enter.
///
/// The text is typed whole and once, into the agent's own pane, while the agent is idle and its prompt is empty. Nothing is typed at a
/// question, at a usage limit, without a login, into a shell, or behind a text that somebody has not sent yet.
///
/// The command returns when the text was typed, or was refused.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 typed, 1 refused or failed, 3 no supervisor runs.

Examples:
  gastown-supervisor nudge toast Read HANDOFF.md and go on.
  gastown-supervisor nudge gastown/witness 'Stop, the disk is full.' --now
  gastown-supervisor nudge toast -- --help is what I meant
  gastown-supervisor nudge toast - < letter.txt")]
pub struct NudgeArguments {
    /// The agent, in any spelling or by its own name
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: String,
    /// The text: its words, joined by blanks, after `--` where one begins with a dash; `-` alone reads standard input
    #[arg(required = true, num_args = 1..)]
    text: Vec<String>,
    #[command(flatten)]
    town: TownArgument,
    /// Type it also while the agent is not idle, or nobody can say whether it is
    #[arg(long)]
    now: bool,
}

/// Types it. An error says why nothing was asked for.
pub fn nudge(arguments: &NudgeArguments) -> anyhow::Result<ExitCode> {
    let NudgeArguments { agent, text, town, now } = arguments;
    let text = match text.as_slice() {
        [only] if only == STDIN => from(io::stdin().lock())?,
        words => words.join(" "),
    };
    nudging::check(&text).map_err(anyhow::Error::msg)?;
    let acted = asked(async { Ok(town.client_of_this_file().await?.nudge(agent, text, *now).await?) })?;
    let local = LocalTime::new(SystemClock::new().now().wall, &TimeZone::system());
    let mut line = local.text(&acting::in_words(&acted));
    if acted.outcome.ok {
        say(&line)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !*now && ["busy", "unclear"].contains(&acted.outcome.code.as_str()) {
        line.push_str("; use `--now` to type it anyway");
    }
    complain(&format!("Error: {line}"));
    Ok(ExitCode::FAILURE)
}

/// The text that a reader gives, without its last line break; not more of it than is refused.
fn from(reader: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let most = u64::try_from(nudging::LONGEST + 2).unwrap_or(u64::MAX);
    reader.take(most).read_to_end(&mut bytes).context("standard input")?;
    let text = String::from_utf8(bytes).context("standard input is no UTF-8")?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_standard_input() {
        let long = "x".repeat(nudging::LONGEST * 2);
        for (given, expected) in
            [("go on\n", "go on"), ("two\nlines\n\n", "two\nlines\n"), ("no end", "no end"), ("", "")]
        {
            assert_eq!(from(given.as_bytes()).unwrap(), expected);
        }
        assert!(nudging::check(&from(long.as_bytes()).unwrap()).is_err(), "what is cut is refused");
        assert!(from(&b"\xff"[..]).is_err());
    }
}
