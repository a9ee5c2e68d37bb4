//! Pipes, directories, devices and links in the place of files: reported, never waited for, and never followed when
//! the file is ours.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, mknodat},
    process::Signal,
};
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{process, supervisor::as_asked, town::Town},
};

fn town() -> Town {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "200ms"}}));
    town
}

/// Creates a named pipe there, which no process ever opens.
fn pipe(town: &Town, path: &str) {
    let path = town.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
}

/// More heartbeats than the supervisor has threads for the disk, 32.
const MORE_THAN_THREADS: u64 = 40;

fn beats(town: &Town) -> u64 {
    town.json("daemon/state.json")["heartbeat_count"].as_u64().unwrap_or_default()
}

fn wait_beats(town: &Town, more: u64) {
    let enough = beats(town) + more;
    town.wait("some heartbeats", || beats(town) >= enough);
}

fn problems(town: &Town) -> String {
    let status = town.ask(&["status", "--json"]).json();
    let Value::Object(problems) = &status["problems"] else { panic!("{status:#}") };
    problems.values().map(|text| format!("{}\n", text.as_str().unwrap())).collect()
}

#[test]
fn a_pipe_for_the_log() {
    let _among = among_others();
    let town = town();
    pipe(&town, "daemon/daemon.log");
    let mut supervisor = town.start();
    town.wait("its agents", || town.sessions().len() == 3);
    wait_beats(&town, 2);
    let told = "daemon/daemon.log cannot be written: it is a named pipe, not a file";
    assert_eq!(supervisor.stderr().lines().filter(|line| line.contains(told)).count(), 1, "once");
    assert!(problems(&town).contains(told), "{}", problems(&town));
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
    assert!(!town.path("daemon/daemon.pid").exists());
}

#[test]
fn a_pipe_for_the_shutdown_lock() {
    let _among = among_others();
    let town = town();
    pipe(&town, "daemon/shutdown.lock");
    let mut supervisor = town.start_and_beat();
    // Were each to leave a thread behind that waits for the pipe, none would be left for the later ones.
    wait_beats(&town, MORE_THAN_THREADS);
    assert!(!town.server.runs(), "unknown starts nothing");
    let told = "daemon/shutdown.lock cannot be examined: it is a named pipe, not a file";
    assert!(problems(&town).contains(told), "{}", problems(&town));
    let warned = |text: &String| text.starts_with("Warning: ") && text.contains(told);
    assert_eq!(town.log_texts().iter().filter(|text| warned(text)).count(), 1, "{}", town.log());
    town.remove("daemon/shutdown.lock");
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    assert!(!problems(&town).contains("shutdown.lock"));
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
}

#[test]
fn a_pipe_for_the_event_logs_lock() {
    let _among = among_others();
    let town = town();
    town.patrols(&["witness"]);
    pipe(&town, ".events.jsonl.lock");
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    process::signal(town.pane("gt-alpha-witness").unwrap(), Signal::KILL);
    town.wait("its restart", || town.started("alpha/witness") == 2);
    let told =
        ".events.jsonl cannot be written: its lock .events.jsonl.lock cannot be opened: it is a named pipe";
    town.wait("the problem", || problems(&town).contains(told));
    assert!(!town.path(".events.jsonl").exists());
    town.remove(".events.jsonl.lock");
    town.wait("the event", || town.text(".events.jsonl").contains("session_death"));
    town.wait("the feed", || town.text(".feed.jsonl").contains("session_death"));
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
}

#[test]
fn a_pipe_in_the_place_of_everything() {
    let _among = among_others();
    let town = town();
    let names = [
        "mayor/rigs.json",
        "mayor/daemon.json",
        "settings/config.json",
        "settings/agents.json",
        "alpha/config.json",
        "alpha/settings/config.json",
        "alpha/.runtime/witness.json",
        ".beads-wisp/config/alpha.json",
        ".beads/routes.jsonl",
        ".beads/beads.db",
        ".runtime/deacon/paused.json",
        "deacon/heartbeat.json",
        "deacon/dogs/boot/.boot-status.json",
        "daemon/state.json",
        "daemon/restart_state.json",
        "daemon/daemon.pid",
        "daemon/supervisor/claims.json",
        "daemon/supervisor/feed.json",
        "daemon/supervisor/history.json",
        "daemon/supervisor/holds.json",
        "daemon/supervisor/incidents.json",
        "daemon/supervisor/lives.json",
        "daemon/supervisor/role_beads.json",
        "daemon/supervisor/waits.json",
        "daemon/supervisor/socket.new",
        ".events.jsonl",
        ".events.jsonl.1",
        ".feed.jsonl",
        ".feed.jsonl.half.tmp",
    ];
    for name in names {
        pipe(&town, name);
    }
    let mut supervisor = town.start_and_beat();
    wait_beats(&town, MORE_THAN_THREADS);
    let problems = problems(&town);
    for name in ["mayor/rigs.json", "mayor/daemon.json", ".runtime/deacon/paused.json", ".events.jsonl"] {
        let told = |line: &str| line.contains(name) && line.contains("a named pipe, not a file");
        assert!(problems.lines().any(told), "{name}: {problems}");
    }
    assert_eq!(
        town.text("daemon/daemon.pid"),
        supervisor.pid().to_string(),
        "what is ours is put in its place"
    );
    assert!(!supervisor.stderr().contains("panicked"), "{}", supervisor.stderr());
    let (status, took) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status), "{took:?}");
}

