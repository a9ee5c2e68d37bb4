//! The types of values that only `agents.toml` has, and their readers: conversions, each with an error that says what is
//! expected. Pure.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    nearest::nearest,
    terminal,
    town::{
        identity::AgentName,
        reading::shorten,
        settings::{
            amount::Amount,
            shown::Shown,
            values::{Converted, amount, count, text},
        },
        standing::{RestartWhen, StopSignal},
    },
};

/// The longest command line and the longest prompt, in bytes: tmux takes no message of more than 16 KiB.
const LONGEST: usize = 8 * 1024;

/// The longest name of a session, in bytes.
const LONGEST_SESSION: usize = 80;

fn expected(what: &str, value: &Value) -> String {
    format!("expected {what}, found {}", shorten(&value.to_string()))
}

/// One word of a list; an error says which there are, and the nearest.
fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> Converted<T> {
    let given = value.as_str().ok_or_else(|| expected("a word in quotes", value))?;
    if let Some((_, it)) = words.iter().find(|(name, _)| *name == given) {
        return Ok(*it);
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let meant = nearest(given, names.iter().copied());
    let meant = meant.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
    Err(format!("expected one of {}, found {:?}{meant}", names.join(", "), shorten(given)))
}

/// The words for when an agent is started again.
pub const RESTART: [(&str, RestartWhen); 4] = [
    ("always", RestartWhen::Always),
    ("on-failure", RestartWhen::OnFailure),
    ("unless-stopped", RestartWhen::UnlessStopped),
    ("no", RestartWhen::No),
];

/// When an agent is started again.
pub fn restart_when(value: &Value) -> Converted<RestartWhen> {
    word(value, &RESTART)
}

/// What the program of an agent is: one of [`KINDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(&'static str);

/// The kinds of programs, each with the name of its program; `plain` is any other.
pub const KINDS: [(&str, Option<&str>); 12] = [
    ("claude", Some("claude")),
    ("codex", Some("codex")),
    ("gemini", Some("gemini")),
    ("cursor", Some("cursor-agent")),
    ("auggie", Some("auggie")),
    ("amp", Some("amp")),
    ("opencode", Some("opencode")),
    ("copilot", Some("copilot")),
    ("pi", Some("pi")),
    ("omp", Some("omp")),
    ("vibe", Some("vibe")),
    ("plain", None),
];

impl Kind {
    /// Any program of which nothing is known.
    pub const PLAIN: Kind = Kind("plain");

    /// The kind of the program that a command line runs.
    pub fn of_command(command: &str) -> Kind {
        let program = program(command);
        let known = KINDS.iter().find(|(_, of)| of.is_some() && *of == program.as_deref());
        known.map_or(Kind::PLAIN, |(name, _)| Kind(name))
    }

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The name of its program's preset; any other program has none.
    pub fn preset(self) -> Option<&'static str> {
        (self != Kind::PLAIN).then_some(self.0)
    }

    /// The name of its program; any other has none.
    pub fn program(self) -> Option<&'static str> {
        KINDS.iter().find(|(name, _)| *name == self.0).and_then(|(_, program)| *program)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The name of the program that a command line runs, without a path: its first word, after variables and `exec` or `env`.
fn program(command: &str) -> Option<String> {
    let words = shell_words::split(command).ok()?;
    let is_before = |word: &&String| matches!(word.as_str(), "exec" | "env" | "nohup") || is_assignment(word);
    let word = words.iter().find(|word| !is_before(word))?;
    word.rsplit('/').next().map(str::to_owned)
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| is_variable(name))
}

/// A kind of program.
pub fn kind(value: &Value) -> Converted<Option<Kind>> {
    let kinds = KINDS.map(|(name, _)| (name, Kind(name)));
    word(value, &kinds).map(Some)
}

/// A command line for `sh`.
pub fn command(value: &Value) -> Converted<Option<String>> {
    let command = text(value)?;
    shell_words::split(&command).map_err(|_| "a quote in it has no end".to_owned())?;
    not_too_long(&command)?;
    Ok(Some(command))
}

/// A text of one or several lines.
pub fn prose(value: &Value) -> Converted<Option<String>> {
    let prose = value.as_str().ok_or_else(|| expected("a string", value))?;
    if prose.trim().is_empty() {
        return Err("it must not be empty".to_owned());
    }
    if prose.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err("it must hold no control characters but newlines and tabs".to_owned());
    }
    not_too_long(prose)?;
    Ok(Some(prose.to_owned()))
}

fn not_too_long(text: &str) -> Result<(), String> {
    match text.len() > LONGEST {
        true => Err(format!("it has {} bytes, and {LONGEST} are the most; put it into a file", text.len())),
        false => Ok(()),
    }
}

/// A directory: absolute, from `~`, or relative to the file.
pub fn directory(value: &Value) -> Converted<Option<String>> {
    let directory = text(value)?;
    if directory.starts_with('~') && directory != "~" && !directory.starts_with("~/") {
        return Err("`~` is your own home only; for that of another user write its whole path".to_owned());
    }
    Ok(Some(directory))
}

