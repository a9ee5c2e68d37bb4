//! A command that cannot run says so in one message with file and position, and exit code 1; wrong usage is 2.

use std::{fs, process::Command, time::Duration};

use assert_cmd::assert::Assert;
use predicates::{prelude::PredicateBooleanExt, str};

use crate::{
    among_others,
    support::{limits::LimitedCommand, supervisor::binary, town::Town},
};

fn run(command: Command) -> Assert {
    assert_cmd::Command::from_std(command).timeout(Duration::from_secs(15)).assert()
}

fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear();
    command
}

#[test]
fn wrong_usage() {
    let _among = among_others();
    for (arguments, told) in [
        (&[][..], "Usage: gastown-supervisor [OPTIONS] <COMMAND>"),
        (&["walk"], "unrecognized subcommand 'walk'"),
        (&["run", "here"], "unexpected argument 'here'"),
        (&["run", "--town"], "a value is required for '--town <DIR>'"),
        (&["run", "--log-format", "xml"], "invalid value 'xml'"),
        (&["run", "--twon", "/"], "unexpected argument '--twon'"),
    ] {
        run(bare(arguments)).code(2).stdout("").stderr(str::contains(told));
    }
    for (arguments, told) in [
        (&["--version"][..], concat!("gastown-supervisor ", env!("CARGO_PKG_VERSION"))),
        (&["--help"], "Usage: gastown-supervisor [OPTIONS] <COMMAND>"),
        (&["run", "--help"], "gastown-supervisor run --town ~/gt"),
    ] {
        run(bare(arguments)).code(0).stderr("").stdout(str::contains(told));
    }
}

#[test]
fn no_town_or_a_wrong_one() {
    let _among = among_others();
    let town = Town::new(&[]);
    let outside = town.server.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "").unwrap();
    let shown = |path: &str| outside.join(path).display().to_string();
    let wrong =
        |by: &str, path: &str, reason: &str| format!("Error: {by} names {}, which {reason}", shown(path));
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, String)], String);
    let cases: [Case<'_>; 7] = [
        ("none", &[], &[], format!("Error: no town at or above {}", outside.display())),
        ("not there", &["--town", "gone"], &[], wrong("--town", "gone", "does not exist")),
        ("a file", &["--town", "file"], &[], wrong("--town", "file", "is not a directory")),
        ("no town", &["--town", "."], &[], wrong("--town", ".", "is not a town")),
        (
            "by variable",
            &[],
            &[("GT_TOWN_ROOT", shown("gone"))],
            wrong("GT_TOWN_ROOT", "gone", "does not exist"),
        ),
        ("by the other", &[], &[("GT_ROOT", shown("file"))], wrong("GT_ROOT", "file", "is not a directory")),
        (
            "the flag beats a good variable",
            &["--town", "gone"],
            &[("GT_TOWN_ROOT", town.root().display().to_string())],
            wrong("--town", "gone", "does not exist"),
        ),
    ];
    for (name, arguments, variables, told) in cases {
        let mut command = bare(&["run"]);
        command.args(arguments).envs(variables.iter().cloned()).current_dir(&outside);
        eprintln!("{name}");
        run(command).code(1).stdout("").stderr(str::starts_with(told).and(str::contains("panicked").not()));
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was made there");
}

