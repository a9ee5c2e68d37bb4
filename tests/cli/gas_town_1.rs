//! A town of Gas Town 1.x from outside: its tmux server, its files, twins, and switching over from the original daemon and
//! back. The agents are there before the supervisor; nothing here starts one.
//!
//! `TMUX_TMPDIR` of every run is in the test's own directory, so that no other tmux server is ever asked.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command},
};

use gastown_supervisor::town::dialect::socket::socket_name;
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        background::{Answer, answer},
        limits::{LimitedCommand, kill_and_wait},
        supervisor::Supervisor,
        town::{MARK, Town},
    },
};

/// The agents of the recorded town, by session: identity and directory.
const AGENTS: [(&str, &str, &str); 6] = [
    ("al-refinery", "alpha/refinery", "alpha/refinery/rig"),
    ("al-witness", "alpha/witness", "alpha/witness"),
    ("be-refinery", "beta/refinery", "beta/refinery/rig"),
    ("be-witness", "beta/witness", "beta/witness"),
    ("hq-deacon", "deacon", "deacon"),
    ("hq-mayor", "mayor", "mayor"),
];

/// The town, with the directory of its tmux sockets.
struct V1 {
    town: Town,
}

impl V1 {
    /// The recorded town, without agents and without settings of ours that name a server.
    fn new() -> V1 {
        let it = V1 { town: Town::new(&["alpha", "beta"]) };
        fs::create_dir_all(it.sockets()).unwrap();
        fs::set_permissions(it.sockets(), fs::Permissions::from_mode(0o700)).unwrap();
        for (_, _, directory) in AGENTS {
            fs::create_dir_all(it.town.path(directory)).unwrap();
        }
        it.town.put(".beads/metadata.json", include_str!("../fixtures/v1/files/beads.metadata.json"));
        it.town.put("mayor/rigs.json", include_str!("../fixtures/v1/files/mayor.rigs.json"));
        it.town.put("mayor/daemon.json", include_str!("../fixtures/v1/files/mayor.daemon.json"));
        let settings = json!({"boot": {"enabled": false}, "heartbeat": {"interval": "1s"}});
        it.town.put("settings/supervisor.json", settings.to_string());
        it.town.program(
            "gt",
            "case \"$*\" in\n'version --short') echo 1.0.1-dev ;;\nversion) echo 'gt version 1.0.1 (dev)' ;;\n\
             down) sleep 600 ;;\n*) echo '[]' ;;\nesac",
        );
        it.town.program("bd", "[ \"$*\" = version ] && echo 'bd version 1.0.2' || echo '[]'");
        it
    }

    fn tmpdir(&self) -> PathBuf {
        self.town.server.dir().join("tmux")
    }

    fn sockets(&self) -> PathBuf {
        self.tmpdir().join(format!("tmux-{}", rustix::process::getuid().as_raw()))
    }

    /// The name of the server that `gt` uses when the town is named by its real path.
    fn server(&self) -> String {
        socket_name(self.town.root(), None)
    }

