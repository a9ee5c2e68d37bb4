//! Programs: on which `PATH` the running supervisor looks programs up, and which it finds there, for people whose shell may have
//! another.
//!
//! It only says what the supervisor would run; it runs nothing, and reports nothing about an agent.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};

use super::{answers::answer, reporter::Reporter};
use crate::{
    agent::{program::Resolution, programs::peek, spec::AgentSpec},
    deps::Deps,
    town::identity::{RigName, Role},
};

/// The programs of a running supervisor: what `GET /v1/programs` answers. Keys are only ever added.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramsReport {
    /// The `PATH` on which it looks up bare names; `None` without one.
    pub path: Option<String>,
    /// The programs that it runs itself: `tmux`, `bd`, `gt` and `git`.
    pub tools: Vec<ToolReport>,
    /// The programs of the agents, ordered by identity.
    pub agents: Vec<AgentProgramReport>,
}

/// A program that the supervisor runs itself.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolReport {
    /// Its key under `commands` in `settings/supervisor.json`.
    pub name: String,
    /// The name or path that the settings give.
    pub command: String,
    /// The path at which it is run; `None` when it is not found.
    pub path: Option<String>,
}

/// The program of one agent.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentProgramReport {
    /// The agent.
    pub identity: String,
    /// The name of the program in the town's settings, such as `claude`.
    pub name: String,
    /// The path at which it was found; its name when it was not.
    pub command: String,
    /// The shell command that its role bead or file gives in place of it.
    pub start_command: Option<String>,
    /// Whether it can be run.
    pub on_path: bool,
    /// The candidates that were passed over, and why.
    pub reports: Vec<String>,
}

/// Answers with the programs of this supervisor.
pub(super) async fn programs(State(reporter): State<Arc<Reporter>>) -> Response {
    let deps = reporter.deps();
    let (tools, agents) = (tools(deps).await, agents(deps).await);
    answer(&ProgramsReport { path: deps.commands.search_path(), tools, agents })
}

async fn tools(deps: &Deps) -> Vec<ToolReport> {
    let commands = deps.settings().commands.clone();
    let mut tools = Vec::new();
    for (name, command) in
        [("tmux", commands.tmux), ("bd", commands.bd), ("gt", commands.gt), ("git", commands.git)]
    {
        let path = deps.commands.in_use(&command).await.map(|path| path.to_string_lossy().into_owned());
        tools.push(ToolReport { name: name.to_owned(), command, path });
    }
    tools
}

/// The program of each agent; the same role of one rig has the same.
async fn agents(deps: &Deps) -> Vec<AgentProgramReport> {
    let mut known: BTreeMap<(Option<RigName>, Role), Resolution> = BTreeMap::new();
    let mut agents = Vec::new();
    for (identity, session) in deps.directory.all() {
        let key = (identity.rig().cloned(), identity.role());
        let spec = AgentSpec { identity, session, prefix: String::new() };
        if !known.contains_key(&key) {
            known.insert(key.clone(), peek(deps, &spec).await);
        }
        agents.push(report(&spec, &known[&key]));
    }
    agents.sort_by(|a, b| a.identity.cmp(&b.identity));
    agents
}

fn report(spec: &AgentSpec, found: &Resolution) -> AgentProgramReport {
    AgentProgramReport {
        identity: spec.identity.to_string(),
        name: found.program.name.clone(),
        command: found.program.command.clone(),
        start_command: found.start_command.clone(),
        on_path: found.on_path,
        reports: found.reports.clone(),
    }
}
