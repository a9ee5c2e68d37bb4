//! `status`: the state of the town.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::tz::TimeZone;

use super::{
    completing, print, print_json,
    town::{TownArgument, asked, plain, terminal_width},
    written,
};
use crate::{
    Answer, StatusReport,
    clock::{Clock, SystemClock},
    control::{
        report::AgentReport,
        summary::{self, Condition},
    },
    local_time::LocalTime,
    terminal,
};
use page::Page;

pub mod page;

/// The exit code of `--quiet` when an agent is down, or the whole town is stopped.
const NOT_WELL: u8 = 4;

/// How often `--watch` asks.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Shows the state of the supervisor and of each agent.
///
/// That is: whether it runs, how many agents are in which state, what concerns the whole town, its problems, and each agent with its
/// state and the reason for it. On a terminal, long reasons are cut
/// to its width, and columns that say little are left out where there is no room; JSON and other outputs have everything.
///
/// It asks the running supervisor. When none runs, it reads the files of the last one (exit code 3). When a supervisor holds
/// the town's lock but does not answer, it says so within two seconds (exit code 1).
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes of --quiet: 0 every agent is as it should be, 4 some agent is down or the town is stopped, 1 no answer, 3 not \
                  running.\n\nExamples:\n  gastown-supervisor status\n  gastown-supervisor status alpha --not-ok\n  gastown-supervisor status --json | jq '.agents[] | select(.state != \"alive\")'"
)]
pub struct StatusArguments {
    /// Show these agents only: rigs, agents in any spelling, or their own names
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    names: Vec<String>,
    #[command(flatten)]
    town: TownArgument,
    /// Show only agents that are not as they should be
    #[arg(long)]
    not_ok: bool,
    /// Show it again whenever it changes, until it is interrupted
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    watch: bool,
    /// Print nothing; the exit code says whether all is well
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print JSON, in the shape of GET /v1/status
    #[arg(long)]
    json: bool,
}

/// Prints the status, and returns the exit code for its source.
pub fn status(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.town.client()?;
    let ask = || asked(async { Ok(client.status().await) });
    if !arguments.watch {
        return show(arguments, ask()?);
    }
    let mut last = String::new();
    loop {
        let text = text(&chosen(arguments, ask()?)?)?;
        if text != last {
            // From the top of an empty screen; what is no terminal gets one page after the other.
            written(if terminal_width().is_some() { "\x1b[H\x1b[2J" } else { "" })?;
            print(&text)?;
            last = text;
        }
        asked(async {
            tokio::time::sleep(WATCH_EVERY).await;
            Ok(())
        })?;
    }
}

fn show(arguments: &StatusArguments, answer: Answer<StatusReport>) -> anyhow::Result<ExitCode> {
    let answer = chosen(arguments, answer)?;
    let (report, code) = match &answer {
        Answer::Live(report) if arguments.quiet && !summary::is_well(report) => {
            (report, ExitCode::from(NOT_WELL))
        }
        Answer::Live(report) => (report, ExitCode::SUCCESS),
        Answer::Unresponsive(report, _) => (report, ExitCode::FAILURE),
        Answer::Offline(report) => (report, ExitCode::from(super::NOT_RUNNING)),
    };
    match (arguments.quiet, arguments.json) {
        (true, _) => {}
        (false, true) => print_json(report)?,
        (false, false) => print(&text(&answer)?)?,
    }
    Ok(code)
}

fn text(answer: &Answer<StatusReport>) -> anyhow::Result<String> {
    let now = SystemClock::new().now().wall;
    let page =
        Page { local: LocalTime::new(now, &TimeZone::system()), plain: plain(), width: terminal_width() };
    let (Answer::Live(report) | Answer::Unresponsive(report, _) | Answer::Offline(report)) = answer;
    let silent = if let Answer::Unresponsive(_, why) = answer { Some(terminal::one_line(why)) } else { None };
    Ok(page.text(&terminal::report(report)?, silent.as_deref()))
}

/// The answer with the agents that were asked for. An error names those that do not exist.
fn chosen(arguments: &StatusArguments, answer: Answer<StatusReport>) -> anyhow::Result<Answer<StatusReport>> {
    let choose = |mut report: StatusReport| {
        for name in &arguments.names {
            anyhow::ensure!(
                report.agents.iter().any(|agent| is_meant(agent, name)),
                "there is no rig or agent {name:?}; `gastown-supervisor status` lists them"
            );
        }
        let is_chosen = |agent: &AgentReport| {
            let named =
                arguments.names.is_empty() || arguments.names.iter().any(|name| is_meant(agent, name));
            named && !(arguments.not_ok && Condition::of(agent).is_well())
        };
        report.agents.retain(is_chosen);
        Ok(report)
    };
    Ok(match answer {
        Answer::Live(report) => Answer::Live(choose(report)?),
        Answer::Unresponsive(report, why) => Answer::Unresponsive(choose(report)?, why),
        Answer::Offline(report) => Answer::Offline(choose(report)?),
    })
}

/// Whether a name means this agent: its rig, its identity, its session, or its own name.
fn is_meant(agent: &AgentReport, name: &str) -> bool {
    let name = name.trim_end_matches('/').to_lowercase();
    let identity = agent.identity.to_lowercase();
    let own = identity.rsplit('/').next().is_some_and(|own| own == name);
    own || identity == name
        || agent.session.to_lowercase() == name
        || agent.rig.as_ref().is_some_and(|rig| rig.to_lowercase() == name)
}
