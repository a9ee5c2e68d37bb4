//! `status`: the state of the town.

use std::{collections::BTreeSet, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use jiff::tz::TimeZone;

use super::{
    complain, completing, print, print_json,
    town::{TownArgument, asked, is_of_this_file, plain, terminal_width},
    written,
};
use crate::{
    Answer, StatusReport,
    agent::history::finding,
    clock::{Clock, SystemClock},
    control::{
        report::{AgentReport, called},
        summary::{self, Condition},
    },
    local_time::LocalTime,
    terminal,
    town::identity::Identity,
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
    after_help = "Exit codes of --quiet: 0 every agent is known to be as it should be, 4 some agent is down, something is not known, or the town is stopped, 1 no answer, 3 not \
                  running.\n\nExamples:\n  gastown-supervisor status\n  gastown-supervisor status alpha --not-ok\n  gastown-supervisor status --json | jq '.agents[] | select(.state != \"alive\")'"
)]
pub struct StatusArguments {
    /// Show these agents only: rigs, agents in any spelling, or their own names
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    names: Vec<String>,
    #[command(flatten)]
    town: TownArgument,
    /// Show more columns: program, PID, hook, uptime and last exit
    #[arg(long, short, value_name = "FORMAT", conflicts_with_all = ["json", "quiet"])]
    output: Option<Output>,
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

/// How the page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// With more columns.
    Wide,
}

/// Prints the status, and returns the exit code for its source.
pub fn status(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let (paths, client) = (arguments.town.paths()?, arguments.town.client()?);
    if let Err(why) = asked(is_of_this_file(&paths)) {
        complain(&why.to_string());
    }
    let ask = || asked(async { Ok(client.status().await) });
    if !arguments.watch {
        return show(arguments, ask()?);
    }
    let (mut last, on_a_terminal) = (None, terminal_width().is_some());
    loop {
        let answer = chosen(arguments, ask()?)?;
        // On a terminal times pass, too; what is no terminal gets a page for each change.
        if on_a_terminal || last.as_ref() != Some(&answer) {
            // From the top of an empty screen.
            written(if on_a_terminal { "\x1b[H\x1b[2J" } else { "" })?;
            print(&text(&answer, arguments)?)?;
            last = Some(answer);
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
        (false, false) => print(&text(&answer, arguments)?)?,
    }
    Ok(code)
}

fn text(answer: &Answer<StatusReport>, arguments: &StatusArguments) -> anyhow::Result<String> {
    let now = SystemClock::new().now().wall;
    let page = Page {
        local: LocalTime::new(now, &TimeZone::system()),
        plain: plain(),
        width: terminal_width(),
        wide: arguments.output == Some(Output::Wide),
    };
    let (Answer::Live(report) | Answer::Unresponsive(report, _) | Answer::Offline(report)) = answer;
    let silent = if let Answer::Unresponsive(_, why) = answer { Some(terminal::one_line(why)) } else { None };
    let none = match answer {
        Answer::Live(report) if arguments.not_ok && report.agents.is_empty() => "No agent needs attention\n",
        _ => "",
    };
    Ok(page.text(&terminal::report(report)?, silent.as_deref()) + none)
}

/// The answer with the agents that were asked for. An error names one that a running supervisor does not know.
fn chosen(arguments: &StatusArguments, answer: Answer<StatusReport>) -> anyhow::Result<Answer<StatusReport>> {
    let is_live = matches!(answer, Answer::Live(_));
    let choose = |mut report: StatusReport| {
        let known: Vec<Identity> =
            report.agents.iter().filter_map(|agent| agent.identity.parse().ok()).collect();
        let mut meant = BTreeSet::new();
        for name in &arguments.names {
            let named: Vec<&str> = report.agents.iter().filter_map(|it| is_meant(it, name, &known)).collect();
            let what = if report.is_of_one_file() { "agent" } else { "rig or agent" };
            anyhow::ensure!(!named.is_empty() || !is_live, unknown(what, name, &known));
            meant.extend(named.into_iter().map(str::to_owned));
        }
        let is_chosen = |agent: &AgentReport| {
            let named = arguments.names.is_empty() || meant.contains(&agent.identity);
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

/// That nobody is called so, with those who have similar names.
fn unknown(what: &str, name: &str, known: &[Identity]) -> String {
    let close: Vec<String> = finding::close_ones(name, known).iter().map(Identity::called).collect();
    let hint = match close.is_empty() {
        true => "`gastown-supervisor status` lists them".to_owned(),
        false => format!("did you mean {}?", close.join(" or ")),
    };
    format!("there is no {what} {name:?}; {hint}")
}

/// The identity of this agent, if a name means it: its rig, its own name or role, its session, or any spelling of it.
fn is_meant<'a>(agent: &'a AgentReport, name: &str, known: &[Identity]) -> Option<&'a str> {
    let name = name.trim_end_matches('/');
    let own = called(&agent.identity).rsplit('/').next().unwrap_or_default();
    let all = [Some(own), Some(&agent.session), agent.rig.as_deref()];
    let is_short = all.into_iter().flatten().any(|it| it.eq_ignore_ascii_case(name));
    let is_spelled = || finding::find(name, &[], known).is_ok_and(|it| it.to_string() == agent.identity);
    (is_short || is_spelled()).then_some(&agent.identity)
}