    fn tmux(&self, server: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.sockets().join(server)).args(["-f", "/dev/null"]).args(arguments);
        command.env_remove("TMUX").env("PATH", self.town.search_path()).env(MARK, self.town.mark());
        String::from_utf8_lossy(&command.limited_output().stdout).trim_end().to_owned()
    }

    /// Starts a stand-in agent on a server, as one of this town or of another.
    fn agent(&self, server: &str, (session, identity, directory): (&str, &str, &str), town: &Path) {
        let (root, actor) = (format!("GT_ROOT={}", town.display()), format!("BD_ACTOR={identity}"));
        let within = self.town.path(directory).display().to_string();
        let within = if town == self.town.root() { within } else { "/tmp".to_owned() };
        let words = [
            "new-session",
            "-d",
            "-s",
            session,
            "-c",
            &within,
            "-e",
            &root,
            "-e",
            &actor,
            &self.town.standin("claude"),
        ];
        self.tmux(server, &words);
        assert!(self.sessions(server).contains(session), "{session}");
    }

    fn agents(&self, server: &str) {
        for agent in AGENTS {
            self.agent(server, agent, self.town.root());
        }
    }

    /// The sessions of a server, each with its id and the process of its pane.
    fn sessions(&self, server: &str) -> String {
        let listed =
            self.tmux(server, &["-N", "list-panes", "-a", "-F", "#{session_name} #{session_id} #{pane_pid}"]);
        listed.lines().filter(|line| !line.starts_with("_supervisor ")).collect::<Vec<_>>().join("\n")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.town.command_of(words);
        command.env("TMUX_TMPDIR", self.tmpdir()).env("TZ", "UTC");
        command
    }

    fn ask(&self, words: &[&str]) -> Answer {
        answer(self.command(words))
    }

    fn start(&self) -> Supervisor {
        let beats = self.town.logged("Heartbeat complete (#1)");
        let supervisor = Supervisor::spawn(self.command(&["run"]), self.town.server.dir());
        self.town.wait("the first heartbeat", || self.town.logged("Heartbeat complete (#1)") > beats);
        supervisor
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--json"]).stdout).unwrap_or(Value::Null)
    }

    fn agent_report(&self, agent: &str) -> Value {
        let status = self.report();
        let agents = status["agents"].as_array().cloned().unwrap_or_default();
        agents.into_iter().find(|it| it["identity"] == agent).unwrap_or_default()
    }

    fn reason_code(&self, agent: &str) -> Value {
        self.agent_report(agent)["reason_code"].clone()
    }

    /// The problems that contain this text.
    fn problems(&self, text: &str) -> Vec<String> {
        let problems = self.report()["problems"].as_object().cloned().unwrap_or_default();
        let texts = problems.into_iter().filter_map(|(_, problem)| problem.as_str().map(str::to_owned));
        texts.filter(|problem| problem.contains(text)).collect()
    }
}

impl Drop for V1 {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.sockets()).into_iter().flatten().flatten() {
            self.tmux(&entry.file_name().to_string_lossy(), &["-N", "kill-server"]);
        }
    }
}

/// What belongs to the Dolt server, and is never touched.
const DOLT: [(&str, &str); 4] = [
    ("daemon/dolt.pid", "28596"),
    ("daemon/dolt-state.json", include_str!("../fixtures/v1/files/daemon.dolt-state.json")),
    ("daemon/dolt.log", "Server ready. Accepting connections.\n"),
    ("daemon/DOLT_UNHEALTHY", "2026-11-28T16:33:01Z"),
];

#[test]
fn from_the_original_daemon_and_back_no_agent_is_restarted() {
    let _among = among_others();
    let it = V1::new();
    let (town, server) = (&it.town, it.server());
    it.agents(&server);
    let before = it.sessions(&server);
    // As the original leaves them when it was killed.
    town.put("daemon/daemon.pid", "4194303\n470d9f1c7669584a");
    town.put("daemon/state.json", include_str!("../fixtures/v1/files/daemon.state.json"));
    town.put("daemon/restart_state.json", include_str!("../fixtures/v1/files/daemon.restart_state.json"));
    DOLT.iter().for_each(|(path, content)| town.put(path, content));

    let mut supervisor = it.start();
    for agent in ["deacon", "alpha/witness", "alpha/refinery", "beta/witness", "beta/refinery"] {
        town.wait_logged(&format!(" {agent}: already running, adopted"));
    }
    town.wait_beats(2);
    assert_eq!(it.sessions(&server), before);
    assert_eq!(town.text("daemon/daemon.pid"), supervisor.pid().to_string());
    assert_eq!(town.json("daemon/state.json")["running"], true);
    let status = it.ask(&["status"]).stdout;
    assert!(status.contains(" (Gas Town 1.x): running (PID "), "{status}");
    assert_eq!(it.report()["events_written"], 0);

    supervisor.stop(Signal::TERM);
    assert_eq!(it.sessions(&server), before, "every agent runs on");
    assert!(!it.tmux(&server, &["-N", "list-sessions"]).contains("_supervisor"), "nothing of ours stays");
    // What the original reads at its start.
    assert!(!town.path("daemon/daemon.pid").exists());
    let lock = fs::File::open(town.path("daemon/daemon.lock")).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let state = town.json("daemon/state.json");
    assert_eq!((&state["running"], state["pid"].is_u64()), (&json!(false), true), "{state}");
    for time in ["started_at", "last_heartbeat"] {
        assert!(state[time].as_str().unwrap().ends_with('Z'), "{state}");
    }
    let restarts = town.json("daemon/restart_state.json");
    let furiosa = &restarts["agents"]["alpha/polecats/furiosa"];
    assert_eq!(furiosa["restart_count"], 1, "{restarts}");
    for (path, content) in DOLT {
        assert_eq!(town.text(path), content, "{path}");
    }
    assert_eq!(town.text(".events.jsonl"), "", "nothing woke the agents");

    // The original runs: it holds the lock, and its PID file has two lines.
    town.put("daemon/daemon.pid", format!("{}\n470d9f1c7669584a", std::process::id()));
    let refused = it.ask(&["run"]);
    assert!(
        refused.stderr.contains(&format!("already running (PID {})", std::process::id())),
        "{}",
        refused.stderr
    );
    assert_eq!(it.sessions(&server), before);
}