/// A directory as a path; `None` where it is from `~` and no home is known.
pub fn expanded(directory: &str, around: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let path = match directory.strip_prefix('~') {
        Some(rest) => home?.join(rest.trim_start_matches('/')),
        None => around.join(directory),
    };
    // Without `.` and a `/` at the end, so that one directory is written in one way. A `..` stays: it may lead out of a link.
    Some(path.components().collect())
}

/// The most memory, or `"none"`.
pub fn memory_limit(value: &Value) -> Converted<Option<Amount>> {
    if value.as_str() == Some("none") {
        return Ok(None);
    }
    amount(value).map(Some).map_err(|why| format!("{why}; or \"none\""))
}

/// Whether a variable may have this name.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Why a variable cannot have this name.
pub fn variable_name(name: &str) -> Result<(), String> {
    match is_variable(name) {
        true => Ok(()),
        false => {
            Err("the name of a variable has letters, digits and `_`, and does not begin with a digit"
                .to_owned())
        }
    }
}

/// The value of a variable.
pub fn variable(value: &Value) -> Converted<String> {
    match value.as_str() {
        Some(text) if text.contains('\0') => Err("a NUL character cannot be part of a variable".to_owned()),
        Some(text) => Ok(text.to_owned()),
        // A value may be a secret: it is not repeated.
        None => Err("expected a string; a number is written in quotes, too".to_owned()),
    }
}

/// Variables with their values.
pub fn environment(value: &Value) -> Converted<BTreeMap<String, String>> {
    let Value::Object(variables) = value else { return Err("expected a table of variables".to_owned()) };
    let pair = |(name, value): (&String, &Value)| {
        variable_name(name)?;
        Ok((name.clone(), variable(value)?))
    };
    variables.iter().map(pair).collect()
}

/// The name of an agent.
pub fn agent_name(name: &str) -> Result<AgentName, String> {
    if name.contains(['.', ':']) {
        let short = shorten(name);
        return Err(format!("{short:?} has a '.' or ':', which tmux does not take in the name of a session"));
    }
    if name.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-')) {
        return Err(format!(
            "{:?}: only letters, digits, '_' and '-' are allowed in the name of an agent",
            shorten(name)
        ));
    }
    name.parse().map_err(|bad: crate::town::identity::BadName| bad.to_string())
}

/// A list of names of agents; whether there are such is found out when all are known.
pub fn names(value: &Value) -> Converted<Vec<String>> {
    let list = value.as_array().ok_or_else(|| expected("a list of names such as [\"db\"]", value))?;
    let name =
        |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| expected("a name in quotes", value));
    list.iter().map(name).collect()
}

/// A number of replicas; the limit of it is in the file.
pub fn replicas(value: &Value) -> Converted<Option<u32>> {
    count(value).map(Some)
}

/// The exact name of a tmux session.
pub fn session_name(value: &Value) -> Converted<Option<String>> {
    let name = text(value)?;
    let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '.' | ':' | '\\');
    if !name.chars().all(is_plain) {
        return Err(
            "the name of a session has letters, digits, spaces and signs of ASCII, and no '.', ':' or '\\', which tmux changes"
                .to_owned(),
        );
    }
    // What tmux reads as an id, a pattern or a relative place.
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        return Err("the name of a session begins with a letter, a digit or `_` here".to_owned());
    }
    if name.ends_with(' ') || name.len() > LONGEST_SESSION {
        return Err(format!("the name of a session has at most {LONGEST_SESSION} bytes, the last no space"));
    }
    Ok(Some(name))
}

/// A signal by its name, with or without `SIG`.
pub fn stop_signal(value: &Value) -> Converted<StopSignal> {
    let short = value.as_str().map(|name| Value::from(name.strip_prefix("SIG").unwrap_or(name)));
    word(short.as_ref().unwrap_or(value), &StopSignal::ALL.map(|it| (it.as_str(), it)))
}

/// The tmux server of a town.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Socket {
    /// One of its own.
    #[default]
    Own,
    /// The user's default server.
    Users,
    /// The one with this name (`-L`).
    Named(String),
    /// The one with this path (`-S`).
    Path(PathBuf),
}

/// A tmux server: `"default"`, a name or an absolute path.
pub fn socket(value: &Value) -> Converted<Socket> {
    let text = text(value)?;
    match text.as_str() {
        "default" => Ok(Socket::Users),
        "auto" => Err("\"auto\" is no socket's name; without the key the town has its own server".to_owned()),
        path if path.starts_with('/') => Ok(Socket::Path(path.into())),
        name if name.contains('/') => Err("a path must be absolute, and a name has no `/`".to_owned()),
        name => Ok(Socket::Named(name.to_owned())),
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Socket::Own => f.write_str("its own tmux server"),
            Socket::Users => f.write_str("your default tmux server"),
            Socket::Named(name) => write!(f, "the tmux server {name}"),
            Socket::Path(path) => write!(f, "the tmux server at {}", terminal::path(path)),
        }
    }
}

impl Shown for RestartWhen {
    fn shown(&self) -> Value {
        let name = RESTART.iter().find(|(_, it)| it == self).map(|(name, _)| *name);
        json!(name)
    }
}

impl Shown for Kind {
    fn shown(&self) -> Value {
        json!(self.as_str())
    }
}

impl Shown for StopSignal {
    fn shown(&self) -> Value {
        json!(self.as_str())
    }
}
