//! Summary: a report in a few lines: how many agents are in which condition, what concerns the whole town, and whether all is well.
//! Pure.
//!
//! Everything that shows a town at a glance counts and words it here, so that all of it says the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::report::{AgentReport, StatusReport, SummaryReport};
use crate::local_time::LocalTime;

/// For how long a mass death is shown.
const MASS_DEATH_SHOWN: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What an agent counts as, in the order in which conditions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It works on a turn.
    Working,
    /// Its turn is over.
    Idle,
    /// It runs; no source says what it is doing.
    Alive,
    /// It is being started.
    Starting,
    /// It looks dead and is probed again.
    Confirming,
    /// It will be started at a certain time.
    Waiting,
    /// It waits for a person to answer a question.
    AtQuestion,
    /// The plan of its account is used up.
    Limited,
    /// The login of its account is lost.
    LoggedOut,
    /// It may be hung.
    Hung,
    /// The checks of its health fail.
    Unhealthy,
    /// It was restarted too often.
    CrashLoop,
    /// Its program or its directory does not exist.
    CannotStart,
    /// Whether it runs is not known.
    Unknown,
    /// Somebody stopped it.
    Held,
    /// It must not be started now.
    Paused,
    /// It ended, and is not to be started again by itself.
    Ended,
    /// It is not needed.
    Absent,
}

impl Condition {
    /// The condition of this agent.
    pub fn of(agent: &AgentReport) -> Self {
        match (agent.state.as_str(), agent.activity.as_deref()) {
            ("waiting_at_question", _) | ("alive", Some("waiting_at_question")) => Condition::AtQuestion,
            ("limited", _) | ("alive", Some("limited")) => Condition::Limited,
            ("logged_out", _) | ("alive", Some("logged_out")) => Condition::LoggedOut,
            ("alive", _) if agent.is_unhealthy() => Condition::Unhealthy,
            ("alive", Some("hung")) => Condition::Hung,
            ("alive", Some("working")) => Condition::Working,
            ("alive", Some("idle")) => Condition::Idle,
            ("alive", _) => Condition::Alive,
            ("starting", _) => Condition::Starting,
            ("confirming", _) => Condition::Confirming,
            ("waiting", _) => Condition::Waiting,
            ("crash_loop", _) => Condition::CrashLoop,
            ("held", _) => Condition::Held,
            ("paused", _) => Condition::Paused,
            ("absent", _) => match agent.reason_code.as_deref() {
                Some("cannot_start") => Condition::CannotStart,
                Some("ended_well" | "not_restarted") => Condition::Ended,
                _ => Condition::Absent,
            },
            _ => Condition::Unknown,
        }
    }

    /// Whether an agent in this condition is as it should be: it runs and can work, or is meant not to run.
    pub fn is_well(self) -> bool {
        use Condition::{Absent, Alive, Ended, Held, Idle, Paused, Starting, Working};
        matches!(self, Working | Idle | Alive | Starting | Held | Paused | Ended | Absent)
    }

    fn words(self, count: usize) -> String {
        let words = match self {
            Condition::Working => "working",
            Condition::Idle => "idle",
            Condition::Alive => "alive",
            Condition::Starting => "starting",
            Condition::Confirming => "looking dead",
            Condition::Waiting => "waiting",
            Condition::AtQuestion => "at a question",
            Condition::Limited => "limited",
            Condition::LoggedOut => "logged out",
            Condition::Hung => "perhaps hung",
            Condition::Unhealthy => "unhealthy",
            Condition::CrashLoop if count == 1 => "crash loop",
            Condition::CrashLoop => "crash loops",
            Condition::Unknown => "unknown",
            Condition::Held => "held",
            Condition::Paused => "paused",
            Condition::CannotStart => "cannot start",
            Condition::Ended => "ended",
            Condition::Absent => "not needed",
        };
        format!("{count} {words}")
    }
}

/// How many agents there are, and how many in which condition: `21 agents: 17 working, 2 waiting, 1 limited until 19:20:00`.
pub fn headline(agents: &[AgentReport], local: &LocalTime) -> String {
    let mut counts = BTreeMap::<Condition, (usize, Option<Timestamp>)>::new();
    for agent in agents {
        let (count, until) = counts.entry(Condition::of(agent)).or_default();
        *count += 1;
        *until = [*until, agent.backoff_until].into_iter().flatten().min();
    }
    let part = |(condition, (count, until)): (&Condition, &(usize, Option<Timestamp>))| {
        let until = until.filter(|_| *condition == Condition::Limited);
        let until = until.map(|until| format!(" until {}", local.time(until))).unwrap_or_default();
        condition.words(*count) + &until
    };
    let parts: Vec<_> = counts.iter().map(part).collect();
    match agents.len() {
        0 => "no agents".to_owned(),
        1 => format!("1 agent: {}", parts.join(", ")),
        all => format!("{all} agents: {}", parts.join(", ")),
    }
}