#[test]
fn twins_are_refused() {
    let _among = among_others();
    let it = V1::new();
    let server = it.server();
    let deacon = AGENTS[4];
    it.agents(&server);
    let before = it.sessions(&server);
    // Another town's, of the same name, is none of ours.
    it.agent("theirs", deacon, Path::new("/nowhere/town"));
    for (elsewhere, session, told) in [
        ("default", "hq-deacon", "agents of this town run on "),
        (&*server, "gt-alpha-witness", "sessions are named by scheme \"rig\""),
    ] {
        it.agent(elsewhere, (session, deacon.1, deacon.2), it.town.root());
        let refused = it.ask(&["run"]);
        assert!(refused.stderr.contains(told) && refused.stderr.contains(session), "{}", refused.stderr);
        let background = it.ask(&["start"]);
        assert!(background.code == Some(1) && background.stderr.contains(told), "{background:?}");
        let line = format!("): {told}");
        assert!(it.town.logged(&line) >= 2, "{}", it.town.log());
        assert!(!it.town.path("daemon/daemon.pid").exists(), "it is gone");
        let doctor = it.ask(&["doctor"]);
        assert!(doctor.stdout.contains(told), "{}", doctor.stdout);
        it.tmux(elsewhere, &["-N", "kill-session", "-t", &format!("={session}:")]);
        assert_eq!(it.sessions(&server), before, "nothing was started or ended");
    }
    let mut supervisor = it.start();
    it.town.wait_logged(" deacon: already running, adopted");
    assert_eq!(it.sessions(&server), before);
    // A twin that appears later is reported, and does not cost the town its supervisor.
    it.agent("default", deacon, it.town.root());
    let refused = it.ask(&["restart"]);
    assert!(
        refused.stderr.contains("nothing was restarted") && refused.stderr.contains("hq-deacon"),
        "{refused:?}"
    );
    assert!(supervisor.runs());
}

#[test]
fn the_server_of_a_town_that_gt_knows_by_a_link() {
    let _among = among_others();
    let it = V1::new();
    let hash = it.server().rsplit('-').next().unwrap().to_owned();
    let [link, other] = ["link", "other"].map(|name| format!("{name}-{hash}"));
    symlink(it.town.root(), it.town.server.dir().join("link")).unwrap();
    it.agents(&link);
    let before = it.sessions(&link);
    it.tmux(&other, &["new-session", "-d", "-s", "mine", "exec sleep 600"]);
    let refused = it.ask(&["run"]);
    assert!(
        refused.stderr.contains(&format!("several tmux servers: {link}, {other};")),
        "{}",
        refused.stderr
    );
    it.tmux(&other, &["-N", "kill-server"]);
    let _ = fs::remove_file(it.sockets().join(&other));
    let _supervisor = it.start();
    it.town.wait_logged(" deacon: already running, adopted");
    assert_eq!(it.sessions(&link), before);
    assert!(!it.sockets().join(it.server()).exists(), "no second server");
}

