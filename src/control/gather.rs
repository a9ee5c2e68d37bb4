//! Gather: builds the status of the whole town by asking all actors directly, at the same time.
//!
//! Actors answer at once, whatever they are doing. An actor that does not answer within the limit is shown as silent;
//! its agent is still shown, with the last known state. This module must not ask one actor for another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use ractor::ActorRef;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    report::{ActorReport, AgentReport, GateReport, ProblemReport, StatusReport},
    summary,
};
use crate::{
    agent::permission,
    deps::Deps,
    local_time::LocalTime,
    ports::problems::{OpenProblems, ProblemKey},
    processes,
    supervision::{
        child::{Answer, ask},
        status::AgentStatus,
    },
    town::identity::RigName,
    tree::{
        housekeeping::Process,
        root::{RootMsg, RootSnapshot},
    },
};

/// A disk that does not say by then what keeps the town from being started does not hold up a report.
const GATES: Duration = Duration::from_millis(100);

/// What the root and all other actors answered that were asked at the same time.
#[derive(Debug)]
pub struct Wave {
    /// The root's answer.
    pub root: RootSnapshot,
    /// Each other actor, by name; `None` when it did not answer within the limit.
    pub answers: Vec<(String, Option<Answer>)>,
    /// Those that did not answer.
    pub silent: Vec<String>,
}

/// Asks the root and all other actors in one wave; `None` when the root does not answer within the limit.
pub async fn ask_all(deps: &Deps, root: &ActorRef<RootMsg>, limit: Duration) -> Option<Wave> {
    let (root, answers) = futures::join!(ask(root, RootMsg::Status, limit), deps.directory.ask_all(limit));
    let silent = answers.iter().filter(|(_, answer)| answer.is_none()).map(|(name, _)| name.clone());
    Some(Wave { root: root?, silent: silent.collect(), answers })
}

/// The status of the town; `None` when the root does not answer within the limit.
pub async fn gather(
    (deps, open): (&Deps, &OpenProblems),
    process: Process,
    root: &ActorRef<RootMsg>,
    limit: Duration,
) -> Option<StatusReport> {
    let closed = timeout(limit.min(GATES), gates(deps));
    let (wave, gates) = futures::join!(ask_all(deps, root, limit), closed);
    let Wave { root, answers, silent } = wave?;
    let RootSnapshot { heartbeat, settings, mut actors, supervised, .. } = root;
    let (mut agents, mut figures) = (Vec::new(), BTreeMap::<&str, Value>::new());
    for answer in answers.into_iter().filter_map(|(_, answer)| answer) {
        match answer {
            Answer::Agent(agent) => agents.push(AgentReport::of(*agent)),
            Answer::Actors(children) => actors.extend(children),
            Answer::Figures(key, value) => drop(figures.insert(key, value)),
        }
    }
    let now = deps.now().wall;
    let problems = problems(open, &silent, now);
    for actor in &mut actors {
        actor.silent = silent.contains(&actor.name);
    }
    agents.extend(unanswered(supervised, &agents, &actors));
    agents.sort_by(|a, b| a.identity.cmp(&b.identity));
    let mut figures = |key| figures.remove(key).unwrap_or_default();
    let mut report = StatusReport {
        running: true,
        died: false,
        pid: Some(process.pid),
        town: deps.paths.root().to_string_lossy().into_owned(),
        gas_town: deps.dialect().facts().name.to_owned(),
        tmux_socket: deps.sessions.place().socket.to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: Some(process.started_at),
        heartbeat,
        settings,
        binary_replaced: processes::own_binary_was_replaced(),
        gates: gates.ok().flatten(),
        agents,
        events_written: deps.writes.events.written(),
        actors,
        deaths: figures("deaths"),
        accounts: figures("accounts"),
        feed: figures("feed"),
        convoys: figures("convoys"),
        ..StatusReport::default()
    };
    report.show(problems);
    report.summary = Some(summary::of(&report, &LocalTime::new(now, &deps.clock.zone())));
    Some(report)
}

/// The open problems, and that these actors did not answer.
fn problems(open: &OpenProblems, silent: &[String], now: Timestamp) -> Vec<ProblemReport> {
    let since = |age: Option<Duration>| now.checked_sub(SignedDuration::try_from(age?).ok()?).ok();
    let each = open.each().into_iter();
    let mut problems: Vec<_> =
        each.map(|open| ProblemReport::new(open.key, &open.text, since(open.age))).collect();
    if !silent.is_empty() {
        let key = ProblemKey::named("actors/silent").critical();
        let text = format!("no answer from: {}", silent.join(", "));
        problems.push(ProblemReport::new(key, &text, None));
    }
    problems
}

/// What keeps the town or its rigs from being started; `None` when that could not be found out.
async fn gates(deps: &Deps) -> Option<Vec<GateReport>> {
    let agents = deps.directory.actors();
    let rigs: BTreeSet<RigName> = agents.iter().filter_map(|(agent, _)| agent.rig().cloned()).collect();
    let closed = permission::closed(deps, rigs).await?.into_iter();
    let report = closed.map(|(rig, denial)| GateReport {
        rig: rig.map(|rig| rig.to_string()),
        code: denial.code().to_owned(),
        text: denial.to_string(),
    });
    Some(report.collect())
}

/// The supervised agents whose actors did not answer, with the known reason.
fn unanswered(
    supervised: Vec<AgentStatus>,
    answered: &[AgentReport],
    actors: &[ActorReport],
) -> Vec<AgentReport> {
    let answered: BTreeSet<&str> = answered.iter().map(|agent| agent.identity.as_str()).collect();
    let missing = supervised.into_iter().filter(|agent| !answered.contains(agent.identity.as_str()));
    let with_reason = missing.map(|mut agent| {
        let rig = agent.rig.as_ref().map(|rig| format!("rig {rig}"));
        let own = if agent.role == "boot" { "boot" } else { agent.identity.as_str() };
        let keeps = |name: &str| name == own || rig.as_deref() == Some(name);
        let suspended = actors.iter().find(|actor| actor.parked.is_some() && keeps(&actor.name));
        let known = agent.reason.take().unwrap_or_default();
        agent.reason = Some(match suspended {
            Some(actor) => format!("actor {} is suspended; {known}", actor.name),
            None => format!("its actor has not answered; {known}"),
        });
        AgentReport::of(agent)
    });
    with_reason.collect()
}
