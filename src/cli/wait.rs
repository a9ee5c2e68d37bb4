//! `wait`: waits until an agent is in a state, or does something.

use std::{process::ExitCode, time::Duration};

use clap::{Args, builder::PossibleValuesParser};
use clap_complete::ArgValueCompleter;

use super::{
    complain, completing, duration, say,
    town::{TownArgument, asked},
};
use crate::{
    ClientError,
    agent::{health::Health, phase::Phase},
    control::report::AgentReport,
    go_duration,
};

/// The exit code when the time is over, as of timeout(1).
const TIMED_OUT: u8 = 124;
/// How often to ask.
const POLL: Duration = Duration::from_millis(250);

/// What can be waited for: the states of `status`, what a living agent is doing, and its health.
const WORDS: [&str; 17] = [
    "alive",
    "working",
    "idle",
    "waiting_at_question",
    "limited",
    "logged_out",
    "hung",
    "starting",
    "confirming",
    "waiting",
    "held",
    "crash_loop",
    "paused",
    "absent",
    "unknown",
    "healthy",
    "unhealthy",
];

/// Waits until an agent is in a state, or does something.
///
/// It returns as soon as that is so, immediately if it already is. When the supervisor is restarted meanwhile, it keeps waiting.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 reached, 124 timed out, 3 no supervisor runs.

Examples:
  gastown-supervisor wait toast --for working --timeout 5m
  gastown-supervisor wait gastown/witness --for idle && gastown-supervisor restart gastown/witness")]
pub struct WaitArguments {
    /// The agent, in any spelling or by its own name
    #[arg(add = ArgValueCompleter::new(completing::agents))]
    agent: String,
    #[command(flatten)]
    town: TownArgument,
    /// The state, what it is doing, or its health
    #[arg(long = "for", value_name = "STATE", value_parser = PossibleValuesParser::new(WORDS))]
    word: String,
    /// How long to wait [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Waits. An error says that there is no such agent, or no supervisor.
pub fn wait(arguments: &WaitArguments) -> anyhow::Result<ExitCode> {
    let WaitArguments { agent, town, word, timeout } = arguments;
    let client = town.client()?;
    asked(async {
        // The agent that is meant stays the same, whatever its short name means later.
        let (mut last, mut meant) = (None, agent.clone());
        let reached = async {
            loop {
                match client.explain_live(&meant).await {
                    Ok(it) => {
                        meant.clone_from(&it.identity);
                        if let Some(report) = it.agent {
                            if is(&report, word) {
                                return anyhow::Ok(it.identity);
                            }
                            last = Some((it.identity, now(&report)));
                        }
                    }
                    // One that is restarted meanwhile answers again.
                    Err(ClientError::NotRunning(_) | ClientError::Unresponsive(_)) if last.is_some() => {}
                    Err(error) => return Err(error.into()),
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let Some(limit) = *timeout else {
            return said(&reached.await?, word);
        };
        match tokio::time::timeout(limit, reached).await {
            Ok(identity) => said(&identity?, word),
            Err(_) => {
                let (identity, is) = last.unwrap_or_else(|| (agent.clone(), "not supervised".to_owned()));
                complain(&format!(
                    "{identity} is {is}, and was not {word} within {}",
                    go_duration::short(limit)
                ));
                Ok(ExitCode::from(TIMED_OUT))
            }
        }
    })
}

fn said(identity: &str, word: &str) -> anyhow::Result<ExitCode> {
    say(&format!("{identity} is {word}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether this is its state, what it is doing, or its health.
fn is(agent: &AgentReport, word: &str) -> bool {
    let health = || agent.health.as_ref().filter(|_| agent.state == Phase::Alive.as_str());
    let is_health = [Health::Healthy, Health::Unhealthy].iter().any(|health| health.as_str() == word);
    match is_health {
        true => health().is_some_and(|health| health.state == word),
        false => agent.state == word || agent.activity.as_deref() == Some(word),
    }
}

fn now(agent: &AgentReport) -> String {
    let health = agent.health.as_ref().map(|health| format!(", health {}", health.state)).unwrap_or_default();
    match &agent.activity {
        Some(activity) => format!("{} and {activity}{health}", agent.state),
        None => format!("{}{health}", agent.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::activity::Activity, control::report};

    #[test]
    fn every_state_and_activity_can_be_waited_for() {
        let phases = [
            Phase::Alive,
            Phase::WaitingAtQuestion,
            Phase::Starting,
            Phase::Confirming,
            Phase::Waiting,
            Phase::Limited,
            Phase::LoggedOut,
            Phase::Held,
            Phase::CrashLoop,
            Phase::Paused,
            Phase::Absent,
            Phase::Unknown,
        ];
        let text = String::new;
        let activities = [
            Activity::Working,
            Activity::Idle,
            Activity::WaitingAtQuestion(text()),
            Activity::Limited(text()),
            Activity::LoggedOut(text()),
            Activity::Hung(text()),
        ];
        let words = phases.iter().map(|it| it.as_str()).chain(activities.iter().map(Activity::code));
        for word in words {
            assert!(WORDS.contains(&word), "{word}");
        }
    }

    #[test]
    fn a_state_or_what_it_does() {
        let agent = |state: &str, activity: Option<&str>| AgentReport {
            state: state.to_owned(),
            activity: activity.map(str::to_owned),
            ..AgentReport::default()
        };
        let of_health = |state: &str, health: &str| {
            let since = jiff::Timestamp::UNIX_EPOCH;
            let health = report::Health { state: health.to_owned(), since, failures: 0, said: None };
            AgentReport { health: Some(health), ..agent(state, None) }
        };
        for (agent, word, expected) in [
            (agent("alive", Some("working")), "alive", true),
            (agent("alive", Some("working")), "working", true),
            (agent("alive", Some("working")), "idle", false),
            (agent("alive", None), "idle", false),
            (agent("held", None), "held", true),
            (of_health("alive", "healthy"), "healthy", true),
            (of_health("alive", "starting"), "healthy", false),
            (of_health("alive", "starting"), "starting", false),
            (of_health("alive", "unhealthy"), "unhealthy", true),
            (of_health("waiting_at_question", "healthy"), "healthy", false),
            (agent("alive", None), "healthy", false),
        ] {
            assert_eq!(is(&agent, word), expected, "{agent:?} {word}");
        }
    }
}
