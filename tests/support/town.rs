//! A throwaway town with stand-in agents on a tmux socket of its own; everything is removed when the test ends.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use gastown_supervisor::town::dialect::{Dialect, socket::socket_name};
use serde_json::{Value, json};

use super::{
    PATIENCE, Server,
    background::{Answer, answer},
    limits::{self, LimitedCommand},
    process, standin,
    supervisor::Supervisor,
};

pub use super::limits::MARK;

/// The town, its tmux socket, its home and its `bin`.
pub struct Town {
    pub server: Server,
    root: PathBuf,
    mark: String,
    path: String,
    dialect: Dialect,
}

impl Town {
    /// A town with these rigs, quick settings, boot off, and no supervisor yet.
    pub fn new(rigs: &[&str]) -> Town {
        Town::named("town", rigs)
    }

    /// The same in a directory of this name.
    pub fn named(name: &str, rigs: &[&str]) -> Town {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let server = Server::new();
        let base = fs::canonicalize(server.dir()).unwrap();
        let bin = standin::bin_directory(&base);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mark = limits::mark(COUNT.fetch_add(1, Ordering::Relaxed));
        let town = Town { root: base.join(name), server, mark, path, dialect: Dialect::January };
        fs::create_dir_all(base.join("home")).unwrap();
        town.put("mayor/town.json", r#"{"type":"town","version":1,"name":"test"}"#);
        town.put("mayor/daemon.json", "{}");
        town.put(".beads/metadata.json", r#"{"database":"beads.db","jsonl_export":"issues.jsonl"}"#);
        town.put("demo/.keep", "");
        town.rigs(rigs);
        town.settings(json!({}));
        town
    }

    /// A town of Gas Town 1.x with these rigs and their prefixes, on the server that `gt` 1.x uses in it: the one of
    /// its name in a `TMUX_TMPDIR` of its own.
    pub fn v1(rigs: &[(&str, &str)]) -> Town {
        let names: Vec<&str> = rigs.iter().map(|(name, _)| *name).collect();
        let mut town = Town::new(&names);
        town.dialect = Dialect::V1;
        town.server.rename(&socket_name(&town.root, None));
        let metadata = include_str!("../fixtures/v1/files/beads.metadata.json");
        town.put(".beads/metadata.json", metadata);
        let entry = |(rig, prefix): &(&str, &str)| {
            ((*rig).to_owned(), json!({"git_url": "x", "beads": {"prefix": prefix}}))
        };
        let entries: serde_json::Map<String, Value> = rigs.iter().map(entry).collect();
        let route = |(path, prefix): (&str, &str)| {
            format!("{}\n", json!({"prefix": format!("{prefix}-"), "path": path}))
        };
        let routes: String = rigs.iter().copied().chain([(".", "hq")]).map(route).collect();
        town.put(".beads/routes.jsonl", routes);
        // Without an event that waits for it, no refinery is started.
        town.put("events/refinery/1.event", "{}");
        town.put("mayor/rigs.json", json!({"version": 1, "rigs": entries}).to_string());
        town.settings(json!({}));
        town
    }

    /// Runs the stand-in `gt` or `bd` in a directory of the town, as an operator would.
    pub fn standin_in(&self, directory: &str, line: &str) -> Answer {
        answer(self.standin_command(directory, line))
    }

    /// The command for that.
    pub fn standin_command(&self, directory: &str, line: &str) -> Command {
        let words = shell_words::split(line).unwrap();
        let mut command = Command::new(self.bin().join(&words[0]));
        command.args(&words[1..]).current_dir(self.path(directory)).env_clear();
        command.env("PATH", &self.path).env("SHELL", "/bin/sh").env(MARK, &self.mark);
        command.env("TMUX_TMPDIR", self.server.dir());
        command
    }

    /// The town's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// The directory with the stand-ins, first on `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.root.parent().unwrap().join("bin")
    }

    /// The path of a stand-in.
    pub fn standin(&self, name: &str) -> String {
        self.bin().join(name).display().to_string()
    }

    /// The `PATH` of the town's programs.
    pub fn search_path(&self) -> &str {
        &self.path
    }

    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Writes a file at once, as Gas Town does.
    pub fn put(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        let half = directory.join(".half-written-by-a-test");
        fs::write(&half, content).unwrap();
        fs::rename(half, path).unwrap();
    }

    /// Creates a directory with a git repository of its own and without a remote, as a polecat's must be.
    pub fn worktree(&self, path: impl AsRef<Path>) {
        let path = self.path(path);
        fs::create_dir_all(&path).unwrap();
        let mut git = Command::new("git");
        git.args(["init", "-q"]).current_dir(&path).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        assert!(git.limited_status().success(), "git init in {}", path.display());
    }

    pub fn remove(&self, path: impl AsRef<Path>) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// A file's text; empty when there is none, or it is endless.
    pub fn text(&self, path: impl AsRef<Path>) -> String {
        let path = self.path(path);
        let content = if path.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
        String::from_utf8_lossy(&content).into_owned()
    }

    pub fn json(&self, path: impl AsRef<Path>) -> Value {
        serde_json::from_str(&self.text(path)).unwrap_or(Value::Null)
    }

    pub fn mode(&self, path: impl AsRef<Path>) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }

    /// Makes these the town's rigs, with directories and a "not parked" file each.
    pub fn rigs(&self, names: &[&str]) {
        let mut rigs = serde_json::Map::new();
        for name in names {
            fs::create_dir_all(self.path(name).join("witness")).unwrap();
            fs::create_dir_all(self.path(name).join("refinery/rig")).unwrap();
            self.wisp(name, None);
            rigs.insert((*name).to_owned(), json!({"git_url": "x", "beads": {"prefix": format!("{name}-")}}));
        }
        self.put("mayor/rigs.json", json!({"version": 1, "rigs": rigs}).to_string());
    }

    /// What `gt rig park` (`Some("parked")`) and `unpark` (`None`) write.
    pub fn wisp(&self, rig: &str, status: Option<&str>) {
        let values = status.map_or(json!({}), |status| json!({"status": status}));
        let file = json!({"rig": rig, "values": values, "blocked": []});
        self.put(format!(".beads-wisp/config/{rig}.json"), file.to_string());
    }

    /// Writes the test settings with these changes.
    pub fn settings(&self, changes: Value) {
        self.put("settings/supervisor.json", self.settings_text(changes));
    }

    pub fn settings_text(&self, changes: Value) -> String {
        let mut settings = json!({
            "tmux": {"socket_path": self.server.socket()},
            "start": {"settle": "50ms", "dialog_wait": "10s"},
            "nudge": {"paste_settle": "40ms", "escape_settle": "20ms"},
            "kill": {"grace": "500ms"},
            "restart": {"confirm": "200ms"},
            "boot": {"enabled": false},
        });
        if self.dialect == Dialect::V1 {
            settings["tmux"] = json!({});
        }
        merge(&mut settings, changes);
        format!("{settings:#}")
    }

    /// Switches on only these patrols of deacon, witness and refinery.
    pub fn patrols(&self, on: &[&str]) {
        let switch = |name: &str| json!({"enabled": on.contains(&name)});
        let patrols =
            json!({"deacon": switch("deacon"), "witness": switch("witness"), "refinery": switch("refinery")});
        self.put("mayor/daemon.json", json!({"patrols": patrols}).to_string());
    }

