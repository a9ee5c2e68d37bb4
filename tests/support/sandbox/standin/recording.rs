//! Recordings of Gas Town's commands, repeated by the stand-in `gt`.
//!
//! A recording is a text: a line for each fact, with the milliseconds since the command's start, what happened, and
//! to what; `#` begins a comment. The first `runs` is the command itself: how long it lived (in milliseconds, or
//! `alive` as long as its session), where it was run, and its command line. Others are commands it ran. It must not
//! know what a command is for: it does what the recording says, on the town's own tmux socket.
//!
//! | fact | what is done |
//! | --- | --- |
//! | `dies S`, `begins S`, `respawns S` | the session is killed, made, or its pane is given to a new agent |
//! | `writes PATH TEXT`, `removes PATH`, `removes PATH/` | a file of the town is written or removed, or a directory |
//! | `bead ID {…}` | of `demo/beads/ID.json`, `hook`, `state`, `status`, `labels` or the description's state changes |
//! | `lock held`, `lock free` | of `daemon/shutdown.lock` |
//! | `terminates us` | TERM to the process that `daemon/daemon.pid` names |
#![allow(
    clippy::disallowed_methods,
    reason = "a stand-in is a program of its own, not part of the supervisor"
)]

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

use super::super::limits;

/// For how many milliseconds a command that another one ran continues to run.
pub const LASTS: &str = "STANDIN_LASTS_MS";

/// The lifetime of a process that lives as long as its session.
const ALIVE: Duration = Duration::from_secs(60);

/// The recordings of a town, in which the stand-in `gt` searches for its own command line.
const PLACE: &str = "demo/recordings";

struct Fact {
    at: Duration,
    kind: String,
    rest: String,
}

/// A recorded command.
pub struct Recording {
    facts: Vec<Fact>,
}

impl Recording {
    /// The recording of this command line in a town, if there is one.
    pub fn of(town: &Path, line: &str) -> Option<Recording> {
        let entries = fs::read_dir(town.join(PLACE)).ok()?;
        entries
            .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
            .map(|text| Recording::parse(&text))
            .find(|recording| recording.own().is_some_and(|(_, own)| own == line))
    }

    fn parse(text: &str) -> Recording {
        let fact = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let at = Duration::from_millis(words.next()?.parse().ok()?);
            Some(Fact { at, kind: words.next()?.to_owned(), rest: words.next()?.to_owned() })
        };
        let mut facts: Vec<Fact> = text.lines().filter_map(fact).collect();
        facts.sort_by_key(|fact| fact.at);
        Recording { facts }
    }

    /// When the command itself ends, and its command line.
    fn own(&self) -> Option<(Duration, &str)> {
        let own = self.facts.iter().find(|fact| fact.kind == "runs")?;
        let (end, _, line) = run_of(&own.rest)?;
        Some((end, line))
    }

    /// Does everything at its time; returns when the command ended.
    pub fn play(&self, town: &Path) -> i32 {
        let began = Instant::now();
        let mut stage = Stage { town, lock: None, children: Vec::new() };
        let mut own = true;
        for fact in &self.facts {
            sleep_until(began + fact.at);
            match fact.kind.as_str() {
                "runs" if std::mem::take(&mut own) => {}
                "runs" => stage.run(fact),
                _ => stage.happens(fact),
            }
        }
        sleep_until(began + self.own().map_or(Duration::ZERO, |(end, _)| end));
        for mut child in stage.children {
            let _ = child.wait(); // limited: it lives as long as it was recorded
        }
        0
    }
}

/// Parses `END DIRECTORY LINE`.
fn run_of(rest: &str) -> Option<(Duration, &str, &str)> {
    let mut words = rest.splitn(3, ' ');
    let end = words.next()?.parse().map_or(ALIVE, Duration::from_millis);
    Some((end, words.next()?, words.next()?))
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// The town it is played in. Errors are printed on standard error and stop nothing, as in a command of many steps.
struct Stage<'a> {
    town: &'a Path,
    lock: Option<File>,
    children: Vec<Child>,
}