/// A `gt down` that does not end.
struct Down(Child);

impl Drop for Down {
    fn drop(&mut self) {
        kill_and_wait(&mut self.0);
    }
}

#[test]
fn a_gt_down_at_work_and_the_file_that_a_killed_one_leaves() {
    let _among = among_others();
    let it = V1::new();
    let mut down = Command::new(it.town.standin("gt"));
    let down = Down(down.arg("down").env(MARK, it.town.mark()).spawn().unwrap());
    it.town.put("daemon/shutting-down", down.0.id().to_string());
    let _supervisor = it.start();
    it.town.wait_logged("deacon: not running, not started: gt down is taking the town down");
    let doctor = || it.ask(&["doctor"]).stdout;
    assert!(doctor().contains(", which runs: the town is being taken down"), "{}", doctor());
    assert_eq!(it.reason_code("alpha/witness"), "town_shutdown");
    drop(down);
    it.town.wait("the end of the obstacle", || it.reason_code("alpha/witness") != "town_shutdown");
    assert!(doctor().contains("and no gt has that PID: it does not count"), "{}", doctor());
    it.town.put("daemon/shutting-down", "soon");
    let unknown = "daemon/shutting-down cannot be examined: it does not contain a process id";
    it.town.wait("the problem", || it.problems(unknown).len() == 1);
    let [problem] = &it.problems(unknown)[..] else { panic!("one problem") };
    assert!(problem.ends_with(": remove it if no `gt down` runs"), "{problem}");
}

#[test]
fn what_does_not_run_is_paused_while_nobody_knows_whether_it_may_be_started() {
    let _among = among_others();
    let it = V1::new();
    it.town.put("daemon/shutting-down", "soon");
    let _supervisor = it.start();
    for agent in ["alpha/witness", "alpha/refinery", "deacon"] {
        it.town.wait("the state", || it.agent_report(agent)["state"] == "paused");
    }
}

#[test]
fn events_that_cannot_be_listed_and_a_directory_named_like_one() {
    let _among = among_others();
    let it = V1::new();
    it.town.put("events/refinery", "");
    let _supervisor = it.start();
    let unlisted = "events/refinery cannot be listed: ";
    it.town.wait("the problem", || it.problems(unlisted).len() == 1);
    it.town.remove("events/refinery");
    fs::create_dir_all(it.town.path("events/refinery/old.event")).unwrap();
    it.town.wait("the end of the problem", || it.problems(unlisted).is_empty());
    it.town.wait("no event", || it.reason_code("alpha/refinery") == "no_pending_events");
}

#[test]
fn doctor_sees_what_the_running_supervisor_uses_and_who_was_renamed() {
    let _among = among_others();
    let it = V1::new();
    let server = it.server();
    it.agents(&server);
    let _supervisor = it.start();
    it.town.wait_logged(" mayor: already running, adopted");
    let own = it.sockets().join(&server).display().to_string();
    assert_eq!(it.report()["tmux_socket"], json!(own));
    it.tmux(&server, &["-N", "rename-session", "-t", "=hq-mayor:", "night"]);
    it.town.put("alpha/roles/witness.toml", "[session]\nwork_dir = 7\n");
    let elsewhere = it.town.server.dir().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let mut command = it.command(&["doctor"]);
    command.env("TMUX_TMPDIR", &elsewhere);
    let doctor = answer(command).stdout;
    for told in [
        format!("the running supervisor uses the tmux server on {own}, this shell {}", elsewhere.display()),
        "set TMUX_TMPDIR here as it is for the supervisor".to_owned(),
        format!("the server on {own} answers: "),
        "session night is mayor under another name: the supervisor looks for hq-mayor".to_owned(),
        "rename it: `tmux rename-session -t '=night:' hq-mayor`".to_owned(),
        "alpha/roles/witness.toml:2:12: invalid type: integer `7`, expected a string".to_owned(),
    ] {
        assert!(doctor.contains(&told), "{told}: {doctor}");
    }
    let doctor = it.ask(&["doctor"]).stdout;
    assert!(!doctor.contains(", this shell ") && doctor.contains("session night is mayor"), "{doctor}");
}

