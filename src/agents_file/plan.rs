//! The plan: what a file means, once its defaults, replicas and directories are worked out. Pure.

use std::{fmt, path::PathBuf};

use super::{
    grammar::{AgentTable, Limits},
    values::{Kind, Socket},
};
use crate::{
    terminal,
    town::{
        identity::{AgentName, Identity},
        settings::{Resume, Settings, shown::Shown},
        standing::{Check, Health, Standing, Standings, Stop},
    },
};

/// A town that is one file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Its tmux server.
    pub socket: Socket,
    /// Its limits.
    pub limits: Limits,
    /// Its settings.
    pub settings: Settings,
    /// Its agents, each behind those that it waits for, else in the order of the file.
    pub agents: Vec<Definition>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name: that in the file, with a number where it has replicas.
    pub name: AgentName,
    /// The exact name of its tmux session.
    pub session: String,
    /// The absolute path of its directory, which need not exist.
    pub dir: PathBuf,
    /// What its program is.
    pub kind: Kind,
    /// The agents that must work before it is started.
    pub after: Vec<AgentName>,
    /// What the file says of it, with the defaults.
    pub table: AgentTable,
}

impl Plan {
    /// What it says of each agent, for those who keep it.
    pub fn standings(&self) -> Standings {
        self.agents.iter().map(|agent| (Identity::Own(agent.name.clone()), agent.standing())).collect()
    }
}

impl Definition {
    fn standing(&self) -> Standing {
        let table = &self.table;
        Standing {
            session: self.session.clone(),
            dir: self.dir.clone(),
            command: table.command.clone().unwrap_or_default(),
            preset: self.kind.preset(),
            env: table.env.clone(),
            prompt: table.prompt.clone(),
            keeps_conversation: table.resume != Some(Resume::Fresh),
            memory: table.memory.max,
            stop: Stop { signal: table.stop.signal, grace: table.stop.grace },
            restart: table.restart,
            after: self.after.iter().cloned().map(Identity::Own).collect(),
            health: self.health(),
        }
    }

    fn health(&self) -> Option<Health> {
        let table = &self.table.health;
        let check =
            table.command.clone().map(Check::Command).or_else(|| table.url.clone().map(Check::Url))?;
        let (interval, timeout, retries) = (table.interval, table.timeout, table.retries);
        Some(Health { check, interval, timeout, retries, start_period: table.start_period })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.agents.len() {
            0 => return f.write_str("no agents"),
            1 => write!(f, "1 agent")?,
            count => write!(f, "{count} agents")?,
        }
        write!(f, " on {}, started in this order:", self.socket)?;
        self.agents.iter().try_for_each(|agent| write!(f, "\n  {agent}"))
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restart = self.table.restart.shown();
        let restart = restart.as_str().unwrap_or_default();
        write!(f, "{}: {} in {}, restart {restart}", self.name, self.kind, terminal::path(&self.dir))?;
        if self.session != self.name.as_str() {
            write!(f, ", session {}", terminal::one_line(&self.session))?;
        }
        let after: Vec<&str> = self.after.iter().map(AgentName::as_str).collect();
        if after.is_empty() { Ok(()) } else { write!(f, ", after {}", after.join(", ")) }
    }
}