/// Whether every agent is known to be as it should be, every actor answers, and nothing stops the whole town. What is not known is
/// not well.
pub fn is_well(report: &StatusReport) -> bool {
    let may_start = report.gates.as_ref().is_some_and(|gates| gates.iter().all(|gate| gate.rig.is_some()));
    let answers = report.actors.iter().all(|actor| !actor.silent && actor.parked.is_none());
    report.heartbeat.count > 0
        && may_start
        && answers
        && report.agents.iter().all(|agent| Condition::of(agent).is_well())
}

/// The whole summary.
pub fn of(report: &StatusReport, local: &LocalTime) -> SummaryReport {
    let not_well = report.agents.iter().filter(|agent| !Condition::of(agent).is_well());
    SummaryReport {
        headline: headline(&report.agents, local),
        banners: banners(report, local),
        well: is_well(report),
        not_well: not_well.map(|agent| agent.identity.clone()).collect(),
        zone: local.zone().iana_name().map(str::to_owned),
    }
}

/// What concerns the town or a whole rig: emergency stops, `gt down`, parked and docked rigs, a mass death of the last hour, a program
/// that was replaced.
pub fn banners(report: &StatusReport, local: &LocalTime) -> Vec<String> {
    let gates = report.gates.as_deref().unwrap_or_default();
    let (town, rigs): (Vec<_>, Vec<_>) = gates.iter().partition(|gate| gate.rig.is_none());
    let mut banners: Vec<String> = town.iter().map(|gate| town_gate(&gate.code, &gate.text)).collect();
    banners.extend(mass_death(report, local));
    let mut by_code = BTreeMap::<&str, Vec<&str>>::new();
    for gate in rigs {
        by_code.entry(&gate.code).or_default().extend(gate.rig.as_deref());
    }
    banners.extend(by_code.iter().map(|(code, rigs)| rig_gate(code, rigs)));
    if report.binary_replaced {
        let version = &report.version;
        banners.push(format!(
            "The program was replaced on disk; {version} still runs. `gastown-supervisor restart` starts the new one"
        ));
    }
    banners
}

fn town_gate(code: &str, text: &str) -> String {
    match code {
        "emergency_stop" => {
            "EMERGENCY STOP: nothing is started while the file ESTOP is there (`gt thaw`)".to_owned()
        }
        "town_shutdown" => "`gt down` is taking the town down: nothing is started".to_owned(),
        _ => format!("Nothing is started: {text}"),
    }
}

fn rig_gate(code: &str, rigs: &[&str]) -> String {
    let (names, are) = (rigs.join(", "), if rigs.len() == 1 { "is" } else { "are" });
    let (what, end) = match code {
        "rig_parked" => ("parked", "gt rig unpark <rig>"),
        "rig_docked" => ("docked", "gt rig undock <rig>"),
        "rig_emergency_stop" => {
            return format!(
                "{names} {are} under an emergency stop: no agent there is started (files ESTOP.<rig>)"
            );
        }
        _ => return format!("{names}: no agent there is started ({})", code.replace('_', " ")),
    };
    format!("{names} {are} {what}: no agent there is started until `{end}`")
}

/// A mass death, as the death window reports it.
#[derive(Debug, Deserialize)]
pub struct MassDeath {
    /// When it was.
    pub at: Timestamp,
    /// The names of the sessions that died.
    pub sessions: Vec<String>,
    /// What may have caused it.
    #[serde(rename = "possible_cause")]
    pub cause: Option<String>,
}

/// The mass death of the last hour.
pub fn last_mass_death(report: &StatusReport, now: Timestamp) -> Option<MassDeath> {
    let last: MassDeath = serde_json::from_value(report.deaths.get("last")?.clone()).ok()?;
    (now.duration_since(last.at) <= MASS_DEATH_SHOWN).then_some(last)
}

fn mass_death(report: &StatusReport, local: &LocalTime) -> Option<String> {
    let MassDeath { at, sessions, cause } = last_mass_death(report, local.now())?;
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    Some(format!("MASS DEATH at {}: {} sessions died together{cause}", local.time(at), sessions.len()))
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
