//! A throwaway town of one file: a directory with an `agents.toml`, stand-ins on `PATH`, a home, and a directory for tmux sockets of
//! its own. On drop its supervisor, its tmux servers and all of it are gone.
//!
//! The demo and `tests/cli` use it. It must not know what they show or test.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::Signal;
use tempfile::TempDir;

pub use super::pids::signal;
use super::{
    limits,
    pids::{alive, wait_gone},
};

/// How long a supervisor or a tmux server may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// The town.
#[derive(Debug)]
pub struct OneFile {
    directory: TempDir,
    /// Whether it is left as it is.
    kept: bool,
}

impl OneFile {
    /// An empty directory, in which `programs` are links to a file each; one that is called `gastown-supervisor` is ours.
    pub fn build(programs: &[(&str, &Path)]) -> anyhow::Result<OneFile> {
        // Not the user's temporary directory: the path of a socket is limited to about 100 bytes.
        let directory = tempfile::Builder::new().prefix("demo-file-").tempdir_in("/tmp");
        let directory = directory.context("no directory can be made in /tmp")?;
        let town = OneFile { directory, kept: false };
        for name in ["app", "home", "bin", "claude"] {
            fs::create_dir(town.base().join(name))?;
        }
        for (name, program) in programs {
            symlink(program, town.bin().join(name))?;
        }
        Ok(town)
    }

    fn base(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap_or_else(|_| self.directory.path().to_owned())
    }

    /// The directory of the file.
    pub fn root(&self) -> PathBuf {
        self.base().join("app")
    }

    /// The directory that comes first on `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.base().join("bin")
    }

    /// Where agents keep their conversations.
    pub fn conversations(&self) -> PathBuf {
        self.base().join("claude")
    }

    /// Writes a file in the directory of the town.
    pub fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.root().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    }

    /// Writes a program there. Another process writes it: a child that is started meanwhile has all our open files for a moment, and a
    /// file that somebody has open for writing cannot be run (ETXTBSY).
    pub fn put_program(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut install = Command::new("install");
        install.args(["-m", "755", "/dev/stdin"]).arg(self.root().join(name)).stdin(Stdio::piped());
        let mut child = install.spawn().context("install cannot be run")?;
        child.stdin.take().context("install takes nothing")?.write_all(text.as_bytes())?;
        limits::try_output_of(child)
            .filter(|output| output.status.success())
            .map(drop)
            .context("install failed")
    }

    /// A file's text; empty when there is none.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap_or_default()
    }

    /// One of the programs, as a person runs it in the directory.
    pub fn command(&self, words: &[&str]) -> Command {
        let (program, words) = words.split_first().unwrap_or((&"true", &[]));
        let path = format!("{}:{}", self.bin().display(), env::var("PATH").unwrap_or_default());
        let mut command = Command::new(self.bin().join(program));
        command.args(words).current_dir(self.root()).env_clear();
        command.env("PATH", path).env("HOME", self.base().join("home")).env("SHELL", "/bin/sh");
        command.env("TMUX_TMPDIR", self.base()).env("CLAUDE_CONFIG_DIR", self.conversations());
        command.env("COLUMNS", "80").env("LC_ALL", "C.UTF-8");
        // What a test that stands still has started is ended by its mark.
        command.env(limits::MARK, limits::mark("one-file"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Output> {
        let child =
            self.command(words).spawn().with_context(|| format!("{} cannot be run", words.join(" ")))?;
        limits::try_output_of(child).with_context(|| format!("{} does not end", words.join(" ")))
    }

    /// The sockets of its tmux servers.
    fn sockets(&self) -> Vec<PathBuf> {
        let own = self.base().join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        fs::read_dir(own).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// The socket of the server of its agents: the only one but the user's default.
    pub fn socket(&self) -> Option<PathBuf> {
        self.sockets().into_iter().find(|socket| !socket.ends_with("default"))
    }

    /// Runs tmux on this socket, without starting a server for a command that needs one.
    pub fn tmux(&self, socket: &Path, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(socket).args(words).env_remove("TMUX");
        command.env("SHELL", "/bin/sh").env(limits::MARK, limits::mark("one-file")).current_dir(self.root());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("tmux cannot be run")?;
        let output = limits::try_output_of(child).context("tmux does not answer")?;
        if !output.status.success() {
            bail!("tmux {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The path of the user's default server.
    pub fn default_socket(&self) -> anyhow::Result<PathBuf> {
        let own = self.base().join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        if !own.is_dir() {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).create(&own)?;
        }
        Ok(own.join("default"))
    }

    /// The sessions of its agents, with the process in each.
    pub fn sessions(&self) -> BTreeMap<String, u32> {
        let Some(socket) = self.socket() else { return BTreeMap::new() };
        let listed = self.tmux(&socket, &["list-panes", "-a", "-F", "#{pane_pid} #{session_name}"]);
        let listed = listed.unwrap_or_default();
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        let agents = pairs.filter(|(_, name)| *name != "_supervisor");
        agents.filter_map(|(pid, name)| Some((name.to_owned(), pid.parse().ok()?))).collect()
    }

    /// The process of its supervisor, while there is one.
    pub fn supervisor(&self) -> Option<u32> {
        let pid: u32 = self.text(".supervisor/pid").trim().parse().ok()?;
        // A number that is left over may be another program's by now.
        let mut ps = Command::new("ps");
        ps.args(["-ww", "-o", "command=", "-p", &pid.to_string()]);
        ps.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let line = limits::try_output_of(ps.spawn().ok()?)?.stdout;
        String::from_utf8_lossy(&line).contains(&*self.root().to_string_lossy()).then_some(pid)
    }

    /// Leaves everything as it is, and returns the directory.
    pub fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.base()
    }

    fn end(&self) {
        if let Some(pid) = self.supervisor() {
            signal(pid, Signal::TERM);
            if !is_gone(pid) {
                signal(pid, Signal::KILL);
                is_gone(pid);
            }
        }
        for socket in self.sockets() {
            let pids =
                self.tmux(&socket, &["list-panes", "-a", "-F", "#{pid} #{pane_pid}"]).unwrap_or_default();
            let _ = self.tmux(&socket, &["kill-server"]);
            for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                if !is_gone(pid) {
                    signal(pid, Signal::KILL);
                }
            }
        }
    }
}

impl Drop for OneFile {
    fn drop(&mut self) {
        match self.kept {
            true => self.directory.disable_cleanup(true),
            false => self.end(),
        }
    }
}

/// Waits until a process is gone; false when it is not in time.
fn is_gone(of: u32) -> bool {
    wait_gone(&[of], PATIENCE);
    !alive(of)
}