    /// Puts a program of the test's own under this name first on `PATH`.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        let _ = fs::remove_file(&path);
        process::write_program(&path, &format!("#!/bin/sh\n{script}\n"));
    }

    /// The supervisor's command line for this town, with only the environment that the test gives.
    pub fn command(&self) -> Command {
        self.command_of(&["run"])
    }

    /// A command line of our program for this town, in the same environment.
    pub fn command_of(&self, words: &[&str]) -> Command {
        self.command_with(super::supervisor::binary(), words)
    }

    /// The same for another build of our program.
    pub fn command_with(&self, binary: impl AsRef<OsStr>, words: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(words)
            .arg("--town")
            .arg(&self.root)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.root.parent().unwrap().join("home"))
            .env("SHELL", "/bin/sh")
            .env("LC_ALL", "C.UTF-8")
            .env(MARK, &self.mark)
            .current_dir("/");
        if self.dialect == Dialect::V1 {
            command.env("TMUX_TMPDIR", self.server.dir());
        }
        command
    }

    /// Runs another of our commands for this town.
    pub fn ask(&self, arguments: &[&str]) -> Answer {
        let mut command = self.command_of(arguments);
        command.env("TZ", "UTC");
        answer(command)
    }

    /// Runs tmux as a person of this town would: a server that it starts finds the stand-ins.
    pub fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.server.socket()).args(["-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env("PATH", &self.path).env(MARK, &self.mark);
        let output = command.limited_output();
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Starts the supervisor.
    pub fn start(&self) -> Supervisor {
        Supervisor::spawn(self.command(), self.root.parent().unwrap())
    }

    /// Starts the supervisor and waits until its first heartbeat is complete.
    pub fn start_and_beat(&self) -> Supervisor {
        let beats = self.log().matches("Heartbeat complete (#1)").count();
        let supervisor = self.start();
        self.wait("the first heartbeat", || self.log().matches("Heartbeat complete (#1)").count() > beats);
        supervisor
    }

    pub fn log(&self) -> String {
        self.text("daemon/daemon.log")
    }

    /// The texts of the log's lines, without their times.
    pub fn log_texts(&self) -> Vec<String> {
        self.log().lines().map(|line| line.get(20..).unwrap_or(line).to_owned()).collect()
    }

    /// How often a line of the log contains this.
    pub fn logged(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until `holds`; fails with what did not happen and the log.
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.wait_some(what, || holds().then_some(()));
    }

    /// Waits until `look` returns an answer.
    pub fn wait_some<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        limits::poll(PATIENCE, &mut look).unwrap_or_else(|| {
            panic!(
                "{what} did not happen within {PATIENCE:?}; sessions: {:?}; the supervisor: {}; the log:\n{}",
                self.server.names(),
                self.supervisor_now(),
                self.log()
            )
        })
    }

    /// What the process that the PID file names is doing.
    fn supervisor_now(&self) -> String {
        let text = self.text("daemon/daemon.pid");
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_or_else(|_| format!("no PID in {text:?}"), process::describe)
    }

    pub fn wait_logged(&self, text: &str) {
        self.wait(&format!("the log line {text:?}"), || self.logged(text) > 0);
    }

    /// Waits for this many whole heartbeats from now.
    pub fn wait_beats(&self, count: usize) {
        // A heartbeat in progress may have probed before now.
        let complete = || self.logged("Heartbeat complete (#");
        let enough = complete() + count + 1;
        self.wait("some heartbeats", || complete() >= enough);
    }

    /// The town's agents' sessions, our own session left out.
    pub fn sessions(&self) -> Vec<String> {
        self.server.names().into_iter().filter(|name| name != "_supervisor").collect()
    }

    /// The process of the first pane of a session.
    pub fn pane(&self, session: &str) -> Option<u32> {
        let target = format!("={session}:");
        let output = self.server.run(&["-N", "list-panes", "-s", "-t", &target, "-F", "#{pane_pid}"]);
        String::from_utf8_lossy(&output.stdout).lines().next()?.parse().ok()
    }

    /// A session's id and first pane's process: what changes when it is replaced.
    pub fn incarnation(&self, session: &str) -> Option<(String, u32)> {
        let target = format!("={session}:");
        let output =
            self.server.run(&["-N", "list-panes", "-s", "-t", &target, "-F", "#{session_id} #{pane_pid}"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (id, pid) = text.lines().next()?.split_once(' ')?;
        Some((id.to_owned(), pid.parse().ok()?))
    }

    /// What an agent received, by its identity.
    pub fn received(&self, identity: &str) -> String {
        self.text(format!("demo/received-{}.log", identity.replace('/', "-")))
    }

    /// What an agent received, once it has its first instruction: a start is logged when that was typed.
    pub fn first_words(&self, identity: &str) -> String {
        let is_whole = |text: &String| {
            text.ends_with('\n')
                && text.lines().last().is_some_and(|line| line.starts_with("Run `gt prime` "))
        };
        self.wait_some(&format!("the first words of {identity}"), || {
            Some(self.received(identity)).filter(is_whole)
        })
    }

    /// How often the supervisor has finished starting this agent.
    pub fn started(&self, identity: &str) -> usize {
        self.logged(&format!(" {identity}: started in "))
    }

    /// Waits until these agents (by identity) have been started once, up to the last log line.
    pub fn wait_started(&self, identities: &[&str]) {
        for identity in identities {
            self.wait(&format!("the start of {identity}"), || self.started(identity) > 0);
        }
    }

    /// Waits until another incarnation of this session runs the stand-in named `comm`; returns its process.
    pub fn wait_replaced(&self, session: &str, before: &(String, u32)) -> u32 {
        self.wait_some(&format!("a new {session}"), || {
            self.incarnation(session).filter(|now| now != before).map(|(_, pid)| pid)
        })
    }

    /// The processes of this town that run outside its tmux server.
    pub fn stray(&self) -> Vec<(u32, Vec<String>)> {
        let mut ours = process::marked(MARK, &self.mark);
        if let Ok(server) = self.try_server_pid() {
            for pid in process::tree(server) {
                ours.remove(&pid);
            }
        }
        ours.into_iter().map(|pid| (pid, process::command_line(pid))).collect()
    }

    fn try_server_pid(&self) -> Result<u32, std::num::ParseIntError> {
        let output = self.server.run(&["-N", "display-message", "-p", "#{pid}"]);
        String::from_utf8_lossy(&output.stdout).trim().parse()
    }
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change,
    }
}
