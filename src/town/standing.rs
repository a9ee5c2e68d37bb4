//! Standing: what is said of one agent by a file that has nothing of Gas Town's, in the words of the core.
//!
//! In a Gas Town an agent's session, directory, program and variables follow from its [role](super::identity::Role), the dialect
//! and Gas Town's own files, and no agent has a standing. In a town of one file each has one, made from `agents.toml`; whoever
//! needs one of these facts asks for the standing first. This module must not know how the file is written. Pure.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    identity::Identity,
    settings::{SecretUrl, amount::Amount},
};

/// When an agent is started again after it ended, in docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWhen {
    /// Whenever it ended, and also when the supervisor starts after somebody stopped it.
    Always,
    /// When it ended with another exit code than 0.
    OnFailure,
    /// Whenever it ended, unless somebody stopped it.
    UnlessStopped,
    /// Never.
    No,
}

/// The signal that asks an agent to end, by its name without `SIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(&'static str);

impl Default for StopSignal {
    fn default() -> Self {
        StopSignal("TERM")
    }
}

impl StopSignal {
    /// All that may.
    pub const ALL: [StopSignal; 7] = [
        StopSignal("TERM"),
        StopSignal("INT"),
        StopSignal("HUP"),
        StopSignal("QUIT"),
        StopSignal("USR1"),
        StopSignal("USR2"),
        StopSignal("KILL"),
    ];

    /// Its name, without `SIG`.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// How an agent is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The signal that asks it to end.
    pub signal: StopSignal,
    /// Between that signal and KILL.
    pub grace: Duration,
}

/// How to find out whether an agent is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A command line for `sh`, in the agent's directory, that exits with 0 when it is well.
    Command(String),
    /// A URL that answers with a status from 200 to 399 when it is well.
    Url(SecretUrl),
}

/// The checks of an agent's health, in compose's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// One check.
    pub check: Check,
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
    /// This many failures in a row make it unwell.
    pub retries: u32,
    /// Failures within this after its start do not count.
    pub start_period: Duration,
}

/// What is said of one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The exact name of its tmux session.
    pub session: String,
    /// The absolute path of its directory, which need not exist.
    pub dir: PathBuf,
    /// The command line of its program, for `sh`.
    pub command: String,
    /// The name of its program's preset, such as `claude`; `None` for a program of which nothing is known.
    pub preset: Option<&'static str>,
    /// Variables of its session.
    pub env: BTreeMap<String, String>,
    /// The text that it is given at its start.
    pub prompt: Option<String>,
    /// Whether it continues its last conversation when it is started again, where its program can.
    pub keeps_conversation: bool,
    /// The most memory that it and all that it starts may use.
    pub memory: Option<Amount>,
    /// How it is ended.
    pub stop: Stop,
    /// When it is started again.
    pub restart: RestartWhen,
    /// The agents that must work before it is started.
    pub after: Vec<Identity>,
    /// How to find out whether it is well.
    pub health: Option<Health>,
}

/// What is said of all agents of a town, and in which order they are started; empty in a Gas Town.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standings {
    order: Vec<Identity>,
    by_identity: BTreeMap<Identity, Arc<Standing>>,
}

impl Standings {
    /// Those of a town without any: a Gas Town.
    pub fn none() -> watch::Receiver<Arc<Standings>> {
        watch::channel(Arc::default()).1
    }

    /// What is said of this agent.
    pub fn of(&self, identity: &Identity) -> Option<Arc<Standing>> {
        self.by_identity.get(identity).cloned()
    }

    /// All agents, in the order of their starts.
    pub fn agents(&self) -> impl DoubleEndedIterator<Item = &Identity> {
        self.order.iter()
    }

    /// The place of this agent in the order of starts, from 0.
    pub fn place(&self, identity: &Identity) -> Option<usize> {
        self.order.iter().position(|it| it == identity)
    }
}

impl FromIterator<(Identity, Standing)> for Standings {
    fn from_iter<T: IntoIterator<Item = (Identity, Standing)>>(all: T) -> Self {
        let mut standings = Standings::default();
        for (identity, standing) in all {
            if standings.by_identity.insert(identity.clone(), Arc::new(standing)).is_none() {
                standings.order.push(identity);
            }
        }
        standings
    }
}
