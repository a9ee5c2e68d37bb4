//! `doctor`: what it finds, that it ends in time, and that it changes nothing.
//!
//! `TMUX_TMPDIR` of every run is in the test's own directory, so that no other tmux server is ever queried.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{limits::LimitedCommand, supervisor::binary, town::Town},
};

/// A town as it should be, with the directory for tmux's sockets.
pub fn town(rigs: &[&str]) -> Town {
    let town = Town::new(rigs);
    fs::create_dir_all(sockets(&town)).unwrap();
    fs::set_permissions(sockets(&town), fs::Permissions::from_mode(0o700)).unwrap();
    // Not the stand-ins, which note in the town what they are asked.
    town.program("gt", "[ \"$*\" = version ] && echo 'gt version 0.2.6' || echo null");
    town.program("bd", "[ \"$*\" = version ] && echo 'bd version 0.47.2' || echo '[]'");
    town
}

fn tmpdir(town: &Town) -> PathBuf {
    town.root().parent().unwrap().join("tmux")
}

/// Where tmux has the sockets it knows by name.
fn sockets(town: &Town) -> PathBuf {
    tmpdir(town).join(format!("tmux-{}", rustix::process::getuid().as_raw()))
}

pub fn doctor(town: &Town, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["doctor", "--town"])
        .arg(town.root())
        .args(arguments)
        .env_clear()
        .env("PATH", town.search_path())
        .env("HOME", town.root().parent().unwrap().join("home"))
        .env("TMUX_TMPDIR", tmpdir(town))
        .current_dir("/");
    command
}

/// What it found, as JSON, and its exit code.
pub fn examine(town: &Town) -> (Value, i32) {
    outcome(doctor(town, &["--json"]).limited_output())
}

pub fn outcome(output: Output) -> (Value, i32) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "", "nothing on standard error");
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code().unwrap())
}

/// The findings of this severity: area and text.
pub fn found(report: &Value, severity: &str) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| (text(finding, "area"), text(finding, "what")))
        .collect()
}

/// Everything below a directory: mode, owner, size, time of change and content of each file; of `daemon/`, in which the disk is
/// tried, no time.
fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let data = fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = if data.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let times = match path.ends_with("daemon") {
            true => (0, 0, 0),
            false => (data.mtime_nsec(), data.ctime(), data.ctime_nsec()),
        };
        seen.insert(path, format!("{:o} {} {times:?} {content:?}", data.mode(), data.ino()));
    }
    seen
}

/// The paths at which two listings differ.
fn changed(one: &BTreeMap<PathBuf, String>, other: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    one.keys().chain(other.keys()).filter(|path| one.get(*path) != other.get(*path)).cloned().collect()
}

#[test]
fn a_well_town_that_is_not_supervised() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let before = listing(town.root().parent().unwrap());
    let (report, code) = examine(&town);
    assert_eq!((code, &report["ok"]), (0, &json!(true)), "{report:#}");
    assert_eq!(report["town"], json!(town.root()));
    assert_eq!(found(&report, "wrong"), []);
    let notes: Vec<_> = found(&report, "note").into_iter().map(|(area, _)| area).collect();
    assert_eq!(notes, ["supervisor", "tmux"], "stopped, and no server yet: {report:#}");
    assert!(!town.server.runs() && !town.path("daemon").exists(), "nothing was started or made");
    assert_eq!(changed(&before, &listing(town.root().parent().unwrap())), Vec::<PathBuf>::new());
}

