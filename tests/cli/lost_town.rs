//! A town that is moved, replaced or unlocked under its supervisor: the supervisor writes nothing more, logs the
//! reason once, and exits; the agents live.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    process::Signal,
};
use serde_json::json;

use crate::{
    among_others,
    support::{
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

fn town() -> (Town, Supervisor) {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town.patrols(&["witness"]);
    let supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    (town, supervisor)
}

/// Every file below a directory, and what is in it.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                content.insert(path.clone(), fs::read(path).unwrap_or_default());
            }
        }
    }
    content
}

/// It ended by itself, said why once, and its agent lives.
fn ended(town: &Town, supervisor: &mut Supervisor, agent: &(String, u32), why: &str, log: &Path) {
    assert_eq!(supervisor.wait().code(), Some(1), "{why}");
    let said = supervisor.stderr();
    assert_eq!(said.lines().filter(|line| line.contains(why)).count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains(why)).count(), 1, "{log}");
    assert_eq!(town.incarnation("gt-alpha-witness").as_ref(), Some(agent), "{why}");
}

#[test]
fn a_lock_that_is_deleted_leaves_one_supervisor() {
    let _among = among_others();
    let (town, mut first) = town();
    let agent = town.incarnation("gt-alpha-witness").unwrap();
    town.remove("daemon/daemon.lock");
    let mut second = town.start();
    let why = "daemon/daemon.lock was ";
    assert_eq!(first.wait().code(), Some(1), "{}", town.log());
    town.wait_logged(&format!("Daemon starting (PID {})", second.pid()));
    ended(&town, &mut first, &agent, why, &town.path("daemon/daemon.log"));
    town.wait("the second's heartbeat", || {
        let state = town.json("daemon/state.json");
        state["pid"] == second.pid() && state["heartbeat_count"].as_u64() >= Some(2)
    });
    assert_eq!(town.text("daemon/daemon.pid"), second.pid().to_string());
    assert_eq!(town.ask(&["status", "--json"]).json()["pid"], second.pid());
    let mut third = town.start();
    assert_eq!(third.wait().code(), Some(1));
    let (status, _) = second.stop(Signal::TERM);
    assert!(as_asked(status));
}

#[test]
fn a_lock_that_is_replaced_is_not_the_one_that_was_taken() {
    let _among = among_others();
    let (town, mut supervisor) = town();
    let agent = town.incarnation("gt-alpha-witness").unwrap();
    town.put("daemon/daemon.lock", "");
    ended(&town, &mut supervisor, &agent, "daemon/daemon.lock was replaced", &town.path("daemon/daemon.log"));
}

#[test]
fn a_town_that_is_moved_away_is_not_made_again() {
    let _among = among_others();
    let (town, mut supervisor) = town();
    let agent = town.incarnation("gt-alpha-witness").unwrap();
    let moved = town.root().with_extension("moved");
    fs::rename(town.root(), &moved).unwrap();
    // A report while the directory is missing must not become a file either.
    supervisor.signal(Signal::USR1);
    supervisor.signal(Signal::HUP);
    ended(
        &town,
        &mut supervisor,
        &agent,
        "town is gone: the town was moved",
        &moved.join("daemon/daemon.log"),
    );
    assert!(!town.root().exists(), "nothing of it was made again");
    let log = fs::read_to_string(moved.join("daemon/daemon.log")).unwrap();
    assert!(!log.contains("settings"), "its settings did not fall back to anything: {log}");
    assert!(moved.join("daemon/daemon.pid").exists(), "nothing was changed, not even this");
    fs::rename(&moved, town.root()).unwrap();
    let mut again = town.start();
    town.wait("its heartbeat", || town.json("daemon/state.json")["pid"] == again.pid());
    assert_eq!(town.incarnation("gt-alpha-witness"), Some(agent));
    assert!(again.runs());
}

#[test]
fn another_town_in_its_place_is_not_touched() {
    let _among = among_others();
    let (town, mut supervisor) = town();
    let agent = town.incarnation("gt-alpha-witness").unwrap();
    let other = town.root().with_extension("other");
    fs::create_dir_all(other.join("mayor")).unwrap();
    fs::create_dir_all(other.join("daemon")).unwrap();
    for file in ["mayor/town.json", "daemon/daemon.lock", "daemon/daemon.pid"] {
        fs::write(other.join(file), "{}").unwrap();
    }
    let before = content(&other).into_values().collect::<Vec<_>>();
    // At once: between two renames the supervisor might see that there is no town.
    renameat_with(CWD, &other, CWD, town.root(), RenameFlags::EXCHANGE).unwrap();
    let why = "town was replaced by another directory";
    ended(&town, &mut supervisor, &agent, why, &other.join("daemon/daemon.log"));
    let after = content(town.root()).into_values().collect::<Vec<_>>();
    assert_eq!(after, before, "{:?}", content(town.root()).keys());
}
