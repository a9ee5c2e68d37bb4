//! Which running command is somebody changing this town, and which agents it means. Pure.

use std::path::Path;

use crate::{agent::identity::Identity, processes::Invocation};

/// What a command does to agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It takes agents down, and they are meant to stay down (`stop`, `shutdown`, `down`, `park`, `dock`).
    Stops,
    /// It may kill sessions on its way, and what is then missing was not meant to be (`sling`, `restart`, `nuke`).
    Changes,
}

/// One of Gas Town's commands at work in this town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its process's id.
    pub pid: u32,
    /// When that process began, in the unit of the process table's reader.
    pub born: u64,
    /// Its ancestors and kernel session, as when it was first seen.
    pub ancestors: Vec<u32>,
    /// What it does.
    pub effect: Effect,
    /// The command line, for people: `gt rig park gastown`.
    pub line: String,
    /// Its arguments after the program's name.
    pub arguments: Vec<String>,
}

impl Operation {
    /// Reads a running command; `None` when it is none of those that change agents, or not at work in this town.
    pub fn of(_invocation: &Invocation, _town: &Path) -> Option<Operation> {
        None
    }

    /// Whether it runs inside a session with these pane processes, and so ends with it.
    pub fn is_inside(&self, panes: &[u32]) -> bool {
        panes.contains(&self.pid) || self.ancestors.iter().any(|pid| panes.contains(pid))
    }

    /// Whether it means this agent to be down. When its arguments leave that open, it does.
    pub fn stops(&self, _identity: &Identity) -> bool {
        self.effect == Effect::Stops
    }
}