#[test]
fn a_well_town_that_is_supervised() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let mut supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    town.wait("the state", || town.json("daemon/state.json")["heartbeat_count"] == 1);
    let keys = || (town.tmux(&["list-keys"]), town.tmux(&["list-clients"]), town.server.names());
    let (before, incarnation) = (keys(), town.incarnation("hq-deacon"));
    let (report, code) = examine(&town);
    assert_eq!((code, found(&report, "wrong")), (0, vec![]), "{report:#}");
    assert_eq!(found(&report, "note"), [], "{report:#}");
    let well = found(&report, "ok");
    let told = |area: &str, text: &str| well.iter().any(|(of, what)| of == area && what.contains(text));
    assert!(told("supervisor", &format!("a supervisor runs: PID {} (", supervisor.pid())), "{well:#?}");
    assert!(told("tmux", "answers: 4 sessions, 3 agents") && told("tmux", "control mode works"), "{well:#?}");
    assert!(told("sockets", "no agent of this town on another tmux server (0 checked)"), "{well:#?}");
    assert!(told("tools", "bd version 0.47.2 (/") && told("tools", "gt version 0.2.6 (/"), "{well:#?}");
    assert!(told("tools", "the running supervisor and this shell find the same programs"), "{well:#?}");
    assert_eq!(keys(), before, "no session, client or key binding was made");
    assert_eq!(town.incarnation("hq-deacon"), incarnation);
    assert!(supervisor.runs() && !supervisor.stderr().contains("panicked"));
    // Nobody meant it to end. What it leaves behind is no fault.
    supervisor.stop(Signal::KILL);
    let left = listing(&town.path("daemon"));
    let (report, code) = examine(&town);
    let wrong = found(&report, "wrong");
    assert!(code == 1 && wrong.len() == 1 && wrong[0].1.ends_with("the last one was killed"), "{report:#}");
    let notes: Vec<_> = found(&report, "note").into_iter().map(|(_, what)| what).collect();
    assert_eq!(
        notes.iter().filter(|what| what.contains("no process holds the lock")).count(),
        2,
        "{notes:#?}"
    );
    assert_eq!(changed(&left, &listing(&town.path("daemon"))), Vec::<PathBuf>::new(), "left as they are");
}