#[test]
fn what_is_in_the_locks_place_is_reported_at_the_start() {
    let _among = among_others();
    type Put = fn(&Path);
    let cases: [(&str, Put); 4] = [
        ("a named pipe", |path| mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap()),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a symbolic link", |path| symlink("elsewhere", path).unwrap()),
        ("a symbolic link", |path| symlink("/dev/null", path).unwrap()),
    ];
    for (what, put) in cases {
        let town = town();
        fs::create_dir_all(town.path("daemon")).unwrap();
        put(&town.path("daemon/daemon.lock"));
        let mut supervisor = town.start();
        assert_eq!(supervisor.wait().code(), Some(1), "{what}");
        let told = format!("daemon/daemon.lock cannot be locked: it is {what}, not a file");
        assert!(supervisor.stderr().contains(&told), "{}", supervisor.stderr());
        assert!(!town.path("daemon/daemon.pid").exists() && !town.path("daemon/elsewhere").exists());
    }
}

#[test]
fn links_that_somebody_planted_are_not_followed() {
    let _among = among_others();
    let town = town();
    town.patrols(&["witness"]);
    let elsewhere = town.root().parent().unwrap().join("elsewhere");
    fs::create_dir_all(elsewhere.join("directory")).unwrap();
    for file in ["log", "feed", "state.json", "pid"] {
        fs::write(elsewhere.join(file), "theirs\n").unwrap();
        fs::set_permissions(elsewhere.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(elsewhere.join("directory"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(town.path("daemon")).unwrap();
    for (link, to) in [
        ("daemon/supervisor", "directory"),
        ("daemon/daemon.log", "log"),
        (".feed.jsonl", "feed"),
        ("daemon/state.json", "state.json"),
        ("daemon/daemon.pid", "pid"),
    ] {
        symlink(elsewhere.join(to), town.path(link)).unwrap();
    }
    let mut supervisor = town.start();
    town.wait("its agent", || town.sessions().len() == 1);
    wait_beats(&town, 3);
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
    for (name, mode) in [("directory", 0o755), ("log", 0o644), ("feed", 0o644), ("state.json", 0o644)] {
        let data = fs::metadata(elsewhere.join(name)).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, mode, "{name}");
        if data.is_file() {
            assert_eq!(fs::read_to_string(elsewhere.join(name)).unwrap(), "theirs\n", "{name}");
        }
    }
    assert_eq!(fs::read_dir(elsewhere.join("directory")).unwrap().count(), 0);
    let said = supervisor.stderr();
    for told in [
        "daemon/supervisor/ cannot be created or made private: it is a symbolic link, not a directory",
        "daemon/daemon.log cannot be written: it is a symbolic link, not a file",
        ".feed.jsonl cannot be written: it is a symbolic link, not a file",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn links_to_files_of_others_are_as_good_as_the_files() {
    let _among = among_others();
    let town = town();
    let elsewhere = town.root().parent().unwrap().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    town.put(".events.jsonl", "");
    town.put(".events.jsonl.lock", "");
    for name in [
        "mayor/daemon.json",
        "mayor/rigs.json",
        "settings/supervisor.json",
        ".events.jsonl",
        ".events.jsonl.lock",
    ] {
        let target = elsewhere.join(name.replace('/', "-"));
        fs::rename(town.path(name), &target).unwrap();
        symlink(target, town.path(name)).unwrap();
    }
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    process::signal(town.pane("gt-alpha-witness").unwrap(), Signal::KILL);
    town.wait("the event", || town.text(".events.jsonl").contains("session_death"));
    assert!(fs::symlink_metadata(town.path(".events.jsonl")).unwrap().is_symlink());
}
