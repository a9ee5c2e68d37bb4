//! The keys of `agents.toml`: those of its agents, its limits, and which of the settings of a Gas Town have a meaning here.
//!
//! As the [settings](crate::town::settings) it is a table of keys with readers; those that are only here are in
//! [`values`](super::values).

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

#[cfg(feature = "test-support")]
use super::schema;
use super::values::{
    Kind, command, directory, environment, kind, memory_limit, names, prose, replicas, restart_when,
    session_name, stop_signal,
};
use crate::town::{
    settings::{
        Resume, SecretUrl, Settings,
        amount::Amount,
        document::Entry,
        shown::Shown,
        table::{Section, section},
        values::{count, interval, optional_url, pause, resume, whole},
    },
    standing::{RestartWhen, StopSignal},
};

const SECOND: Duration = Duration::from_secs(1);

section! {
    /// An agent, or what `[defaults]` says of all agents.
    AgentTable with memory: AgentMemory with stop: Stop with health: Health {
        /// The command line of its program, for `sh`. Every agent needs one.
        command: Option<String> = None, command;
        /// The directory that it works in: absolute, from `~`, or relative to the file; without it that of the file.
        dir: Option<String> = None, directory;
        /// What its program is; without it guessed from the command.
        kind: Option<Kind> = None, kind;
        /// When it is started again after it ended, in docker's words.
        restart: RestartWhen = RestartWhen::UnlessStopped, restart_when;
        /// Whether it continues its last conversation when it is started again; without it `same`.
        resume: Option<Resume> = None, resume;
        /// The text that it is given at its start.
        prompt: Option<String> = None, prose;
        /// Variables of its session, on top of those in `[defaults]`.
        env: BTreeMap<String, String> = BTreeMap::new(), environment;
        /// This many agents of this kind, each with a number behind its name, from 1; without it one without a number.
        replicas: Option<u32> = None, replicas;
        /// The agents that must work before it is started.
        after: Vec<String> = Vec::new(), names;
        /// The exact name of its tmux session; without it the agent's name.
        session: Option<String> = None, session_name;
    }
}

section! {
    /// The memory of an agent.
    AgentMemory {
        /// The most that it and all that it starts may use; `"none"`: no limit.
        max: Option<Amount> = None, memory_limit;
    }
}

section! {
    /// How an agent is ended.
    Stop {
        /// The signal that asks it to end.
        signal: StopSignal = StopSignal::default(), stop_signal;
        /// Between that signal and KILL.
        grace: Duration = 2 * SECOND, pause;
    }
}

section! {
    /// How to find out whether an agent is well, in compose's words: by a command or by a URL.
    Health {
        /// A command line for `sh`, in the agent's directory, that exits with 0 when it is well.
        command: Option<String> = None, command;
        /// A URL that answers with a status from 200 to 399 when it is well.
        url: Option<SecretUrl> = None, optional_url;
        /// From the end of one check to the start of the next.
        interval: Duration = 30 * SECOND, interval;
        /// A check that takes longer has failed.
        timeout: Duration = 30 * SECOND, interval;
        /// This many failures in a row make it unwell.
        retries: u32 = 3, count;
        /// Failures within this after its start do not count.
        start_period: Duration = Duration::ZERO, pause;
    }
}

section! {
    /// What is refused as a mistake of the pen.
    Limits {
        /// The most agents, replicas included.
        agents: usize = 100, whole(1, 1_000);
        /// The most replicas of one agent.
        replicas: u32 = 20, whole(1, 1_000);
    }
}

/// The keys of the file that are no section of the settings.
pub const OWN_KEYS: [&str; 4] = ["agents", "defaults", "limits", "socket"];

/// The keys that an agent may have and `[defaults]` may not.
const NO_DEFAULT: [&str; 4] = ["defaults.after", "defaults.health", "defaults.replicas", "defaults.session"];

/// Settings that are about Gas Town, or that are said of each agent here.
const NOT_HERE: [&str; 21] = [
    "gas_town",
    "resume",
    "kill",
    "deacon",
    "mayor",
    "boot",
    "polecats",
    "spawns",
    "lifecycle",
    "feed",
    "convoy",
    "dolt",
    "questions",
    "tmux.socket_name",
    "tmux.socket_path",
    "tmux.naming",
    "commands.bd",
    "commands.gt",
    "commands.git",
    "start.by_gt",
    "start.memory.max",
];

/// Its entry in the list of exceptions names roles of Gas Town.
const NOT_HERE_EITHER: &str = "usage_limit.wake_except";

/// Whether the setting with this path (`restart`, `start.memory.enabled`) may be given in the file.
pub fn is_setting(path: &str) -> bool {
    !NOT_HERE.contains(&path) && path != NOT_HERE_EITHER
}

/// Whether a setting with a whole path (`kill.grace`) has a meaning here: neither it nor a section that it is in is left out.
pub fn has_meaning(path: &str) -> bool {
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    ends.into_iter().all(|end| is_setting(&path[..end]))
}

/// Whether the key with this path may be given in `[defaults]`.
pub fn is_default(path: &str) -> bool {
    !NO_DEFAULT.contains(&path)
}

/// The keys of the whole file.
pub fn keys() -> Vec<&'static str> {
    let sections = Settings::SECTIONS.iter().copied().filter(|name| is_setting(name));
    OWN_KEYS.into_iter().chain(sections).collect()
}