#[test]
fn every_kind_of_broken_file_is_reported_with_its_position_and_stays() {
    let _among = among_others();
    let half = "{\"a\": {\n  \"b";
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, usize, usize, &str)] = &[
        // path                              content                                       severity  line column  reason
        ("mayor/rigs.json",                  "{\"rigs\":\n {\"alpha\": 7}}",               "wrong", 2, 12, "rigs.alpha: invalid type"),
        ("mayor/daemon.json",                "{\"heartbeat\":\n {\"interval\": \"soon\"}}", "wrong", 2, 15, "heartbeat.interval: "),
        ("settings/supervisor.json",         "{\n  \"hartbeat\": {}}",                     "wrong", 2, 3,  "hartbeat: unknown key"),
        ("settings/config.json",             "{\"agents\":\n {\"a\": {\"args\": 1}}}",     "wrong", 2, 17, "agents.a.args: invalid type"),
        ("settings/agents.json",             half,                                         "wrong", 2, 4,  "EOF while parsing"),
        ("alpha/settings/config.json",       "{\"runtime\":\n []}",                        "wrong", 2, 2,  "runtime: an agent must be an object"),
        ("alpha/settings/agents.json",       "[]",                                         "wrong", 1, 1,  "invalid type"),
        ("alpha/config.json",                "{\n\"default_branch\": 7}",                  "wrong", 2, 19, "default_branch: invalid type"),
        ("alpha/.runtime/witness.json",      half,                                         "wrong", 2, 4,  "EOF while parsing"),
        ("alpha/.runtime/refinery.json",     "{\"state\":\n\n7}",                          "wrong", 3, 1,  "state: invalid type"),
        (".beads-wisp/config/alpha.json",    "{\"values\": \n[]}",                         "wrong", 2, 0,  "values: invalid type"),
        (".beads/routes.jsonl",              "# x\n{\"prefix\":\"a-\",\"path\":\"alpha\"}\n{\"prefix\": 7}", "wrong", 3, 12, "invalid type"),
        ("deacon/heartbeat.json",            "{\n\"timestamp\": \"noon\"}",                "wrong", 2, 20, "timestamp: "),
        (".runtime/deacon/paused.json",      "{\"paused\":\n\"yes\"}",                     "wrong", 2, 5,  "paused: invalid type"),
        ("deacon/dogs/boot/.boot-status.json", half,                                       "wrong", 2, 4,  "EOF while parsing"),
        ("daemon/state.json",                "{\"running\": tr",                           "wrong", 1, 14, "running: EOF"),
        ("daemon/restart_state.json",        "{\"agents\":\n{\"deacon\": 7}}",             "wrong", 2, 12, "agents.deacon: invalid type"),
        ("daemon/supervisor/holds.json",     half,                                         "wrong", 2, 4,  "EOF while parsing"),
        ("daemon/supervisor/waits.json",     half,                                         "wrong", 2, 4,  "EOF while parsing"),
        ("daemon/supervisor/claims.json",    "{\"requests\":\n 7}",                        "wrong", 2, 2,  "requests: invalid type"),
        ("daemon/supervisor/incidents.json", "[]",                                         "wrong", 1, 1,  "expected an object"),
        ("daemon/supervisor/history.json", half,                                         "wrong", 2, 4,  "EOF while parsing"),
        ("daemon/supervisor/feed.json",      "",                                           "wrong", 1, 1,  "it is empty"),
        ("daemon/supervisor/role_beads.json", "\u{feff}{}",                                "wrong", 1, 1,  "byte order mark"),
        ("mayor/town.json",                  "nonsense",                                   "wrong", 1, 1,  "expected an object"),
        ("deacon/.runtime/session_id",       "two words",                                  "note",  1, 1,  "its first line is not a conversation id"),
        (".events.jsonl",                    "{\"ts\":\"2026-01-16T12:00:00Z\",\"type\":\"x\"}\n{\"ts\": tr\n", "note", 2, 9, "EOF while parsing"),
        (".feed.jsonl",                      "\n7\n",                                      "note",  2, 1,  "invalid type"),
    ];
    let one = town(&["alpha"]);
    let problem = |report: &Value, path: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|it| it["path"] == path && it["area"] == "files").cloned()
    };
    for (path, content, severity, line, column, reason) in cases {
        let good = fs::read(one.path(path)).ok();
        one.put(path, content);
        let before = listing(one.root());
        let (report, code) = examine(&one);
        assert_eq!(
            changed(&before, &listing(one.root())),
            Vec::<PathBuf>::new(),
            "{path}: it stays as it is"
        );
        let finding = problem(&report, path).unwrap_or_else(|| panic!("{path}: {report:#}"));
        assert_eq!(finding["severity"], *severity, "{path}: {finding}");
        assert_eq!(code, i32::from(*severity == "wrong"), "{path}");
        let place = |key: &str| finding[key].as_u64().unwrap();
        assert_eq!((place("line"), place("column")), (*line as u64, *column as u64), "{path}: {finding}");
        let what = finding["what"].as_str().unwrap();
        assert!(
            what.starts_with(&format!("{path}:{line}:{column}: {reason}")) || what.contains(reason),
            "{path}: {what}"
        );
        assert!(!finding["hint"].as_str().unwrap().is_empty(), "{path}: {finding}");
        assert_eq!(found(&report, "wrong").len(), usize::from(code == 1), "{path}: nothing else: {report:#}");
        match good {
            Some(good) => one.put(path, good),
            None => one.remove(path),
        }
    }
    // A pipe and a directory in a file's place are not waited for.
    for path in ["deacon/heartbeat.json", ".events.jsonl", "settings/supervisor.json", "mayor/rigs.json"] {
        let town = town(&["alpha"]);
        let _ = fs::remove_file(town.path(path));
        fs::create_dir_all(town.path(path).parent().unwrap()).unwrap();
        let pipe = town.path(path);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let (report, code) = examine(&town);
        let finding = problem(&report, path).unwrap_or_else(|| panic!("{path}: {report:#}"));
        assert_eq!((code, &finding["severity"]), (1, &json!("wrong")), "{finding}");
        assert!(
            finding["what"].as_str().unwrap().contains("cannot be read: it is a named pipe, not a file"),
            "{finding}"
        );
    }
}

