//! What `restart`, `stop` and `start` share that act on one agent: how long to wait, and how the answer is shown.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    complain, duration, say,
    town::{TownArgument, asked},
};
use crate::{
    agent::requests::Action,
    clock::{Clock, SystemClock},
    control::acting::{Acted, At, Order},
    go_duration,
    local_time::LocalTime,
};

/// How long to wait until a supervisor has exited.
const EXITED_WITHIN: Duration = Duration::from_secs(130);
/// How long to wait until an agent is idle, and was ended.
pub const IDLE_WITHIN: Duration = Duration::from_secs(600);

/// How long to wait for the end of the supervisor, or of an agent.
#[derive(Debug, Args)]
pub struct WaitArguments {
    /// With an agent: do not wait until it is idle. What it is doing right now is lost
    #[arg(long, requires = "agent")]
    now: bool,
    /// How long to wait until it is idle and ended, or until the supervisor has exited [default: 10m, for the supervisor 130s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl WaitArguments {
    /// How long to wait for the supervisor.
    pub fn for_supervisor(&self) -> Duration {
        self.timeout.unwrap_or(EXITED_WITHIN)
    }

    /// The order to do this with an agent.
    pub fn order(&self, action: Action) -> Order {
        let patience = self.timeout.unwrap_or(IDLE_WITHIN);
        Order { action, now: self.now, time: None, patience }
    }
}

/// Has the supervisor carry out an order, and prints what became of it.
pub fn act(town: &TownArgument, agent: &str, order: Order) -> anyhow::Result<ExitCode> {
    let local = |text: &str| LocalTime::new(SystemClock::new().now().wall, &TimeZone::system()).text(text);
    let limit = go_duration::short(order.patience);
    let at = |at: &At| match at {
        At::Busy(why) => complain(&local(&format!(
            "waiting up to {limit} until it is idle: {why} (`--now` does not wait)"
        ))),
        At::Progress(why) => complain(&local(why)),
    };
    let acted = asked(async { Ok(town.client_of_this_file().await?.act(agent, &order, at).await?) })?;
    let text = local(&in_words(&acted));
    if acted.outcome.ok {
        say(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    complain(&format!("Error: {text}"));
    Ok(ExitCode::FAILURE)
}

/// What became of an order, and what to do about it.
pub fn in_words(Acted { identity, outcome }: &Acted) -> String {
    let advice = advice(&outcome.code).filter(|_| !outcome.ok);
    let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
    format!("{identity}: {}{advice}", outcome.text)
}

/// What to do about what kept an order from being carried out.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "emergency_stop" | "rig_emergency_stop" => "`gt thaw` ends the emergency stop",
        "town_shutdown" => "wait until `gt down` has ended",
        "patrol_off" => "switch the patrol on there",
        "rig_parked" => "`gt rig unpark` first",
        "rig_docked" => "`gt rig undock` first",
        "deacon_paused" => "`gt deacon resume` first",
        "usage_limit" => "`status` says when that is over",
        "logged_out" => "log in, in its session or with its program",
        "session_name_taken" => "rename one of them",
        "unclear" => "`status` and `doctor` say more; try it again",
        "start_failed" | "ended_while_starting" | "superseded" => "`explain` says more",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_says_has_advice() {
        for code in ["emergency_stop", "rig_emergency_stop", "town_shutdown", "patrol_off", "rig_parked"] {
            assert!(advice(code).is_some(), "{code}");
        }
        assert_eq!(advice("something new"), None);
    }
}
