//! Reading: from the text of an `agents.toml` to its [plan](Plan), with every mistake at its line and column.
//!
//! A file with a mistake has no plan: nothing of it takes effect. Pure; it must survive any bytes.

use std::{
    collections::{BTreeMap, btree_map},
    path::Path,
};

use super::{
    grammar::{self, AgentTable, Limits},
    order,
    plan::{Definition, Plan},
    values::{Kind, agent_name, expanded, socket, variable, variable_name},
};
use crate::{
    bytes,
    nearest::nearest,
    town::{
        identity::AgentName,
        reading::{FileProblem, shorten},
        settings::{
            document::{Entry, MOST_MISTAKES},
            read::{IsHere, SettingsError, read_entry, read_section, read_sections, wrong_keys},
            toml_document::TomlDocument,
        },
    },
};

/// The largest file, in bytes.
pub const LARGEST: usize = 1024 * 1024;

/// What directories in the file are relative to.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The directory of the file.
    pub directory: &'a Path,
    /// The user's home; `None` where it is not known.
    pub home: Option<&'a Path>,
}

/// Reads a file, which `file` names in mistakes.
pub fn read(file: &Path, bytes: &[u8], around: Around<'_>) -> Result<Plan, SettingsError> {
    if bytes.len() > LARGEST {
        let reason = format!("it is larger than {}", bytes::format(LARGEST as u64));
        return Err(SettingsError(vec![FileProblem::whole(file, reason)]));
    }
    let document = TomlDocument::parse(file, bytes).map_err(SettingsError)?;
    let entries = document.entries();
    let mut mistakes = wrong_keys(&entries, &grammar::keys());
    let mut plan = Plan::default();
    mistakes.extend(read_sections(&entries, &mut plan.settings, &grammar::is_setting));
    if let Some(why) = plan.settings.http.refusal() {
        let listen = Entry::find(&entries, &["http", "listen"]);
        mistakes.extend(listen.map(|entry| entry.wrong_value(why)));
    }
    let of = |key: &str| entries.iter().find(|entry| entry.key() == key);
    if let Some(entry) = of("socket") {
        match entry.value().and_then(|value| socket(&value)) {
            Ok(socket) => plan.socket = socket,
            Err(reason) => mistakes.push(entry.wrong_value(reason)),
        }
    }
    if let Some(entry) = of("limits") {
        mistakes.extend(read_entry(entry, &mut plan.limits, &|_| true));
    }
    let mut defaults = Table::default();
    if let Some(entry) = of("defaults") {
        mistakes.extend(defaults.read(entry, &grammar::is_default));
    }
    if let Some(entry) = of("agents") {
        let declared = declared(entry, &defaults, &plan.limits, &mut mistakes);
        plan.agents = agents(entry, &declared, &plan.limits, around, &mut mistakes);
    }
    mistakes.sort_by_key(|problem| problem.place);
    if mistakes.is_empty() { Ok(plan) } else { Err(SettingsError(mistakes)) }
}

/// What a table of the file says of an agent, and the keys that were given.
#[derive(Debug, Clone, Default)]
struct Table<'a> {
    values: AgentTable,
    given: Vec<Entry<'a>>,
}

impl<'a> Table<'a> {
    /// Reads a table on top of what there is.
    fn read(&mut self, entry: &Entry<'a>, is_here: IsHere<'_>) -> Vec<FileProblem> {
        let given = match entry.entries() {
            Ok(entries) => entries,
            Err(reason) => return vec![entry.wrong_value(reason)],
        };
        let (variables, others): (Vec<_>, Vec<_>) =
            given.iter().cloned().partition(|entry| entry.key() == "env");
        let mut mistakes = read_section(&others, &mut self.values, is_here);
        // Read here: each variable has a place of its own, and defaults are kept beneath.
        mistakes.extend(variables.iter().flat_map(|entry| read_variables(entry, &mut self.values.env)));
        self.given.extend(given);
        mistakes
    }

    /// The entry of this key; the last counts, which is the agent's own.
    fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.given.iter().rfind(|entry| entry.key() == key)
    }
}

