//! A tmux server of one's own, on a socket in the town's directory. The user's server is never touched.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::{
    limits,
    supervisor::{alive, signal, wait_gone},
};

/// How long the server and its agents may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// A tmux server, which need not run yet.
#[derive(Debug)]
pub struct Tmux {
    socket: PathBuf,
}

/// The output of `tmux -V` (`tmux 3.3a`); an error, with what to do, when it is not installed.
pub fn version() -> anyhow::Result<String> {
    let child = Command::new("tmux").arg("-V").stdout(Stdio::piped()).spawn();
    match child.ok().and_then(limits::try_output_of) {
        Some(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        _ => bail!(
            "tmux is not installed: install it (apt-get install tmux, or brew install tmux) and run this again"
        ),
    }
}

impl Tmux {
    /// The server of this socket.
    pub fn new(socket: PathBuf) -> Self {
        Tmux { socket }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs a command in the server, without starting one, and returns its output.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let child = Command::new("tmux")
            .arg("-N")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("tmux cannot be run")?;
        let output = limits::try_output_of(child).context("tmux does not answer")?;
        if !output.status.success() {
            bail!("tmux {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Types a line into a session, as a person does who is attached to it.
    pub fn type_line(&self, session: &str, line: &str) -> anyhow::Result<()> {
        let target = format!("={session}:");
        self.run(&["send-keys", "-l", "-t", &target, line])?;
        self.run(&["send-keys", "-t", &target, "Enter"]).map(drop)
    }

    /// What a session shows.
    pub fn screen(&self, session: &str) -> anyhow::Result<String> {
        self.run(&["capture-pane", "-p", "-t", &format!("={session}:")])
    }

    /// The agents' sessions with the process in their pane; the supervisor's own session is left out. None when no
    /// server runs.
    pub fn sessions(&self) -> BTreeMap<String, u32> {
        let listed = self.run(&["list-panes", "-a", "-F", "#{pane_pid} #{session_name}"]).unwrap_or_default();
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        pairs
            .filter(|(_, name)| *name != "_supervisor")
            .filter_map(|(pid, name)| Some((name.to_owned(), pid.parse().ok()?)))
            .collect()
    }

    /// Ends the server with everything in it, and waits for that.
    pub fn end(&self) {
        let server = self.run(&["display-message", "-p", "#{pid}"]).ok().and_then(|pid| pid.parse().ok());
        let everybody: Vec<u32> = self.sessions().into_values().chain(server).collect();
        let _ = self.run(&["kill-server"]);
        wait_gone(&everybody, PATIENCE);
        for pid in everybody.into_iter().filter(|pid| alive(*pid)) {
            signal(pid, Signal::KILL);
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.end();
    }
}
