//! Report: the state of a town, for machines and for our own commands. Pure projections.
//!
//! `GET /v1/status` and `status --json` have the same shape: keys are only ever added.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    agent::{
        self,
        history::{Entry, History},
        phase::Phase,
        reason::MEMORY,
    },
    ports::problems::{ProblemKey, Severity},
    supervision::status::AgentStatus,
    town::{dialect::Dialect, identity::Identity},
    tree::town_reading::SettingsState,
};

pub use crate::supervision::child::ActorReport;
pub use crate::supervision::heartbeat::HeartbeatReport;
pub use crate::supervision::status::{Exit, Health};

/// The state of a town: what `GET /v1/status` answers and `gastown-supervisor status --json` prints. Keys are only ever added.
///
/// ```
/// use gastown_supervisor::StatusReport;
///
/// let printed = r#"{"running": true, "agents": [{"identity": "deacon", "state": "waiting", "restarts": 2}]}"#;
/// let report: StatusReport = serde_json::from_str(printed)?;
/// let waiting = report.agents.iter().filter(|agent| agent.state == "waiting");
/// assert_eq!(waiting.map(|agent| agent.identity.as_str()).collect::<Vec<_>>(), ["deacon"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusReport {
    /// Whether a supervisor runs.
    pub running: bool,
    /// Whether none runs and the last one did not end in order: it was killed, or crashed.
    pub died: bool,
    /// Its PID; that of the last supervisor when none runs.
    pub pid: Option<u32>,
    /// The town's directory.
    pub town: String,
    /// Which Gas Town that is: `january` or `1.x`; empty when no supervisor runs.
    pub gas_town: String,
    /// The socket of the tmux server that it uses; empty when no supervisor runs.
    pub tmux_socket: String,
    /// The supervisor's version.
    pub version: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// The supervisor's heartbeat.
    pub heartbeat: HeartbeatReport,
    /// Which settings are in force.
    pub settings: SettingsState,
    /// Whether the program on disk was replaced since this supervisor started: `restart` takes the new one.
    pub binary_replaced: bool,
    /// What keeps the town or a rig from being started: emergency stop, `gt down`, parked or docked rigs. `None`: that could
    /// not be found out.
    pub gates: Option<Vec<GateReport>>,
    /// The same in a few lines, as people are shown it; `None` when no supervisor says.
    pub summary: Option<SummaryReport>,
    /// All agents, ordered by identity.
    pub agents: Vec<AgentReport>,
    /// How many lines it has written to `.events.jsonl`; in a town of Gas Town 1.x each wakes the agents that wait.
    pub events_written: u64,
    /// The supervisor's actors, with their restarts.
    pub actors: Vec<ActorReport>,
    /// What is wrong now: key and text.
    pub problems: BTreeMap<String, String>,
    /// The same, the worst and then the newest first, with what else is known of each.
    pub problem_list: Vec<ProblemReport>,
    /// Figures of the death window; `null` when it does not answer.
    pub deaths: Value,
    /// The accounts that are held, and why.
    pub accounts: Value,
    /// Figures of the feed; `null` when it does not answer.
    pub feed: Value,
    /// Figures of the convoys; `null` when they are not available.
    pub convoys: Value,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
pub struct ProblemReport {
    /// Its key.
    pub key: String,
    /// Its text.
    pub text: String,
    /// How bad it is.
    #[serde(with = "InStatus")]
    pub severity: Severity,
    /// Since when it is open; `None` when no supervisor says.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The agent that it concerns.
    #[serde(default)]
    pub agent: Option<String>,
}

/// How bad a problem is.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "test-support", schemars(rename = "Severity"))]
#[serde(remote = "Severity", rename_all = "snake_case")]
enum InStatus {
    /// Something is not done that the supervisor is there for.
    #[serde(rename = "error")]
    Critical,
    /// Something is to be examined.
    Warning,
    /// To be known.
    Info,
}

impl ProblemReport {
    /// A problem with this key and text.
    pub(crate) fn new(key: impl Into<ProblemKey>, text: &str, since: Option<Timestamp>) -> Self {
        let key = key.into();
        ProblemReport {
            key: key.name().to_owned(),
            text: text.to_owned(),
            severity: key.severity(),
            since,
            agent: key.agent().map(ToString::to_string),
        }
    }

