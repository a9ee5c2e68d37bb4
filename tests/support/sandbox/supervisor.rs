//! The supervisor as a process of its own, and its log: on standard error, as JSON, with exact times.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use gastown_supervisor::town::environment::DROPPED;
use jiff::Timestamp;
use rustix::process::Signal;

pub use super::pids::{alive, signal, wait_gone};
use super::town::Town;

/// The interval at which the log is read.
const POLL: Duration = Duration::from_millis(5);
/// How long it may take to end after TERM; it should take less than 0.5 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running supervisor, ended on drop.
#[derive(Debug)]
pub struct Supervisor {
    child: Child,
    log: Log,
}

/// One line it logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its time.
    pub at: Timestamp,
    /// Its text.
    pub text: String,
}

impl Supervisor {
    /// Starts `program` as the town's supervisor; `variables` are put in its environment.
    pub fn start(program: &Path, town: &Town, variables: &[(&str, &str)]) -> anyhow::Result<Supervisor> {
        let path = town.root().join("supervisor.jsonl");
        let output = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--town").arg(town.root()).args(["--log-format", "json"]);
        // The user's own Gas Town and tmux configuration must have no effect.
        for variable in DROPPED.iter().chain(&["GT_ROOT", "GT_TOWN_ROOT", "GT_TMUX_SOCKET", "GT_DEGRADED"]) {
            command.env_remove(variable);
        }
        command.env("PATH", town.path()).env("HOME", town.root().join("home")).env("SHELL", "/bin/sh");
        command.env_remove("XDG_CONFIG_HOME").envs(town.variables()).envs(variables.iter().copied());
        // Ctrl-C is for this process, which ends the supervisor in order.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = command.spawn().with_context(|| format!("{} cannot be run", program.display()))?;
        Ok(Supervisor { child, log: Log::new(path) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The number of lines so far: a position for [`until`](Self::until).
    pub fn said(&mut self) -> usize {
        self.log.read();
        self.log.lines.len()
    }

    /// The lines from a position on.
    pub fn lines(&mut self, from: usize) -> &[Line] {
        self.log.read();
        self.log.lines.get(from..).unwrap_or_default()
    }

    /// Waits for a line, from that position on, that `fits`. An error when there is none within the limit, or it ends
    /// before.
    pub async fn until(
        &mut self,
        from: usize,
        what: &str,
        limit: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Line> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait().context("the supervisor cannot be waited for")?;
            if let Some(line) = self.lines(from).iter().find(|line| fits(&line.text)) {
                return Ok(line.clone());
            }
            if let Some(status) = ended {
                bail!("the supervisor ended ({status}) before this was seen: {what}");
            }
            if Instant::now() > deadline {
                bail!("this did not happen within {limit:?}: {what}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends TERM and waits for its end; returns how it ended, and how long that took.
    pub async fn stop(&mut self) -> anyhow::Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        signal(self.pid(), Signal::TERM);
        loop {
            if let Some(status) = self.child.try_wait().context("the supervisor cannot be waited for")? {
                return Ok((status, began.elapsed()));
            }
            if began.elapsed() > PATIENCE {
                bail!("the supervisor did not stop within {PATIENCE:?} of TERM");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets it run on, and returns its process id.
    pub fn keep(self) -> u32 {
        let pid = self.pid();
        std::mem::forget(self);
        pid
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        signal(self.pid(), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                super::limits::kill_and_wait(&mut self.child);
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// The log, read as it grows.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    read: u64,
    lines: Vec<Line>,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Log { path, read: 0, lines: Vec::new() }
    }

    fn read(&mut self) {
        let Ok(new) = self.read_on() else { return };
        // An incomplete line is read again when it is whole.
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        self.read += end as u64 + 1;
        self.lines.extend(new[..end].split(|byte| *byte == b'\n').filter_map(parse));
    }

    fn read_on(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut new = Vec::new();
        file.read_to_end(&mut new)?;
        Ok(new)
    }
}

/// The text as in `daemon/daemon.log`: the agent or session first. A line that is not JSON is an error the supervisor ended with.
fn parse(line: &[u8]) -> Option<Line> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let at = value.get("timestamp")?.as_str()?.parse().ok()?;
    let message = value.get("message")?.as_str()?;
    let subject = value.get("agent").or_else(|| value.get("session")).and_then(serde_json::Value::as_str);
    let text = subject.map_or_else(|| message.to_owned(), |subject| format!("{subject}: {message}"));
    Some(Line { at, text })
}

/// The last lines of `daemon/daemon.log` and, when it could not run, of its standard error.
pub fn last_words(town: &Path) -> String {
    let tail = |name: &str| {
        let text = fs::read_to_string(town.join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    };
    let log = tail("daemon/daemon.log");
    if log.is_empty() { tail("supervisor.jsonl") } else { log }
}