#[test]
fn a_mistake_in_the_settings() {
    let _among = among_others();
    let at = "settings/supervisor.json";
    for (name, settings, told) in [
        ("unknown key", "{\n  \"hartbeat\": {}\n}", ":2:3: hartbeat: unknown key"),
        ("unknown inner key", r#"{"tmux": {"sokket": 1}}"#, ":1:11: tmux.sokket: unknown key"),
        ("wrong type", "{\"boot\":\n {\"enabled\": \"yes\"}}", ":2:14: boot.enabled: "),
        ("not an object", r#"{"boot": 7}"#, ":1:10: boot: expected an object"),
        ("bad duration", r#"{"heartbeat": {"interval": "3 minutes"}}"#, ":1:28: heartbeat.interval: "),
        ("a number for a duration", r#"{"kill": {"grace": 2}}"#, ":1:20: kill.grace: "),
        ("out of range", r#"{"start": {"max_concurrent": 0}}"#, ":1:30: start.max_concurrent: "),
        ("half-written", "{\"heartbeat\": {\"inter", ":1:21: "),
        ("empty", "", ":1:1: it is empty"),
    ] {
        let town = Town::new(&["alpha"]);
        town.put(at, settings);
        let place = format!("Error: {at}{told}");
        eprintln!("{name}");
        run(town.command())
            .code(1)
            .stdout("")
            .stderr(str::starts_with(&*place).and(str::contains("panicked").not()));
        assert!(town.log().contains("Daemon startup failed (PID "), "{name}: {}", town.log());
        assert!(town.log().contains(told), "{name}: {}", town.log());
        assert!(!town.path("daemon/daemon.pid").exists() && !town.server.runs(), "{name}");
        assert_ne!(town.json("daemon/state.json")["running"], true, "{name}");
    }
    // All mistakes are reported at once, each with its position.
    let town = Town::new(&[]);
    town.put(at, "{\"http\": {\"listen\": 80},\n \"log\": {\"level\": \"loud\"}}");
    let both = str::contains(":1:21: http.listen: ").and(str::contains(":2:19: log.level: "));
    run(town.command()).code(1).stderr(both);
}

#[test]
fn a_daemon_directory_that_cannot_be_used() {
    let _among = among_others();
    type Prepare = fn(&Town);
    let cases: [(&str, Prepare, &str); 4] = [
        ("a file in its place", |town| town.put("daemon", ""), "daemon/daemon.lock cannot be locked: "),
        (
            "a directory for a lock",
            |town| fs::create_dir_all(town.path("daemon/daemon.lock")).unwrap(),
            "daemon/daemon.lock cannot be locked: ",
        ),
        (
            "a directory for a PID file",
            |town| fs::create_dir_all(town.path("daemon/daemon.pid/x")).unwrap(),
            "daemon/daemon.pid cannot be written: ",
        ),
        (
            "a lock that leads nowhere",
            |town| {
                fs::create_dir_all(town.path("daemon")).unwrap();
                std::os::unix::fs::symlink("/no/such/place", town.path("daemon/daemon.lock")).unwrap();
            },
            "daemon/daemon.lock cannot be locked: ",
        ),
    ];
    for (name, prepare, told) in cases {
        let town = Town::new(&[]);
        prepare(&town);
        eprintln!("{name}");
        let told = format!("Error: {}", town.path(told).display());
        run(town.command()).code(1).stderr(str::starts_with(told).and(str::contains("panicked").not()));
    }
}

#[test]
fn a_second_one_in_the_same_town_whatever_it_is_called() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let first = town.start_and_beat();
    std::os::unix::fs::symlink(town.root(), town.server.dir().join("link")).unwrap();
    let mut command = bare(&["run", "--town", "link"]);
    command.current_dir(town.server.dir());
    run(command).code(1).stderr(format!("Error: already running (PID {})\n", first.pid()));
}

#[test]
fn settings_that_contradict_a_town_of_gas_town_1() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.put(".beads/metadata.json", r#"{"database":"dolt","backend":"dolt","dolt_mode":"server"}"#);
    let told = r#"`gt` runs the agents on the tmux server "town-"#;
    for words in [&["run"][..], &["start"]] {
        run(town.command_of(words)).code(1).stdout("").stderr(str::contains(told));
        assert!(!town.server.runs(), "{words:?}");
    }
    assert!(
        town.log().contains("Daemon startup failed (PID ") && town.log().contains(told),
        "{}",
        town.log()
    );
    let doctor = town.ask(&["doctor"]);
    assert!(doctor.stdout.contains(told), "{}", doctor.stdout);
    // The town's own server, and sessions named as `gt` does, need no settings.
    let name = doctor.stdout.split("tmux server \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let socket = town.server.dir().join(&name);
    town.settings(serde_json::json!({"tmux": {"socket_path": socket, "naming": "rig"}}));
    run(town.command())
        .code(1)
        .stderr(str::contains("tmux.naming in settings/supervisor.json would start a"));
    town.settings(serde_json::json!({"tmux": {"socket_path": socket}}));
    let supervisor = town.start_and_beat();
    let doctor = town.ask(&["doctor"]);
    let status = town.ask(&["status", "--json"]);
    drop(supervisor);
    let mut kill = Command::new("tmux");
    kill.arg("-S").arg(&socket).args(["-N", "kill-server"]).env_remove("TMUX").limited_output();
    assert!(!doctor.stdout.contains(told), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("Gas Town 1.x: .beads/metadata.json (Dolt)"), "{}", doctor.stdout);
    assert!(status.stdout.contains(r#""gas_town": "1.x""#), "{}", status.stdout);
}

#[test]
fn a_town_whose_files_and_gt_contradict_each_other() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.put(".beads/metadata.json", r#"{"database":"beads.db"}"#);
    town.program("gt", "#!/bin/sh\necho 1.0.1\n");
    let told = "which Gas Town this is cannot be told: .beads/metadata.json (SQLite) is Gas Town 0.3, but gt 1.0.1 is Gas Town 1.x";
    run(town.command()).code(1).stderr(str::contains(told));
    assert!(!town.server.runs());
    let doctor = town.ask(&["doctor"]);
    assert!(doctor.stdout.contains("which Gas Town this is cannot be told"), "{}", doctor.stdout);
    // What a person says counts.
    town.settings(serde_json::json!({"gas_town": {"dialect": "january"}}));
    let _supervisor = town.start_and_beat();
}