impl Stage<'_> {
    fn happens(&mut self, fact: &Fact) {
        let rest = fact.rest.as_str();
        let path = self.town.join(rest);
        let done = match fact.kind.as_str() {
            "dies" => self.tmux(&["kill-session", "-t", &format!("={rest}")]),
            "begins" => self.begins(rest),
            "respawns" => self.tmux(&["respawn-pane", "-k", "-t", &format!("={rest}:"), "exec claude"]),
            "writes" => self.writes(rest),
            "removes" if rest.ends_with('/') => fs::remove_dir_all(path),
            "removes" => fs::remove_file(path),
            "bead" => self.bead(rest),
            "lock" => self.lock(rest == "held"),
            "terminates" => self.terminates(),
            _ => Ok(()),
        };
        if let Err(error) = done {
            eprintln!("gt: {} {rest}: {error}", fact.kind);
        }
    }

    /// Runs another command of `gt`, which lives as long as in the recording.
    fn run(&mut self, fact: &Fact) {
        let Some((end, directory, line)) = run_of(&fact.rest) else { return };
        let words = shell_words::split(line).unwrap_or_default();
        let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("gt"));
        let mut command = Command::new(program);
        command.arg0("gt").args(words.iter().skip(1)).current_dir(self.town.join(directory));
        command.env(LASTS, end.saturating_sub(fact.at).as_millis().to_string());
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => self.children.push(child),
            Err(error) => eprintln!("gt: {line}: {error}"),
        }
    }

    /// Runs tmux on the town's own server, not the user's: without a socket in the settings nothing is done.
    fn tmux(&self, arguments: &[&str]) -> std::io::Result<()> {
        let settings = fs::read(self.town.join("settings/supervisor.json"))?;
        let settings: Value = serde_json::from_slice(&settings)?;
        let Some(socket) = settings["tmux"]["socket_path"].as_str() else {
            return Err(std::io::Error::other("the town has no tmux socket of its own"));
        };
        let mut command = Command::new("tmux");
        command.args(["-S", socket, "-f", "/dev/null"]).args(arguments).env_remove("TMUX");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Some(output) = limits::try_output_of(command.spawn()?) else {
            return Err(std::io::Error::other("tmux does not answer"));
        };
        match output.status.success() {
            true => Ok(()),
            false => Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    fn begins(&self, session: &str) -> std::io::Result<()> {
        let actor = actor_of(session);
        let role = actor.rsplit_once('/').map_or(actor.as_str(), |(_, role)| role);
        let variables = [
            format!("PATH={}", env::var("PATH").unwrap_or_default()),
            format!("GT_ROOT={}", self.town.display()),
            format!("GT_ROLE={role}"),
            format!("BD_ACTOR={actor}"),
        ];
        let mut arguments = vec!["new-session", "-d", "-s", session];
        variables.iter().for_each(|variable| arguments.extend(["-e", variable]));
        arguments.push("exec claude");
        self.tmux(&arguments)
    }

    fn writes(&self, rest: &str) -> std::io::Result<()> {
        let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let path = self.town.join(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let half = path.with_extension("half-written-by-gt");
        fs::write(&half, text)?;
        fs::rename(half, path)
    }

    fn bead(&self, rest: &str) -> std::io::Result<()> {
        let (id, fields) = rest.split_once(' ').unwrap_or((rest, "{}"));
        let fields: Value = serde_json::from_str(fields)?;
        let path = self.town.join("demo/beads").join(format!("{id}.json"));
        let known = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut bead: Value = known.unwrap_or_else(|| {
            serde_json::json!({"id": id, "title": id, "status": "open", "issue_type": "task", "priority": 2})
        });
        change(&mut bead, &fields);
        self.writes(&format!("demo/beads/{id}.json {bead:#}"))
    }

    fn lock(&mut self, held: bool) -> std::io::Result<()> {
        self.lock = None;
        if held {
            let file = File::create(self.town.join("daemon/shutdown.lock"))?;
            flock(&file, FlockOperation::LockExclusive)?;
            self.lock = Some(file);
        }
        Ok(())
    }

    fn terminates(&self) -> std::io::Result<()> {
        let text = fs::read_to_string(self.town.join("daemon/daemon.pid"))?;
        let pid = text.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| std::io::Error::other("daemon.pid names no process"))?;
        Ok(kill_process(pid, Signal::TERM)?)
    }
}

/// The agent of a session, in the form of `BD_ACTOR`. Rigs in recordings have no `-` in their names.
fn actor_of(session: &str) -> String {
    if let Some(role) = session.strip_prefix("hq-") {
        return role.to_owned();
    }
    let (rig, name) = session.trim_start_matches("gt-").split_once('-').unwrap_or(("", session));
    match name {
        "witness" | "refinery" => format!("{rig}/{name}"),
        name => format!("{rig}/polecats/{name}"),
    }
}

/// An empty value is one that is not printed any more.
fn change(bead: &mut Value, fields: &Value) {
    let Some(object) = bead.as_object_mut() else { return };
    let columns =
        [("hook", "hook_bead"), ("state", "agent_state"), ("status", "status"), ("new", "issue_type")];
    for (field, column) in columns {
        match fields[field].as_str() {
            None => {}
            Some("") => drop(object.remove(column)),
            Some(value) => drop(object.insert(column.to_owned(), value.into())),
        }
    }
    if let Some(labels) = fields["labels"].as_str() {
        let labels: Vec<&str> = labels.split(',').collect();
        object.insert("labels".to_owned(), labels.into());
    }
    if let Some(state) = fields["desc_state"].as_str() {
        object.insert("description".to_owned(), format!("agent_state: {state}").into());
    }
    object.insert("updated_at".to_owned(), jiff::Timestamp::now().to_string().into());
}
