//! Writing: the text of a first `agents.toml`, and the lines that an adopted session adds to one. Pure, text to text.
//!
//! A file of the user's is only ever added to, at its end: what stands in it keeps its place, its order and its comments.

use std::path::{Path, PathBuf};

use super::{
    plan::Plan,
    reading::{Around, read},
    values::{Kind, agent_name, session_name},
};
use crate::{terminal, town::settings::read::SettingsError};

/// A session that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// Its name.
    pub name: String,
    /// The command line of what runs in it.
    pub command: String,
    /// The directory that it runs in.
    pub dir: PathBuf,
}

/// Why a session is not adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The file has mistakes.
    #[error("{0}")]
    Mistakes(SettingsError),
    /// An agent has this session.
    #[error("the session {:?} is that of the agent {agent}", terminal::one_line(.session))]
    There {
        /// The session.
        session: String,
        /// The agent.
        agent: String,
    },
    /// With its lines the file could not be read any more.
    #[error("the session cannot be added to the file as it is: {0}")]
    Impossible(SettingsError),
}

const HEAD: &str = "\
# agents.toml: the agents of this directory, kept running by gastown-supervisor.
# `gastown-supervisor settings --check agents.toml` says what it means, and what is wrong in it.

[defaults]
restart = \"unless-stopped\" # always | on-failure | unless-stopped | no
";

const NONE_FOUND: &str =
    "\n# No agent program was found on PATH. Uncomment this, and write the command to run.\n";

const ALSO_FOUND: &str = "\n# Also found on PATH. Uncomment the ones to run.\n";

const SESSIONS: &str = "\n# Running in your tmux server now. To use one, uncomment it, and add `socket = \"default\"` above `[defaults]`.\n";

/// The file for these programs, which were found on `PATH`, and these sessions of the user's tmux server. The first program is
/// enabled; the other agents in it are comments, for the user to uncomment.
pub fn init(programs: &[Kind], sessions: &[FoundSession], around: &Path) -> String {
    let mut taken: Vec<String> = Vec::new();
    let mut free = |name: &str, taken_too: &dyn Fn(&str) -> bool| {
        let name = free_name(name, &|name| taken_too(name) || taken.iter().any(|it| it == name));
        taken.push(name.clone());
        name
    };
    // Sessions go first: their agents have their names, and no other agent may have them.
    let running: Vec<String> =
        sessions.iter().map(|session| lines(&free(&session.name, &|_| false), session, around)).collect();
    let is_session = |name: &str| sessions.iter().any(|session| session.name == name);
    let mut example = |name: &str, program: &str| example(&free(name, &is_session), program);
    let mut programs = programs.iter().filter_map(|kind| Some((kind, kind.program()?)));
    let mut text = HEAD.to_owned();
    match programs.next() {
        Some((kind, program)) => text.push_str(&format!("\n{}", example(kind.as_str(), program))),
        None => {
            text.push_str(NONE_FOUND);
            text.push_str(&format!("\n{}", remark(&example("worker", "./worker"))));
        }
    }
    let others: Vec<String> = programs.map(|(kind, program)| example(kind.as_str(), program)).collect();
    let sections = [(ALSO_FOUND, others), (SESSIONS, running)];
    for (title, agents) in sections.into_iter().filter(|(_, agents)| !agents.is_empty()) {
        text.push_str(title);
        agents.iter().for_each(|agent| text.push_str(&format!("\n{}", remark(agent))));
    }
    text
}

/// The file with the lines of a session at its end, those lines, and the name of the agent that it becomes: this one, or one made of
/// the session's.
pub fn adopt(
    file: &Path,
    text: &str,
    session: &FoundSession,
    name: Option<&str>,
    around: Around<'_>,
) -> Result<Adopted, AdoptError> {
    let plan = read(file, text.as_bytes(), around).map_err(AdoptError::Mistakes)?;
    if let Some(agent) = plan.agents.iter().find(|agent| agent.session == session.name) {
        return Err(AdoptError::There { session: session.name.clone(), agent: agent.name.to_string() });
    }
    let is_taken =
        |name: &str| plan.agents.iter().any(|agent| agent.name.as_str() == name || agent.session == name);
    let name = match name {
        Some(name) => name.to_owned(),
        None => free_name(&session.name, &is_taken),
    };
    let gap = match text {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let added = lines(&name, session, around.directory);
    let whole = format!("{text}{gap}{added}");
    let plan = read(file, whole.as_bytes(), around).map_err(AdoptError::Impossible)?;
    Ok(Adopted { whole, added, name, plan })
}

/// A session that became an agent of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Adopted {
    /// The whole text of the file.
    pub whole: String,
    /// The lines that were added.
    pub added: String,
    /// The name of the agent.
    pub name: String,
    /// What the file means now.
    pub plan: Plan,
}

fn example(name: &str, program: &str) -> String {
    format!(
        "[agents.{name}]\ncommand = {}\n# prompt = \"Read HANDOFF.md and go on.\"\n# memory.max = \"8G\"\n",
        quoted(program)
    )
}

/// The table of a session.
fn lines(name: &str, session: &FoundSession, around: &Path) -> String {
    let mut lines = format!("[agents.{name}]\n");
    if name != session.name {
        lines.push_str(&format!("session = {}\n", quoted(&session.name)));
    }
    lines.push_str(&format!("command = {}\n", quoted(&session.command)));
    let within = session.dir.strip_prefix(around).ok().filter(|dir| !dir.to_string_lossy().starts_with('~'));
    let dir = within.unwrap_or(&session.dir).to_string_lossy();
    if !dir.is_empty() {
        lines.push_str(&format!("dir = {}\n", quoted(&dir)));
    }
    lines
}

/// A name for the agent of a session: the same, or as much of it as a name may have, and none that is taken.
fn free_name(session: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    let kept: String = session
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect();
    let kept: String = kept.trim_matches(['-', '_']).chars().take(56).collect();
    let name = if agent_name(&kept).is_ok() { kept } else { "agent".to_owned() };
    let mut numbered = (2..).map(|number| format!("{name}-{number}"));
    match is_taken(&name) {
        true => numbered.find(|name| !is_taken(name)).unwrap_or(name),
        false => name,
    }
}

/// Lines as comments; those that are comments stay as they are.
fn remark(lines: &str) -> String {
    let one = |line: &str| if line.starts_with('#') { format!("{line}\n") } else { format!("# {line}\n") };
    lines.lines().map(one).collect()
}

/// A text as TOML writes it, in one line.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.chars().fold(String::with_capacity(json.len()), |mut quoted, c| {
        match terminal::is_harmful(c) {
            true => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            false => quoted.push(c),
        }
        quoted
    })
}

/// Whether a session has a name that the file can name.
pub fn can_be_named(session: &FoundSession) -> bool {
    session_name(&serde_json::Value::from(session.name.as_str())).is_ok()
}

#[cfg(test)]
#[path = "writing_tests.rs"]
mod tests;
