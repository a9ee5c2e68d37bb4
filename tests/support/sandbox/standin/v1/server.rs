//! The town's tmux server, on a socket in `TMUX_TMPDIR`, and the one named `default` beside it.

use std::{
    env, fs,
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{super::super::limits, town::Town};

/// A tmux server, which need not run yet.
pub struct Server {
    socket: PathBuf,
}

impl Server {
    /// The town's. An error unless `TMUX_TMPDIR` names a directory of somebody's own: this stand-in must never see the
    /// servers of the machine's user.
    pub fn of(town: &Town) -> Result<Server, String> {
        let directory = PathBuf::from(env::var_os("TMUX_TMPDIR").unwrap_or_default());
        let real = fs::canonicalize(&directory).unwrap_or_default();
        let shared = ["/", "/tmp", "/private/tmp", "/var/tmp"].map(Path::new);
        if real.as_os_str().is_empty() || shared.contains(&real.as_path()) || real.starts_with("/run") {
            return Err(format!(
                "this stand-in needs a directory of its own for tmux sockets: set TMUX_TMPDIR (it is {:?})",
                directory.display().to_string()
            ));
        }
        let sockets = directory.join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&sockets);
        made.map_err(|error| format!("{}: {error}", sockets.display()))?;
        Ok(Server { socket: sockets.join(town.socket_name()) })
    }

    /// The one that `tmux` without options would use, in the same directory.
    pub fn default_beside(&self) -> Server {
        Server { socket: self.socket.with_file_name("default") }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether somebody listens on the socket.
    pub fn lives(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }

    /// Runs a command in the server; only `new-session` starts one.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(&self.socket).args(["-f", "/dev/null"]);
        if arguments.first() != Some(&"new-session") {
            command.arg("-N");
        }
        command.args(arguments).env_remove("TMUX").env_remove("TMUX_PANE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("tmux: {error}"))?;
        let output = limits::try_output_of(child).ok_or("tmux does not answer")?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(format!(
                "tmux {}: {}",
                arguments.first().unwrap_or(&""),
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }

    /// Makes a session; starts the server if it does not run. One that is just ending, as its last session was, is waited
    /// for.
    pub fn make(&self, words: &[&str]) -> Result<String, String> {
        let mut tries = 0;
        loop {
            match self.run(words) {
                Err(why) if tries < 20 && (why.contains("server exited") || why.contains("lost server")) => {
                    tries += 1
                }
                done => return done,
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The names of its sessions.
    pub fn sessions(&self) -> Vec<String> {
        let listed = self.run(&["list-sessions", "-F", "#{session_name}"]).unwrap_or_default();
        listed.lines().map(str::to_owned).collect()
    }

    /// Whether it has this session.
    pub fn has(&self, session: &str) -> bool {
        self.run(&["has-session", "-t", &format!("={session}")]).is_ok()
    }

    /// Ends a session, if there is one.
    pub fn kill(&self, session: &str) {
        let _ = self.run(&["kill-session", "-t", &format!("={session}")]);
    }

    /// Ends a session of this name on the default server, as `gt` does before it makes one on the town's.
    pub fn kill_on_default(&self, session: &str) {
        let default = self.default_beside();
        if default.socket != self.socket && default.lives() {
            default.kill(session);
        }
    }

    /// Whether the agent of a session is seen: in the pane that the session's environment names, the command, the process
    /// or one of its descendants has one of the names that it gives.
    pub fn has_agent(&self, session: &str) -> bool {
        let variable = |name: &str| {
            let line = self.run(&["show-environment", "-t", &format!("={session}"), name]).ok()?;
            Some(line.split_once('=')?.1.to_owned()).filter(|value| !value.is_empty())
        };
        let names = variable("GT_PROCESS_NAMES").unwrap_or_else(|| "node,claude".to_owned());
        let names: Vec<&str> = names.split(',').collect();
        let pane = variable("GT_PANE_ID").unwrap_or_else(|| format!("={session}:"));
        let format = "#{pane_dead} #{pane_pid} #{pane_current_command}";
        let Ok(line) = self.run(&["display-message", "-p", "-t", &pane, format]) else { return false };
        let mut words = line.splitn(3, ' ');
        let (dead, pid, command) = (words.next(), words.next(), words.next());
        if dead != Some("0") {
            return false;
        }
        let Some(pid) = pid.and_then(|pid| pid.parse().ok()) else { return false };
        command.is_some_and(|command| names.contains(&command))
            || tree(pid).into_iter().any(|pid| names.contains(&comm(pid).as_str()))
    }
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// A process with its descendants, where the system tells.
fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    found
}