#[test]
fn names_that_cannot_be_supervised() {
    let _among = among_others();
    let town = town(&["alpha", "a.b", "a_b"]);
    let mut rigs = town.json("mayor/rigs.json");
    rigs["rigs"]["../evil"] = json!({});
    town.put("mayor/rigs.json", format!("{rigs:#}"));
    for name in ["witness", "good", "bad name"] {
        fs::create_dir_all(town.path("alpha/polecats").join(name)).unwrap();
    }
    let (report, code) = examine(&town);
    let wrong = found(&report, "wrong");
    assert_eq!(code, 1);
    for (area, told) in [
        ("files", "rig name \"../evil\" is not usable"),
        ("files", "rig a.b: another rig's agents would have the same session names"),
        ("files", "rig a_b: another rig's agents would have the same session names"),
        (
            "agents",
            "two agents would have session gt-alpha-witness: alpha/witness and alpha/polecats/witness",
        ),
        ("agents", "alpha/polecats: agent name \"bad name\" is not usable"),
    ] {
        let here = |(of, what): &&(String, String)| of == area && what.contains(told);
        assert_eq!(wrong.iter().filter(here).count(), 1, "{told}: {wrong:#?}");
    }
    assert_eq!(wrong.len(), 5, "{wrong:#?}");
    let evil =
        report["findings"].as_array().unwrap().iter().find(|it| it["what"].to_string().contains("evil"));
    assert!(evil.unwrap()["line"].as_u64().unwrap() > 1, "{evil:?}");
}

#[test]
fn tools_that_are_missing_hang_or_fail() {
    let _alone = alone();
    let town = town(&["alpha"]);
    town.settings(json!({"commands": {"gt": "no-such-gt"}}));
    town.program("bd", "exec sleep 600");
    town.program("git", "echo broken >&2; exit 4");
    town.put("settings/config.json", r#"{"role_agents":{"witness":"nobody"},"default_agent":"amp"}"#);
    let began = Instant::now();
    let (report, code) = examine(&town);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(code, 1);
    let wrong = found(&report, "wrong");
    let told =
        |all: &[(String, String)], text: &str| all.iter().filter(|(_, what)| what.contains(text)).count();
    assert_eq!(told(&wrong, "no-such-gt is not installed or not on PATH: no mail is read"), 1, "{wrong:#?}");
    assert_eq!(told(&wrong, "hangs: `bd version` did not end within 3s"), 1, "{wrong:#?}");
    assert_eq!(told(&wrong, "git (") + told(&wrong, "exit code 4"), 2, "{wrong:#?}");
    assert_eq!(
        told(&wrong, "broken: polecats are not started, and worktrees are not updated"),
        1,
        "{wrong:#?}"
    );
    assert_eq!(told(&wrong, "cannot be started: amp, which is not on PATH"), 1, "{wrong:#?}");
    assert_eq!(
        told(&wrong, "alpha/witness: settings/config.json: role_agents.witness names \"nobody\""),
        1,
        "{wrong:#?}"
    );
    assert_eq!(town.stray(), [], "what hung was ended");
    // Without tmux nothing is known of its servers, and nothing is made up.
    let mut command = doctor(&town, &["--json"]);
    let (report, code) = outcome(command.env("PATH", town.bin()).limited_output());
    assert_eq!(code, 1);
    assert_eq!(
        told(&found(&report, "wrong"), "tmux is not installed or not on PATH: no agent can be seen"),
        1,
        "{report:#}"
    );
    assert_eq!(told(&found(&report, "note"), "the tmux servers could not be checked"), 1, "{report:#}");
}

#[test]
fn a_tmux_server_that_does_not_answer() {
    let _alone = alone();
    let town = town(&["alpha"]);
    town.program("tmux", "[ \"$1\" = -V ] && echo tmux 3.3a || exec sleep 600");
    let began = Instant::now();
    let (report, code) = examine(&town);
    assert!(began.elapsed() < Duration::from_secs(8));
    assert_eq!(code, 1);
    let wrong = found(&report, "wrong");
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].1.ends_with("did not answer within 2s"), "{wrong:#?}");
    assert_eq!(town.stray(), []);
}

