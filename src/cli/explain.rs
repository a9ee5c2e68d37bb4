//! `explain`: what happened to one agent, and why.

use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCompleter;
use jiff::{Timestamp, tz::TimeZone};

use super::{
    complain, completing, print, print_json,
    town::{TownArgument, asked},
};
use crate::{
    Answer, ClientError, Explanation,
    agent::history::rendering,
    clock::{Clock, SystemClock},
    control::report::called,
    local_time::LocalTime,
    terminal,
};

/// Shows what happened to one agent, and why.
///
/// That is: observations and decisions, in order, with times.
///
/// When no supervisor runs, it shows what the last one saved (exit code 3).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gastown-supervisor explain gastown/witness\n  gastown-supervisor explain gastown-polecat-Toast --json"
)]
pub struct ExplainArguments {
    /// The agent, in any spelling: gastown/witness, gastown-witness, gastown/polecats/Toast, gastown/Toast, deacon, mayor/
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: String,
    #[command(flatten)]
    town: TownArgument,
    /// Print JSON, in the shape of GET /v1/agents/<agent>
    #[arg(long)]
    json: bool,
}

/// Prints the history of the agent.
pub fn explain(arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    let client = arguments.town.client()?;
    let asking = async { Ok(client.explain(&arguments.agent).await) };
    let (explanation, code) = match asked(asking)? {
        Ok(Answer::Live(explanation)) => (explanation, ExitCode::SUCCESS),
        Ok(Answer::Unresponsive(explanation, why)) => {
            complain(&format!("{why}; this is what it last wrote"));
            (explanation, ExitCode::FAILURE)
        }
        Ok(Answer::Offline(explanation)) => {
            complain("not running; this is what the last supervisor wrote");
            (explanation, ExitCode::from(super::NOT_RUNNING))
        }
        Err(ClientError::UnknownAgent(why)) => anyhow::bail!(why),
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        print_json(&explanation)?;
    } else {
        print(&text(&terminal::report(&explanation)?, SystemClock::new().now().wall, &TimeZone::system()))?;
    }
    Ok(code)
}

/// The explanation for people; its texts have passed `terminal::report`.
pub fn text(explanation: &Explanation, now: Timestamp, zone: &TimeZone) -> String {
    let local = LocalTime::new(now, zone);
    let mut text = match &explanation.agent {
        Some(agent) => {
            let why = agent.reason.as_ref().map(|why| format!(": {}", local.text(why))).unwrap_or_default();
            let doing = super::status::page::doing(agent, &local)
                .map(|doing| format!("; {doing}"))
                .unwrap_or_default();
            let doubt = agent.activity_doubt.as_ref();
            let doubt = doubt.map(|why| format!("its transcript is silent: {why}\n")).unwrap_or_default();
            let health = super::status::page::health(agent, &local);
            let health = health.map(|health| format!("its health: {health}\n")).unwrap_or_default();
            format!("{} is {}{why}{doing}\n{doubt}{health}", called(&agent.identity), agent.state)
        }
        None => format!("{} is not supervised\n", called(&explanation.identity)),
    };
    let lines = rendering::lines(&explanation.entries, now, zone);
    if lines.is_empty() {
        text.push_str("no events yet\n");
    }
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    text
}
