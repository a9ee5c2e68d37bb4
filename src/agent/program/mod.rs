//! Program: which program an agent is, and what is known about it.
//!
//! Gas Town lets a town and each rig name their own agents; [`mod@file`] reads those files into [`description`]s,
//! [`provider`] holds what is built in, [`mod@resolve`] picks one for a role. Facts from Gas Town 0.2.6 to 0.3 and
//! gt 1.0.1 (`internal/config/agents.go`, `loader.go`, `types.go`) and the files `settings/config.json`,
//! `settings/agents.json`, `<rig>/settings/config.json`, `<rig>/settings/agents.json`. Nothing here may read the disk
//! or `PATH`: bytes and answers are passed in.

use std::{collections::BTreeMap, time::Duration};

pub mod command;
pub mod description;
pub mod file;
mod json;
pub mod provider;
pub mod resolve;

pub use description::Description;
pub use file::{Parsed, ProgramFileError, RigConfig, TownConfig, parse_agents, parse_rig, parse_town};
pub use provider::Provider;
pub use resolve::{Resolution, Sources, resolve};

/// One agent program, with every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentProgram {
    /// The name it was found under (`claude`, `my-codex`; `runtime` for one given in place).
    pub name: String,
    /// The program: a bare name to look up on `PATH`, or a path.
    pub command: String,
    /// Its arguments, without the initial prompt.
    pub args: Vec<String>,
    /// The prompt to pass as the last argument; `None` when there is none or this program takes none (`prompt_mode`).
    pub initial_prompt: Option<String>,
    /// How a prompt is passed to it.
    pub prompt: Prompt,
    /// The variable that carries its conversation id (`CLAUDE_SESSION_ID`).
    pub session_id_env: Option<String>,
    /// How it calls `gt` by itself.
    pub hooks: Hooks,
    /// The names its process may have, as `GT_PROCESS_NAMES` lists them; never empty.
    pub process_names: Vec<String>,
    /// Which program it is underneath, as far as known.
    pub provider: Provider,
    /// How to tell that it takes input.
    pub ready: Ready,
    /// Variables it is run with (1.x).
    pub environment: BTreeMap<String, String>,
    /// The words before its command, such as those of a sandbox (1.x).
    pub wrapper: Vec<String>,
    /// How hard its model is to think (1.x, `role_effort`); `None` when no file says.
    pub effort: Option<String>,
    /// Whether nothing is known of it, so that the process which was started in its pane is the agent whatever its name, also
    /// when that is a shell's.
    pub has_any_name: bool,
}

impl AgentProgram {
    /// Its command without a path.
    pub fn base_name(&self) -> &str {
        provider::base_name(&self.command)
    }

    /// The name by which `gt` finds its presets: its own, or its provider's when it was given in place.
    pub fn preset_name(&self) -> &str {
        if self.name == "runtime" { self.provider.name() } else { &self.name }
    }
}

/// How a prompt is passed to a program on its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// As its last argument.
    Argument,
    /// As its last argument, after this one (1.x).
    Flag(&'static str),
    /// Not at all.
    None,
}

/// How an agent calls `gt` at its start and around its prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    /// By `.claude/settings.json`, which the supervisor writes when it is missing.
    Claude,
    /// By hooks of its own, which somebody else sets up.
    Own,
    /// Not at all: a nudge gives it the instructions that hooks would have given.
    None,
}

/// How to tell that an agent takes input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A line of its screen begins with one of these.
    Prompt(Vec<String>),
    /// This long after its process appeared. A person wrote the value, so the start's own limit must bound it.
    Delay(Duration),
}