#[test]
fn agents_on_another_tmux_server() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let other = Other::new(&town, "split");
    let (root, stranger) = (format!("GT_ROOT={}", town.root().display()), "GT_ROOT=/another/town");
    other.run(&["new-session", "-d", "-s", "hq-deacon", "-c", "/", "-e", &root, "exec sleep 600"]);
    other.run(&["new-session", "-d", "-s", "alpha-refinery", "-c", "/", "-e", &root, "exec sleep 600"]);
    other.run(&["new-session", "-d", "-s", "hq-mayor", "-c", "/", "-e", stranger, "exec sleep 600"]);
    other.run(&["new-session", "-d", "-s", "gt-alpha-witness", "-c", "/", "exec sleep 600"]);
    let sessions =
        || other.run(&["list-sessions", "-F", "#{session_id} #{session_name} #{session_activity}"]);
    let before = (sessions(), listing(&tmpdir(&town)));
    let (report, code) = examine(&town);
    assert_eq!(code, 1);
    let socket = fs::canonicalize(sockets(&town)).unwrap().join("split").display().to_string();
    let used = town.server.socket().display().to_string();
    assert_eq!(
        found(&report, "wrong"),
        [(
            "sockets".to_owned(),
            format!(
                "agents of this town run on {socket}, but the supervisor uses {used}: alpha-refinery, hq-deacon"
            )
        )],
        "{report:#}"
    );
    let finding = report["findings"].as_array().unwrap().iter().find(|it| it["severity"] == "wrong").unwrap();
    assert!(finding["hint"].as_str().unwrap().contains("set tmux.socket_name to \"split\""), "{finding}");
    let unknown = format!(
        "sessions named like this town's agents run on {socket}; their town is not known: gt-alpha-witness"
    );
    assert!(found(&report, "note").contains(&("sockets".to_owned(), unknown)), "{report:#}");
    assert_eq!((sessions(), listing(&tmpdir(&town))), before);
    assert!(!town.server.runs(), "the supervisor's own server was not started");
    // The setting it names makes it well, and GT_TMUX_SOCKET does without it.
    town.put("settings/supervisor.json", r#"{"tmux": {"naming": "rig"}}"#);
    let (report, _) = outcome(doctor(&town, &["--json"]).env("GT_TMUX_SOCKET", "split").limited_output());
    let wrong = found(&report, "wrong");
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert_eq!(
        wrong[0].1,
        "sessions are named by scheme \"prefix\", but tmux.naming is \"rig\": alpha-refinery"
    );
    town.put("settings/supervisor.json", r#"{"tmux": {"socket_name": "split", "naming": "prefix"}}"#);
    let (report, code) = examine(&town);
    assert_eq!((code, found(&report, "wrong")), (0, vec![]), "{report:#}");
}

/// A second server, by its name in the test's own directory of sockets; ended with the test.
struct Other<'a> {
    town: &'a Town,
    name: &'static str,
}

impl<'a> Other<'a> {
    fn new(town: &'a Town, name: &'static str) -> Self {
        Other { town, name }
    }

    fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", self.name, "-f", "/dev/null"]).args(arguments);
        command
            .env_remove("TMUX")
            .env_remove("GT_ROOT")
            .env("TMUX_TMPDIR", tmpdir(self.town))
            .limited_output()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.try_run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        let _ = self.try_run(&["-N", "kill-server"]);
    }
}

