//! A full disk: the supervisor runs, reports it once, and catches up when there is room; files of killed writers are
//! removed.

use std::{fs, os::unix::process::CommandExt, process::Command};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::{
    among_others,
    support::{
        http::{HttpServer, Serves},
        limits::end_of,
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

fn town() -> Town {
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town
}

/// Starts it so that no file can grow past this many blocks of 512 bytes, as if the disk were full then.
fn start_without_room(town: &Town, blocks: u32) -> Supervisor {
    start_with_room(town, &blocks.to_string())
}

/// The same with `unlimited` blocks, so that a [`full`] disk does not end it.
pub fn start_with_room(town: &Town, blocks: &str) -> Supervisor {
    let program = town.command();
    let mut command = Command::new("/bin/sh");
    // Ignored, so that a write fails instead of ending the process.
    let script = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(program.get_program()).args(program.get_args());
    command
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir("/");
    Supervisor::spawn(command, town.root().parent().unwrap())
}

/// From now on nothing of it can be written.
pub fn full(supervisor: &Supervisor) {
    limit(supervisor, Some(0));
}

pub fn make_room(supervisor: &Supervisor) {
    limit(supervisor, None);
}

fn limit(supervisor: &Supervisor, current: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(supervisor.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
}

#[test]
fn it_starts_without_any_and_says_so() {
    let _among = among_others();
    let town = town();
    let mut supervisor = start_without_room(&town, 0);
    town.wait("its socket", || town.ask(&["status"]).code == Some(0));
    let status = town.ask(&["status", "--json"]).json();
    let problems = status["problems"].as_object().unwrap();
    for key in ["write/daemon/daemon.pid", "write/daemon/state.json", "log"] {
        assert!(problems.contains_key(key), "{key}: {problems:#?}");
    }
    // Its standard error is a file here, and has no room either; what is wrong stays the same.
    let status = || town.ask(&["status", "--json"]).json();
    let beats = || status()["heartbeat"]["count"].as_u64().unwrap_or_default();
    let enough = beats() + 5;
    town.wait("some heartbeats", || beats() >= enough);
    for (key, text) in problems {
        assert_eq!(&status()["problems"][key], text, "{key}");
    }
    assert!(supervisor.runs());
    make_room(&supervisor);
    town.wait("the PID file", || town.text("daemon/daemon.pid") == supervisor.pid().to_string());
    town.wait("the state", || town.json("daemon/state.json")["running"] == true);
    town.wait("the histories", || !town.text("daemon/supervisor/feed.json").is_empty());
    town.wait("no problem", || town.ask(&["status", "--json"]).json()["problems"] == json!({}));
    assert!(town.log().contains("log lines lost before this one"), "{}", town.log());
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
}

#[test]
fn it_is_alerted_once_from_memory() {
    let _among = among_others();
    let server = HttpServer::new(Serves::Answer("200 OK", "ok"));
    let town = town();
    let notify = json!({"webhook": server.url("/hook"), "timeout": "2s"});
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "notify": notify}));
    let mut supervisor = start_without_room(&town, 0);
    let alert = town.wait_some("the alert", || server.posted().into_iter().next());
    assert_eq!((&alert["kind"], &alert["severity"]), (&json!("cannot_write"), &json!("critical")), "{alert}");
    assert_eq!(town.text("daemon/supervisor/alerts.json"), "");
    make_room(&supervisor);
    town.wait("the file", || town.text("daemon/supervisor/alerts.json").contains("\"open\""));
    assert_eq!(supervisor.stop(Signal::TERM).0.code(), Some(0));
    assert_eq!(server.posted().len(), 1, "one for all files: {:?}", server.posted());
}

#[test]
fn half_a_line_does_not_stay_in_the_log() {
    let _among = among_others();
    let town = town();
    let mut supervisor = start_without_room(&town, 1);
    let in_trouble = || town.ask(&["status", "--json"]).json()["problems"]["log"].is_string();
    town.wait("a line that does not fit", in_trouble);
    let full = town.log();
    assert!(full.ends_with('\n') && full.len() <= 512, "{full:?}");
    make_room(&supervisor);
    town.wait("more lines", || town.log().len() > full.len() + 200);
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
    for line in town.log().lines() {
        let stamp: String = line.chars().take(20).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(stamp, "0000/00/00 00:00:00 ", "{line:?} in {}", town.log());
    }
}

#[test]
fn what_killed_writers_left_is_taken_away_at_the_start() {
    let _among = among_others();
    let town = town();
    // A process that has ended.
    let mut dead = Command::new("true").process_group(0).spawn().unwrap();
    end_of(&mut dead, "true");
    let gone = [
        format!("daemon/.state.json.{}-3.tmp", dead.id()),
        format!("daemon/.restart_state.json.{}-4.tmp", dead.id()),
        format!("daemon/supervisor/.history.json.{}-5.tmp", dead.id()),
        ".feed.jsonl.half.tmp".to_owned(),
    ];
    let stays = [
        format!("daemon/.state.json.{}-3.tmp", std::process::id()),
        "daemon/state.json.tmp".to_owned(),
        format!("daemon/.notes.{}-3.tmp", dead.id()),
    ];
    for file in gone.iter().chain(&stays) {
        town.put(file, "half");
    }
    let mut supervisor = town.start_and_beat();
    for file in &gone {
        assert!(!town.path(file).exists(), "{file}");
    }
    for file in &stays {
        assert!(town.path(file).exists(), "{file}");
    }
    // Nor does one that ends leave any of its own.
    assert!(as_asked(supervisor.stop(Signal::TERM).0));
    let mut left: Vec<String> = ["daemon", "daemon/supervisor"]
        .into_iter()
        .flat_map(|directory| {
            let names = fs::read_dir(town.path(directory)).unwrap();
            names.map(move |entry| format!("{directory}/{}", entry.unwrap().file_name().display()))
        })
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    left.sort();
    let mut stays = stays;
    stays.sort();
    assert_eq!(left, stays);
}
