//! `status` at a glance: the first lines name what is wrong, and its exit code says whether anything is.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::{among_others, support::town::Town};

/// The first lines of `status`, in which everything important must be.
fn first_lines(town: &Town) -> String {
    town.ask(&["status"]).stdout.lines().take(5).collect::<Vec<_>>().join("\n")
}

fn quiet(town: &Town) -> Option<i32> {
    let answer = town.ask(&["status", "--quiet"]);
    assert_eq!((&*answer.stdout, &*answer.stderr), ("", ""), "{answer:?}");
    answer.code
}

/// A town of one rig whose witness alone is supervised.
fn town_of_a_witness() -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town
}

#[test]
fn what_is_wrong_is_in_the_first_lines() {
    let _among = among_others();
    let town = town_of_a_witness();
    assert_eq!(quiet(&town), Some(3), "nobody runs");
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    assert_eq!(quiet(&town), Some(0));
    let well = first_lines(&town);
    assert!(
        well.contains("\n4 agents: 1 ") && well.contains(", 3 paused") && !well.contains("Problems"),
        "{well}"
    );

    town.put("ESTOP", "");
    town.wait("the emergency stop", || first_lines(&town).contains("EMERGENCY STOP"));
    assert_eq!(quiet(&town), Some(4));
    fs::remove_file(town.root().join("ESTOP")).unwrap();
    town.wait("its end", || quiet(&town) == Some(0));

    town.put(
        ".beads-wisp/config/alpha.json",
        json!({"rig": "alpha", "values": {"status": "parked"}}).to_string(),
    );
    town.wait("the parked rig", || first_lines(&town).contains("alpha is parked: no agent there is started"));
    assert_eq!(quiet(&town), Some(0), "on purpose");

    town.put("settings/supervisor.json", "{");
    town.wait("the broken settings", || first_lines(&town).contains("settings/supervisor.json:1:"));
}

#[test]
fn which_agents_are_shown() {
    let _among = among_others();
    let town = town_of_a_witness();
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let agents = |arguments: &[&str]| {
        let json = town.ask(&[&["status", "--json"], arguments].concat()).json();
        json["agents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["identity"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(agents(&[]), ["alpha/refinery", "alpha/witness", "deacon", "deacon-boot"]);
    assert_eq!(agents(&["alpha"]), ["alpha/refinery", "alpha/witness"]);
    assert_eq!(agents(&["Witness", "deacon"]), ["alpha/witness", "deacon"]);
    assert_eq!(agents(&["--not-ok"]), Vec::<String>::new());
    let unknown = town.ask(&["status", "beta"]);
    unknown.failed(1, "Error: there is no rig or agent \"beta\"; `gastown-supervisor status` lists them");
}

#[test]
fn a_supervisor_that_was_killed_is_said_to_be_so() {
    let _among = among_others();
    let town = town_of_a_witness();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let pid = supervisor.pid();
    let order = |town: &Town| {
        let json = town.ask(&["status", "--json"]).json();
        json["agents"].as_array().unwrap().iter().map(|it| it["identity"].to_string()).collect::<Vec<_>>()
    };
    let running = order(&town);
    town.wait("the histories to be saved", || {
        fs::exists(town.root().join("daemon/supervisor/history.json")).unwrap()
    });
    supervisor.stop(Signal::KILL);
    let lines = first_lines(&town);
    assert!(
        lines.contains(&format!("not running; the last supervisor (PID {pid}) was killed or crashed")),
        "{lines}"
    );
    assert_eq!(town.ask(&["status", "--json"]).json()["died"], true);
    let left = order(&town);
    assert!(running.iter().filter(|it| left.contains(it)).eq(left.iter()), "the same order: {left:?}");
    let mut next = town.start();
    town.wait("its answer", || quiet(&town) == Some(0));
    next.stop(Signal::TERM);
    let lines = first_lines(&town);
    assert!(lines.contains(": not running") && !lines.contains("killed"), "it ended in order: {lines}");
}
