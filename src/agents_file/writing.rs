//! Writing: the text of a first `agents.toml`, and the lines that an adopted session adds to one. Pure, text to text.
//!
//! A file of the user's is only ever added to, at its end: what stands in it keeps its place, its order and its remarks.

use std::path::{Path, PathBuf};

use super::{
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

/// The file for these programs, which were found on `PATH`, and these sessions of the user's tmux server. Agents in it are remarks: the
/// user takes the `#` away from those that are to run.
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
    let examples: Vec<String> = match programs {
        [] => vec![example(&free("worker", &is_session), "./worker")],
        programs => {
            let of = |kind: &Kind| {
                example(&free(kind.as_str(), &is_session), kind.program().unwrap_or("./worker"))
            };
            programs.iter().map(of).collect()
        }
    };
    let mut text = HEAD.to_owned();
    text.push_str("\n# Take the `#` away from what is to run here.\n");
    examples.iter().for_each(|agent| text.push_str(&format!("\n{}", remark(agent))));
    if !running.is_empty() {
        text.push_str("\n# These run in your tmux server now; with them goes the line `socket = \"default\"` above `[defaults]`.\n");
        running.iter().for_each(|agent| text.push_str(&format!("\n{}", remark(agent))));
    }
    text
}

/// The file with the lines of a session at its end, and the name of the agent that it becomes.
pub fn adopt(
    file: &Path,
    text: &str,
    session: &FoundSession,
    around: Around<'_>,
) -> Result<(String, String), AdoptError> {
    let plan = read(file, text.as_bytes(), around).map_err(AdoptError::Mistakes)?;
    if let Some(agent) = plan.agents.iter().find(|agent| agent.session == session.name) {
        return Err(AdoptError::There { session: session.name.clone(), agent: agent.name.to_string() });
    }
    let is_taken =
        |name: &str| plan.agents.iter().any(|agent| agent.name.as_str() == name || agent.session == name);
    let name = free_name(&session.name, &is_taken);
    let gap = if text.ends_with('\n') { "\n" } else { "\n\n" };
    let whole = format!("{text}{gap}{}", lines(&name, session, around.directory));
    read(file, whole.as_bytes(), around).map_err(AdoptError::Impossible)?;
    Ok((whole, name))
}

fn example(name: &str, program: &str) -> String {
    format!(
        "[agents.{name}]\ncommand = {}\nprompt = \"Read HANDOFF.md and go on.\"\nmemory.max = \"8G\"\n",
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
    let dir = session.dir.strip_prefix(around).unwrap_or(&session.dir).to_string_lossy();
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

/// Lines as remarks.
fn remark(lines: &str) -> String {
    lines.lines().map(|line| format!("# {line}\n")).collect()
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
