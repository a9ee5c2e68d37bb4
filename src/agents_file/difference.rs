//! The difference of two plans: what a changed file means for the agents that run, for a reload and for people before it. Pure.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::plan::{Definition, Plan};
use crate::{
    terminal,
    town::{identity::AgentName, settings::shown::keys_of},
};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An agent is no longer in the file: it is ended.
    Stop(AgentName),
    /// What it runs, or where, is otherwise: it is ended and started again. With what changed, in words.
    Restart(AgentName, Vec<String>),
    /// It is new: it is started.
    Start(AgentName),
    /// It goes on as it is, under other rules. With what changed, in words.
    Adjust(AgentName, Vec<String>),
    /// The settings are otherwise. With what changed, in words.
    Settings(Vec<String>),
    /// The town's tmux server is another one: that counts when the supervisor and all agents are started again.
    Socket(String),
}

/// Keys that a running agent took at its start.
const TAKEN_AT_ITS_START: [&str; 4] = ["command", "dir", "session", "memory.max"];

/// Keys whose values are long or may be secret.
const NOT_SHOWN: [&str; 4] = ["command", "prompt", "health.command", "health.url"];

/// All that changes, in the order in which it is done: agents end in the reverse order of their starts.
pub fn difference(old: &Plan, new: &Plan) -> Vec<Change> {
    let by_name = |plan: &'_ Plan| -> BTreeMap<AgentName, Definition> {
        plan.agents.iter().map(|agent| (agent.name.clone(), agent.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let gone = old.agents.iter().rev().filter(|agent| !after.contains_key(&agent.name));
    let mut changes: Vec<Change> = gone.map(|agent| Change::Stop(agent.name.clone())).collect();
    let (mut starts, mut adjusts) = (Vec::new(), Vec::new());
    for agent in &new.agents {
        let Some(was) = before.get(&agent.name) else {
            starts.push(Change::Start(agent.name.clone()));
            continue;
        };
        let (restart, words) = changed(was, agent);
        match (restart, words.is_empty()) {
            (_, true) => {}
            (true, _) => changes.push(Change::Restart(agent.name.clone(), words)),
            (false, _) => adjusts.push(Change::Adjust(agent.name.clone(), words)),
        }
    }
    changes.extend(starts);
    changes.extend(adjusts);
    changes.extend(settings(old, new));
    if old.socket != new.socket {
        changes.push(Change::Socket(format!("{} → {}", old.socket, new.socket)));
    }
    changes
}

/// Whether an agent must be started again, and what changed.
fn changed(was: &Definition, is: &Definition) -> (bool, Vec<String>) {
    let (before, after) = (keys(was), keys(is));
    let (mut restart, mut words) = (false, Vec::new());
    for (key, value) in &after {
        let old = before.get(key).unwrap_or(&Value::Null);
        if old != value {
            restart |= TAKEN_AT_ITS_START.iter().any(|it| key == it);
            words.push(said(key, old, value));
        }
    }
    let variables = was.table.env.iter().chain(&is.table.env);
    let mut names: Vec<&String> = variables.map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let other = names.into_iter().filter(|name| was.table.env.get(*name) != is.table.env.get(*name));
    let other: Vec<String> = other.map(|name| format!("env.{name}")).collect();
    restart |= !other.is_empty();
    words.extend(other);
    // Of a URL only a part is shown.
    if was.table.health.url != is.table.health.url && !words.iter().any(|it| it == "health.url") {
        words.push("health.url".to_owned());
    }
    (restart, words)
}

/// The keys of an agent with their values in force, without its variables.
fn keys(agent: &Definition) -> BTreeMap<String, Value> {
    let mut table = agent.table.clone();
    table.env.clear();
    table.dir = Some(agent.dir.to_string_lossy().into_owned());
    table.kind = Some(agent.kind);
    table.session = Some(agent.session.clone());
    table.after = agent.after.iter().map(AgentName::to_string).collect();
    // How many others there are is nothing to this one.
    table.replicas = None;
    keys_of(&mut table).into_iter().collect()
}

fn settings(old: &Plan, new: &Plan) -> Option<Change> {
    let all = |plan: &Plan| {
        let limits = keys_of(&mut plan.limits.clone());
        let limits = limits.into_iter().map(|(key, value)| (format!("limits.{key}"), value));
        plan.settings.shown().into_iter().chain(limits).collect::<Vec<_>>()
    };
    let pairs = all(old).into_iter().zip(all(new));
    let other = pairs.filter(|((_, old), (_, new))| old != new);
    let mut words: Vec<String> = other.map(|((key, old), (_, new))| said(&key, &old, &new)).collect();
    if old.settings.notify != new.settings.notify && !words.iter().any(|it| it.starts_with("notify.")) {
        words.push("notify".to_owned());
    }
    (!words.is_empty()).then_some(Change::Settings(words))
}

fn said(key: &str, old: &Value, new: &Value) -> String {
    if NOT_SHOWN.contains(&key) || key.starts_with("notify.") {
        return key.to_owned();
    }
    let word = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{key} {} → {}", word(old), word(new))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self {
            Change::Stop(name) => format!("stop {name}"),
            Change::Start(name) => format!("start {name}"),
            Change::Restart(name, words) => format!("restart {name}: {}", words.join(", ")),
            Change::Adjust(name, words) => format!("change {name} while it runs: {}", words.join(", ")),
            Change::Settings(words) => format!("change the settings: {}", words.join(", ")),
            Change::Socket(words) => format!("at the next start of the supervisor: {words}"),
        };
        f.write_str(&terminal::one_line(&line))
    }
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