#[test]
fn locks_stops_clocks_and_modes() {
    let _alone = alone();
    let town = town(&["alpha"]);
    town.put("daemon/shutdown.lock", "");
    town.put(".events.jsonl.lock", "");
    town.put("ESTOP.alpha", "");
    town.wisp("alpha", Some("parked"));
    town.put(".runtime/deacon/paused.json", r#"{"paused":true,"paused_by":"max","reason":"lunch"}"#);
    town.put("deacon/heartbeat.json", r#"{"timestamp":"2199-01-01T00:00:00Z"}"#);
    town.put("daemon/daemon.log", "");
    fs::create_dir(town.path("daemon/supervisor")).unwrap();
    for (path, mode) in [("daemon/daemon.log", 0o644), ("daemon/supervisor", 0o755)] {
        fs::set_permissions(town.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(town.path(".feed.jsonl")).unwrap();
    fs::remove_dir_all(town.path("alpha/refinery")).unwrap();
    let hold = |path: &str| {
        let file = fs::File::open(town.path(path)).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        file
    };
    let held = (hold("daemon/shutdown.lock"), hold(".events.jsonl.lock"));
    let before = listing(town.root());
    let (report, code) = examine(&town);
    assert_eq!(changed(&before, &listing(town.root())), Vec::<PathBuf>::new());
    drop(held);
    assert_eq!(code, 1);
    for (severity, area, told) in [
        ("note", "locks", "daemon/shutdown.lock is held"),
        ("wrong", "locks", ".events.jsonl.lock has been held"),
        ("wrong", "locks", "ESTOP.alpha: emergency stop of rig alpha"),
        ("wrong", "locks", "the deacon is paused by max: lunch"),
        ("wrong", "locks", "nothing is started in rig alpha: rig is parked"),
        ("wrong", "clock", "deacon/heartbeat.json: timestamp is "),
        ("note", "permissions", "daemon/daemon.log is open to other users (mode 0644)"),
        ("note", "permissions", "daemon/supervisor is open to other users (mode 0755)"),
        ("wrong", "permissions", ".feed.jsonl is not a regular file"),
        (
            "wrong",
            "permissions",
            "alpha/refinery cannot be started: its directory alpha/refinery/rig does not exist",
        ),
    ] {
        let all = found(&report, severity);
        let here = all.iter().filter(|(of, what)| of == area && what.contains(told)).count();
        assert_eq!(here, 1, "{told}: {report:#}");
    }
    let me = format!("PID {} (", std::process::id());
    let held: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["what"].to_string().contains(&me))
        .collect();
    // Not every kernel shows which process holds a lock.
    assert!(!cfg!(target_os = "linux") || held.len() == 2, "{held:#?}");
}

#[test]
fn outside_of_a_town_and_for_people() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let outside = tmpdir(&town);
    let mut bare = Command::new(binary());
    bare.args(["doctor", "--json"]).env_clear().current_dir(&outside);
    let (report, code) = outcome(bare.limited_output());
    assert_eq!((code, &report["ok"], &report["town"]), (1, &json!(false), &Value::Null));
    let told = format!("no town at or above {}", fs::canonicalize(&outside).unwrap().display());
    assert!(report["findings"][0]["what"].as_str().unwrap().starts_with(&told), "{report:#}");
    // By the working directory, and by a variable.
    for (variable, cwd, why) in [
        (None, town.path("alpha"), "it contains the working directory"),
        (Some("GT_ROOT"), outside.clone(), "GT_ROOT"),
    ] {
        let mut command = doctor(&town, &[]);
        let mut plain = Command::new(binary());
        plain.arg("doctor").env_clear().current_dir(&cwd);
        plain.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        plain.envs(variable.map(|variable| (variable, town.root())));
        let output = plain.limited_output();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.starts_with(&format!("town\n  ok     {} ({why})\n", town.root().display())), "{text}");
        assert!(text.ends_with("\nnothing is wrong, 2 notes\n") && !text.contains('\x1b'), "{text}");
        let _ = command.arg("--json");
    }
    // The shape others rely on.
    let (report, _) = examine(&town);
    let keys: Vec<_> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["town", "ok", "findings"]);
    for finding in report["findings"].as_array().unwrap() {
        let known = ["area", "severity", "what", "hint", "path", "line", "column"];
        assert!(finding.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{finding}");
    }
    let told = |report: &Value| {
        let all = report["findings"].as_array().unwrap().iter().map(ToString::to_string);
        // Other tests use the same disk.
        all.filter(|finding| !finding.contains("the town's disk has")).collect::<Vec<_>>()
    };
    assert_eq!(told(&examine(&town).0), told(&report), "the same again, in the same order");
    let help = doctor(&town, &["--help"]).limited_output();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("gastown-supervisor doctor --town ~/gt") && help.contains("Exit codes: 0"),
        "{help}"
    );
    assert_eq!(doctor(&town, &["--jsn"]).limited_output().status.code(), Some(2));
}