fn read_variables(entry: &Entry<'_>, env: &mut BTreeMap<String, String>) -> Vec<FileProblem> {
    let variables = match entry.entries() {
        Ok(variables) => variables,
        Err(reason) => return vec![entry.wrong_value(reason)],
    };
    let mut mistakes = Vec::new();
    for entry in variables {
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
        if let Err(reason) = variable_name(entry.key()) {
            mistakes.push(entry.wrong_key(reason));
        }
        match entry.value().and_then(|value| variable(&value)) {
            Ok(value) => drop(env.insert(entry.key().to_owned(), value)),
            Err(reason) => mistakes.push(entry.wrong_value(reason)),
        }
    }
    mistakes
}

/// An agent as it stands in the file, once for all of its replicas.
struct Declared<'a> {
    name: AgentName,
    entry: Entry<'a>,
    table: Table<'a>,
}

impl Declared<'_> {
    /// A mistake at the value of this key, or at the agent where the key is not given.
    fn wrong(&self, key: &str, reason: String) -> FileProblem {
        match self.table.entry(key) {
            Some(entry) => entry.wrong_value(reason),
            None => self.entry.wrong_key(reason),
        }
    }
}

fn declared<'a>(
    agents: &Entry<'a>,
    defaults: &Table<'a>,
    limits: &Limits,
    mistakes: &mut Vec<FileProblem>,
) -> Vec<Declared<'a>> {
    let entries = match agents.entries() {
        Ok(entries) => entries,
        Err(reason) => {
            mistakes.push(agents.wrong_value(reason));
            return Vec::new();
        }
    };
    if entries.len() > limits.agents {
        mistakes.push(agents.wrong_key(too_many(entries.len(), limits)));
        return Vec::new();
    }
    let mut all = Vec::new();
    for entry in entries {
        let mut table = defaults.clone();
        mistakes.extend(table.read(&entry, &|_| true));
        match agent_name(entry.key()) {
            Ok(name) => {
                let agent = Declared { name, entry, table };
                mistakes.extend(incomplete(&agent, limits));
                all.push(agent);
            }
            Err(reason) => mistakes.push(entry.wrong_key(reason)),
        }
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
    }
    all
}

fn too_many(count: usize, limits: &Limits) -> String {
    format!("{count} agents, and limits.agents is {}", limits.agents)
}

/// What is missing in an agent, or does not go together.
fn incomplete(agent: &Declared<'_>, limits: &Limits) -> Vec<FileProblem> {
    let (table, mut mistakes) = (&agent.table, Vec::new());
    if table.entry("command").is_none() && agent.entry.entries().is_ok() {
        let what = "it has no command, which is the command line of its program";
        mistakes.push(agent.entry.wrong_key(what));
    }
    if let Some(entry) = table.entry("health") {
        let inner = entry.entries().unwrap_or_default();
        let given = |key: &str| inner.iter().find(|entry| entry.key() == key);
        match (given("command"), given("url")) {
            (Some(_), Some(url)) => mistakes.push(url.wrong_key("a check has a command or a url, not both")),
            (None, None) if entry.entries().is_ok() => {
                mistakes.push(entry.wrong_key("a check needs a command or a url"));
            }
            _ => {}
        }
    }
    if let Some(replicas) = table.values.replicas {
        if replicas > limits.replicas {
            let why = format!("{replicas} replicas, and limits.replicas is {}", limits.replicas);
            mistakes.push(agent.wrong("replicas", why));
        }
        if table.entry("session").is_some() {
            let why = "each replica has a session of its own, under its own name; leave this out";
            mistakes.push(agent.wrong("session", why.to_owned()));
        }
    }
    mistakes
}

