//! What tests on real tmux share: a private server that is gone when the test ends, in any way.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]

pub mod background;
pub mod browser;
pub mod http;
pub mod limits;
#[path = "sandbox/one_file.rs"]
pub mod one_file;
#[path = "sandbox/pids.rs"]
pub mod pids;
pub mod process;
pub mod recording;
pub mod standin;
pub mod supervisor;
pub mod town;

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use gastown_supervisor::sessions::{
    NewSession,
    tmux::{Socket, Tmux, TmuxConfig},
};

pub use limits::PATIENCE;
use limits::{LimitedCommand, MARK};

/// A private tmux socket in a directory of its own. A server there is killed on drop.
pub struct Server {
    dir: tempfile::TempDir,
    socket: PathBuf,
}

impl Server {
    /// A socket on which no server runs.
    pub fn new() -> Server {
        // Not the test's target directory: the path of a socket is limited to 107 bytes.
        limits::watched();
        let dir = tempfile::Builder::new().prefix("gts").tempdir_in("/tmp").unwrap();
        Server { socket: dir.path().join("s"), dir }
    }

    pub fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Makes it the server that tmux knows by this name while `TMUX_TMPDIR` is the test's directory.
    pub fn rename(&mut self, name: &str) {
        let uid = rustix::process::getuid().as_raw();
        self.socket = self.dir.path().join(format!("tmux-{uid}")).join(name);
    }

    /// A directory for the test's files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self, control: bool) -> TmuxConfig {
        TmuxConfig { control, ..TmuxConfig::new(Socket::Path(self.socket())) }
    }

    pub fn tmux(&self, control: bool) -> Tmux {
        Tmux::new(self.config(control))
    }

    /// Runs tmux on this socket as a person would, without starting a server for commands that need none.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).limited_output()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket()).args(["-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env(MARK, limits::mark("server"));
        command
    }

    /// Like [`Server::run`], with its output; it must succeed.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// What a key is bound to, as the list of its table shows it: tmux 3.7 lists nothing when asked for one key.
    pub fn binding(&self, table: &str, key: &str) -> String {
        let all = self.must(&["list-keys", "-T", table]);
        let is_of_it = |line: &&str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "-T").skip(1);
            (words.next(), words.next()) == (Some(table), Some(key))
        };
        all.lines().find(is_of_it).unwrap_or_default().to_owned()
    }

    /// True when a server answers.
    pub fn runs(&self) -> bool {
        self.run(&["-N", "show-options", "-s"]).status.success()
    }

    /// The names of all sessions, our own included; none when no server runs.
    pub fn names(&self) -> Vec<String> {
        let output = self.run(&["-N", "list-sessions", "-F", "#{session_name}"]);
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.must(&["-N", "display-message", "-p", "#{pid}"]).parse().unwrap()
    }

    /// Kills the server with SIGKILL.
    pub fn kill_hard(&self) {
        kill(self.pid());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its agents write into the test's directory, which is about to be removed. Agents that ignore the end of
        // their server, and a server that does not answer, are killed.
        let socket = self.socket().display().to_string();
        let ours = process::of_server(&socket).into_iter().map(process::Guarded::of).collect::<Vec<_>>();
        let mut ask = self.command(&["-N", "kill-server"]);
        ask.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let _ = ask.spawn().map(limits::try_output_of);
        limits::poll(Duration::from_secs(2), || (!ours.iter().any(process::Guarded::lives)).then_some(()));
        drop(ours);
        // A process that one of them was just starting has the variables, except in the middle of an exec.
        let mut none = 0;
        limits::poll(Duration::from_secs(2), || {
            let left = process::of_server(&socket);
            none = if left.is_empty() { none + 1 } else { 0 };
            left.into_iter().for_each(|pid| drop(process::Guarded::of(pid)));
            (none == 2).then_some(())
        });
    }
}

/// Sends SIGKILL to one process.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// A session to create, with default settings.
pub fn session(name: &str) -> NewSession {
    command(name, "exec sleep 600")
}

/// A session whose pane runs this shell command.
pub fn command(name: &str, command: &str) -> NewSession {
    NewSession {
        name: name.into(),
        directory: "/tmp".into(),
        environment: BTreeMap::new(),
        command: shell(command),
        keep_exit: false,
    }
}

/// The words that run this in `sh`.
pub fn shell(command: &str) -> Vec<String> {
    ["/bin/sh", "-c", command].map(str::to_owned).into()
}

/// Polls until the answer is there; fails after [`PATIENCE`] with what did not happen.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = tokio::time::timeout_at(deadline.into(), look()).await;
        if let Ok(Some(answer)) = answer {
            limits::moved();
            return answer;
        }
        assert!(answer.is_ok() && Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
