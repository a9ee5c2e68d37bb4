//! Observed: waits until a supervisor that was just started has observed every agent once, and says what it found.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::sleep;

use super::say;
use crate::{
    Answer, Client, StatusReport,
    clock::{Clock, SystemClock},
    control::summary,
    local_time::LocalTime,
    terminal,
};

/// How often the supervisor is asked.
const POLL: Duration = Duration::from_millis(50);

/// The code of the reason of an agent that was not observed yet.
const NOT_OBSERVED: &str = "not_observed";

/// Prints how the agents are when each was observed once, or that some were not within this time.
pub async fn say_what_is_found(client: &Client, within: Duration) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let until = clock.now().mono + within;
    loop {
        let answer = client.status().await;
        let last = clock.now().mono >= until;
        match answer {
            Answer::Live(report) if is_observed(&report) => return found(&report, ""),
            Answer::Live(report) if last => {
                return found(
                    &report,
                    "; not every agent is observed yet, `gastown-supervisor status` shows more",
                );
            }
            Answer::Offline(_) => anyhow::bail!("it has ended already; `gastown-supervisor logs` says why"),
            Answer::Unresponsive(..) if last => {
                return say("it does not answer yet, `gastown-supervisor status` says why");
            }
            _ => sleep(POLL).await,
        }
    }
}

fn is_observed(report: &StatusReport) -> bool {
    let is_unseen = |code: &Option<String>| code.as_deref() == Some(NOT_OBSERVED);
    report.heartbeat.count > 0 && !report.agents.iter().any(|agent| is_unseen(&agent.reason_code))
}

fn found(report: &StatusReport, more: &str) -> anyhow::Result<()> {
    let report = terminal::report(report)?;
    let local = LocalTime::new(SystemClock::new().now().wall, &TimeZone::system());
    say(&format!("{}{more}", summary::headline(&report.agents, &local)))?;
    summary::banners(&report, &local).iter().try_for_each(|banner| say(banner))?;
    let problems = report.problem_list.len();
    if problems > 0 {
        say(&format!(
            "{problems} problem{}: `gastown-supervisor status` shows them",
            if problems == 1 { "" } else { "s" }
        ))?;
    }
    Ok(())
}