#[test]
fn status_and_doctor_fit_into_a_terminal() {
    let _among = among_others();
    let it = V1::new();
    it.agents(&it.server());
    let _supervisor = it.start();
    it.town.put("daemon/shutting-down", "soon");
    it.town.wait("a problem", || !it.problems("shutting-down").is_empty());
    let (program, root) = (crate::support::supervisor::binary(), it.town.root());
    for width in [60, 80, 200] {
        let columns = width.to_string();
        for words in ["status", "doctor", "--help", "status --help"] {
            let session = format!("{} in {width}", words.replace("--", ""));
            let town = if words.contains("help") { "".into() } else { format!("--town {}", root.display()) };
            let line = format!("{program} {words} {town}; echo over; sleep 600");
            let screen = ["new-session", "-d", "-s", &session, "-x", &columns, "-y", "120", &line];
            it.tmux("screens", &screen);
            // Lines that the terminal had to break are one line here.
            let shown =
                || it.tmux("screens", &["-N", "capture-pane", "-p", "-J", "-t", &format!("={session}:")]);
            it.town.wait("its output", || shown().lines().any(|line| line == "over"));
            let shown = shown();
            for line in shown.lines().map(str::trim_end) {
                // What cannot be broken: a path, or an example.
                let breakable = line.trim_start().contains(' ') && !line.contains("jq '");
                assert!(!breakable || line.chars().count() <= width, "{words} in {width}: {line}\n{shown}");
            }
        }
    }
}

#[test]
fn the_copy_of_the_list_of_rigs_and_disabled_patrols() {
    let _among = among_others();
    let it = V1::new();
    let server = it.server();
    it.agents(&server);
    it.town.put("rigs.json", it.town.text("mayor/rigs.json"));
    it.town.remove("mayor/rigs.json");
    let _supervisor = it.start();
    it.town.wait_logged(" beta/refinery: already running, adopted");
    let status = it.ask(&["status"]).stdout;
    assert!(status.contains("mayor/rigs.json is missing: its copy rigs.json is used"), "{status}");
    it.town.put("settings/config.json", r#"{"disabled_patrols":["witness"]}"#);
    let off = "the witness patrol is in disabled_patrols of settings/config.json";
    it.town.wait_logged("Settings changed, in force now");
    it.tmux(&server, &["-N", "kill-session", "-t", "=be-witness:"]);
    it.town.wait("the switch", || it.ask(&["status"]).stdout.contains(off));
    assert_eq!(it.reason_code("beta/witness"), "patrol_off");
    it.town.put("settings/config.json", r#"{"disabled_patrols":["#);
    let told = "settings/config.json:1:21: ";
    it.town.wait("the problem", || it.ask(&["status"]).stdout.contains(told));
    assert_eq!(it.reason_code("beta/witness"), "patrol_off", "the last good one stays in force");
    // A probe reads it, too.
    it.town.wait_beats(2);
    assert_eq!(it.problems("settings/config.json:").len(), 1, "{:?}", it.problems(""));
    it.town.put("settings/config.json", "{\"scheduler\":{\"max_polecats\": \"3\"}}");
    let told = "settings/config.json:1:31: scheduler.max_polecats: expected a whole number, found \"3\"";
    it.town.wait("the next one", || it.problems(told).len() == 1);
    assert_eq!(it.problems("settings/config.json:").len(), 1, "{:?}", it.problems(""));
    it.town.put("settings/config.json", r#"{"disabled_patrols":["#);
    it.town.wait("only the last", || it.problems(told).is_empty());
    let doctor = it.ask(&["doctor"]).stdout;
    assert!(doctor.contains("dolt_backup: no backups of the Dolt databases; `bd backup`"), "{doctor}");
}