/// All agents in the order of their starts.
fn agents(
    whole: &Entry<'_>,
    declared: &[Declared<'_>],
    limits: &Limits,
    around: Around<'_>,
    mistakes: &mut Vec<FileProblem>,
) -> Vec<Definition> {
    let after = dependencies(declared, mistakes);
    let replicas: Vec<Vec<AgentName>> = declared.iter().map(|agent| names(agent, limits, mistakes)).collect();
    let count: usize = replicas.iter().map(Vec::len).sum();
    if count > limits.agents {
        mistakes.push(whole.wrong_key(too_many(count, limits)));
        return Vec::new();
    }
    let order = order::ordered(&after).unwrap_or_else(|cycles| {
        let cycle = |cycle: Vec<usize>| {
            let along = cycle.iter().chain(cycle.first()).map(|at| declared[*at].name.as_str());
            let along = along.collect::<Vec<_>>().join(" → ");
            Some(
                declared[*cycle.first()?]
                    .wrong("after", format!("agents wait for each other in a circle: {along}")),
            )
        };
        mistakes.extend(cycles.into_iter().filter_map(cycle));
        Vec::new()
    });
    let mut all: Vec<Definition> = Vec::new();
    for at in order {
        let agent = &declared[at];
        let Some(dir) =
            expanded(agent.table.values.dir.as_deref().unwrap_or("."), around.directory, around.home)
        else {
            mistakes
                .push(agent.wrong("dir", "HOME is not set: write the whole path in place of `~`".to_owned()));
            continue;
        };
        let after: Vec<AgentName> = after[at].iter().flat_map(|it| replicas[*it].iter().cloned()).collect();
        let each = replicas[at].iter().map(|name| definition(agent, name, dir.clone(), after.clone()));
        all.extend(each);
    }
    taken_twice(&all, declared, &replicas, mistakes);
    all
}

fn definition(
    agent: &Declared<'_>,
    name: &AgentName,
    dir: std::path::PathBuf,
    after: Vec<AgentName>,
) -> Definition {
    let table = agent.table.values.clone();
    Definition {
        name: name.clone(),
        // With replicas it was refused, and says nothing of any of them.
        session: table
            .session
            .clone()
            .filter(|_| table.replicas.is_none())
            .unwrap_or_else(|| name.to_string()),
        dir,
        kind: table.kind.unwrap_or_else(|| Kind::of_command(table.command.as_deref().unwrap_or_default())),
        after,
        table,
    }
}

/// The names of an agent's replicas, or its own.
fn names(agent: &Declared<'_>, limits: &Limits, mistakes: &mut Vec<FileProblem>) -> Vec<AgentName> {
    let Some(count) = agent.table.values.replicas.filter(|count| *count <= limits.replicas) else {
        return vec![agent.name.clone()];
    };
    let names: Result<Vec<AgentName>, _> =
        (1..=count).map(|number| format!("{}-{number}", agent.name).parse()).collect();
    names.unwrap_or_else(|_| {
        mistakes.push(
            agent.entry.wrong_key("with the numbers of its replicas the name is longer than 64 characters"),
        );
        Vec::new()
    })
}

/// The agents that each waits for, by their places among all.
fn dependencies(declared: &[Declared<'_>], mistakes: &mut Vec<FileProblem>) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> =
        declared.iter().enumerate().map(|(at, agent)| (agent.name.as_str(), at)).collect();
    let mut of = |at: usize, agent: &Declared<'_>| {
        let elements = agent.table.entry("after").map(Entry::elements).unwrap_or_default();
        let mut found = Vec::new();
        for element in elements.iter().take(MOST_MISTAKES) {
            let Ok(Some(name)) = element.value().map(|value| value.as_str().map(str::to_owned)) else {
                continue;
            };
            match places.get(name.as_str()) {
                Some(it) if *it == at => {
                    mistakes.push(element.wrong_value("an agent cannot wait for itself"))
                }
                Some(it) => found.push(*it),
                None => {
                    let meant = nearest(&name, places.keys().copied());
                    let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
                    let why = format!("{:?} is no agent of this file{meant}", shorten(&name));
                    mistakes.push(element.wrong_value(why));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    };
    declared.iter().enumerate().map(|(at, agent)| of(at, agent)).collect()
}

/// Agents that have the name or the session of another.
fn taken_twice(
    all: &[Definition],
    declared: &[Declared<'_>],
    replicas: &[Vec<AgentName>],
    mistakes: &mut Vec<FileProblem>,
) {
    let declared = |name: &AgentName| {
        let at = replicas.iter().rposition(|names| names.contains(name));
        at.and_then(|at| declared.get(at))
    };
    let (mut names, mut sessions) = (BTreeMap::new(), BTreeMap::new());
    for agent in all {
        if names.insert(agent.name.as_str(), ()).is_some() {
            let why = format!("another agent with replicas has one of the name {}", agent.name);
            mistakes.extend(declared(&agent.name).map(|it| it.entry.wrong_key(why)));
            continue;
        }
        match sessions.entry(agent.session.as_str()) {
            btree_map::Entry::Vacant(free) => drop(free.insert(&agent.name)),
            btree_map::Entry::Occupied(taken) => {
                let why = format!("{} has the session {:?}, too", taken.get(), agent.session);
                mistakes.extend(declared(&agent.name).map(|it| it.wrong("session", why)));
            }
        }
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