    /// How bad it is, in the word of the report: `error`, `warning` or `info`.
    pub(crate) fn severity_word(&self) -> &'static str {
        match self.severity {
            Severity::Critical => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl StatusReport {
    /// Shows these problems, the worst and then the newest first.
    pub(crate) fn show(&mut self, problems: impl IntoIterator<Item = ProblemReport>) {
        let list = &mut self.problem_list;
        list.extend(problems);
        list.sort_by_key(|it| (Reverse(it.severity), Reverse(it.since), it.key.clone()));
        self.problems = list.iter().map(|it| (it.key.clone(), it.text.clone())).collect();
    }
}

/// A report in a few lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SummaryReport {
    /// How many agents there are, and how many in which condition.
    pub headline: String,
    /// What concerns the town or a whole rig.
    pub banners: Vec<String>,
    /// Whether every agent is known to be as it should be, and nothing stops the whole town.
    pub well: bool,
    /// The agents that are not as they should be.
    pub not_well: Vec<String>,
    /// The time zone of the times in texts, such as `Europe/Berlin`; `None` when it has no name.
    pub zone: Option<String>,
}

/// What keeps the town or one rig from being started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct GateReport {
    /// The rig; `None` for the whole town.
    pub rig: Option<String>,
    /// The code, such as `emergency_stop`, `town_shutdown` or `rig_parked`.
    pub code: String,
    /// The text for people.
    pub text: String,
}

/// The state of one agent.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentReport {
    /// Its identity, such as `gastown/witness`, or `@mayor` for an agent of `agents.toml`.
    pub identity: String,
    /// Its role, such as `witness`.
    pub role: String,
    /// Its rig; `None` for an agent of the town.
    pub rig: Option<String>,
    /// Its session's name.
    pub session: String,
    /// `alive`, `waiting_at_question`, `starting`, `confirming`, `waiting`, `held`, `crash_loop`, `paused`, `absent` or `unknown`.
    pub state: String,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// Restarts since it was last stable.
    pub restarts: u32,
    /// No automatic start before this time.
    pub backoff_until: Option<Timestamp>,
    /// The reason for this state, if there is one.
    pub reason: Option<String>,
    /// The code of the reason for machines, such as `rig_parked` or `backoff`.
    pub reason_code: Option<String>,
    /// What it is doing while it is alive: `working`, `idle`, `waiting_at_question`, `limited`, `logged_out` or `hung`; `None` when
    /// no source says.
    pub activity: Option<String>,
    /// Who says so: `transcript`, `screen` or `processes`.
    pub activity_source: Option<String>,
    /// Since when it is doing that.
    pub activity_since: Option<Timestamp>,
    /// The program's own sentence about its limit or login, the question, or why it may be hung.
    pub activity_detail: Option<String>,
    /// Why its transcript does not say what it is doing, where that is known.
    pub activity_doubt: Option<String>,
    /// The name of the process that is the agent, such as `claude`, while it is alive.
    pub program: Option<String>,
    /// The PID of that process.
    pub pid: Option<u32>,
    /// The bead on its hook; `None` also where that is not known.
    pub hook: Option<String>,
    /// When the session in which it lives was created.
    pub started_at: Option<Timestamp>,
    /// How it died last, when nobody had intended that, as far as its history goes back.
    pub last_exit: Option<Exit>,
    /// What the checks of its health say while it is alive; `None` where it is not checked.
    pub health: Option<Health>,
}

/// What happened to one agent, and why: what `GET /v1/agents/<agent>` answers and `gastown-supervisor explain --json` prints.
///
/// ```
/// use gastown_supervisor::{Explanation, report::Phase};
///
/// let printed = r#"{"identity": "deacon", "agent": null, "entries": [{"at": "2026-01-01T12:00:00Z", "kind": "change",
///     "seen": "session is gone", "state": "confirming", "done": "decided in 1s"}]}"#;
/// let explanation: Explanation = serde_json::from_str(printed)?;
/// assert_eq!(explanation.entries[0].state, Some(Phase::Confirming));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The agent.
    pub identity: String,
    /// Its state now; `null` when it is not supervised.
    pub agent: Option<AgentReport>,
    /// What happened to it, oldest first.
    pub entries: Vec<Entry>,
}

impl StatusReport {
    /// Whether the town is one of one file.
    pub(crate) fn is_of_one_file(&self) -> bool {
        self.gas_town == Dialect::Own.facts().name
    }
}

/// An identity for people: of an agent of a town of one file, its name alone.
pub(crate) fn called(identity: &str) -> &str {
    identity.strip_prefix('@').unwrap_or(identity)
}

impl AgentReport {
    /// Whether something delays its start now, or would at its next end.
    pub(crate) fn has_backoff(&self) -> bool {
        self.restarts > 0 || self.is_delayed()
    }

    /// Whether it lives, and the checks of its health fail.
    pub(crate) fn is_unhealthy(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.state == agent::health::Health::Unhealthy.as_str())
    }

    /// Whether its start waits for memory, which no command shortens.
    pub(crate) fn waits_for_memory(&self) -> bool {
        self.reason_code.as_deref() == Some(MEMORY)
    }

    /// Whether something that a command can clear delays its start now.
    pub(crate) fn is_delayed(&self) -> bool {
        self.backoff_until.is_some()
            || matches!(self.state.as_str(), "waiting" | "held" | "crash_loop") && !self.waits_for_memory()
    }

    /// An agent whose actor does not answer, with what its history says.
    pub(crate) fn left_behind(identity: &Identity, history: &History) -> AgentReport {
        let last = history.phase;
        AgentReport {
            last_exit: history.last_exit(),
            identity: identity.to_string(),
            role: identity.role().to_string(),
            rig: identity.rig().map(ToString::to_string),
            state: Phase::Unknown.to_string(),
            since: last.map(|(_, since)| since),
            reason: last.map(|(standing, _)| format!("last known: {standing}")),
            ..AgentReport::default()
        }
    }

    /// Converts an agent's status.
    pub(crate) fn of(agent: AgentStatus) -> AgentReport {
        let doing = agent.activity.as_ref();
        AgentReport {
            activity: doing.map(|doing| doing.activity.to_owned()),
            activity_source: doing.map(|doing| doing.source.clone()),
            activity_since: doing.map(|doing| doing.since),
            activity_detail: doing.and_then(|doing| doing.detail.clone()),
            activity_doubt: agent.activity_doubt,
            identity: agent.identity,
            role: agent.role,
            rig: agent.rig,
            session: agent.session,
            state: agent.state.to_string(),
            since: Some(agent.since),
            restarts: agent.restarts,
            backoff_until: agent.backoff_until,
            reason: agent.reason,
            reason_code: agent.reason_code.map(str::to_owned),
            program: agent.program,
            pid: agent.pid,
            hook: agent.hook,
            started_at: agent.started_at,
            last_exit: agent.last_exit,
            health: agent.health,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::history::Kind;

    #[test]
    fn problems_are_shown_the_worst_and_then_the_newest_first() {
        let at = |minute: i64| Some(Timestamp::from_second(minute * 60).unwrap());
        let named = ProblemKey::named;
        let mut report = StatusReport::default();
        report.show([
            ProblemReport::new("rig/a/wisp", "warned", at(9)),
            ProblemReport::new(named("rig/a/a/witness/start").critical().of(&Identity::Deacon), "old", at(1)),
        ]);
        report.show([ProblemReport::new(named("dolt").critical(), "new", at(2))]);
        let shown = serde_json::to_value(&report).unwrap();
        let list: Vec<_> = shown["problem_list"].as_array().unwrap().iter().collect();
        let of = |what: &str| list.iter().map(|it| it[what].as_str().unwrap_or("-")).collect::<Vec<_>>();
        assert_eq!(of("text"), ["new", "old", "warned"]);
        assert_eq!(of("severity"), ["error", "error", "warning"]);
        assert_eq!(of("agent"), ["-", "deacon", "-"]);
        assert_eq!(shown["problems"]["dolt"], "new");
        assert_eq!(serde_json::from_value::<StatusReport>(shown).unwrap(), report);
    }

    #[test]
    fn an_explanation_is_read_as_it_is_written() {
        let at = "2026-11-25T10:00:00Z".parse().unwrap();
        let agent: Identity = "r/witness".parse().unwrap();
        let entry = Entry::new(Kind::Change, at, "session is gone", "; confirming")
            .leading_to(Phase::Confirming, Some(at));
        let history = History { phase: Some((Phase::Alive, at)), ..History::default() };
        let explanation = Explanation {
            agent: Some(AgentReport::left_behind(&agent, &history)),
            identity: agent.to_string(),
            entries: vec![entry],
        };
        let text = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation, "{text}");
    }
}
