//! `status` at a glance: the first lines name what is wrong, and its exit code says whether anything is.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{recording::kill_agent, town::Town},
};

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

/// The open problem with this key.
fn problem(town: &Town, key: &str) -> Option<Value> {
    let status = town.ask(&["status", "--json"]).json();
    status["problem_list"].as_array()?.iter().find(|it| it["key"] == key).cloned()
}

/// Waits until the problem with this key is open; checks its severity, its agent, that it says since when, and its text.
fn opens(town: &Town, key: &str, severity: &str, agent: Option<&str>, text: &str) {
    let found = town.wait_some(&format!("the problem {key}"), || problem(town, key));
    assert_eq!((&found["severity"], &found["agent"]), (&json!(severity), &json!(agent)), "{found}");
    assert!(found["text"].as_str().unwrap().contains(text), "{found}");
    assert!(found["since"].as_str().unwrap().ends_with('Z'), "in UTC: {found}");
}

fn closes(town: &Town, key: &str) {
    town.wait(&format!("the end of the problem {key}"), || problem(town, key).is_none());
}

/// An agent that nobody of ours started, in a session of this name and this town.
fn by_hand(town: &Town, session: &str, of_town: &str, program: &str) {
    let town_variable = format!("GT_ROOT={of_town}");
    town.tmux(&["new-session", "-d", "-s", session, "-e", &town_variable, program]);
}

fn heartbeat_of(minutes_ago: i64) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes_ago);
    json!({"timestamp": at.to_string(), "cycle": 1}).to_string()
}

#[test]
fn what_is_to_be_examined_is_a_problem_while_it_lasts() {
    let _among = among_others();
    let town = Town::recorded(json!({
        "heartbeat": {"interval": "500ms"},
        "commands": {"timeout": "1s"},
        "deacon": {"grace": "0s"},
        "polecats": {"gupp_after": "5s"},
    }));
    town.patrols(&["deacon"]);
    town.polecat("gastown", "Toast", "gt-w1");
    let (root, claude) = (town.root().display().to_string(), town.standin("claude"));
    let other = town.root().parent().unwrap().join("other");
    fs::create_dir_all(other.join("mayor")).unwrap();
    fs::write(other.join("mayor/town.json"), "{}").unwrap();
    let other = other.display().to_string();
    for (session, of_town, program) in [
        ("gt-gastown-Ghost", &root, claude.as_str()),
        // None of these is anybody's fault.
        ("gt-gastown-notes", &root, "sh"),
        ("gt-gastown-theirs", &other, &claude),
        ("gt-gastown-crew-max", &root, &claude),
        ("hq-dog-alpha", &root, &claude),
        ("scratch", &root, &claude),
    ] {
        by_hand(&town, session, of_town, program);
    }
    let mut supervisor = town.start();

    let unsupervised = "rig/gastown/polecats/unsupervised";
    opens(
        &town,
        unsupervised,
        "warning",
        None,
        "an agent runs in session gt-gastown-Ghost, but there is no directory",
    );
    let text = problem(&town, unsupervised).unwrap()["text"].to_string();
    assert!(!text.contains("more of this kind"), "{text}");
    town.tmux(&["kill-session", "-t", "=gt-gastown-Ghost"]);
    closes(&town, unsupervised);

    town.wait_started(&["deacon"]);
    town.put("demo/doze-deacon", "");
    town.put("deacon/heartbeat.json", heartbeat_of(20));
    opens(&town, "deacon/heartbeat_stale", "warning", Some("deacon"), "its heartbeat is old");
    town.put("deacon/heartbeat.json", heartbeat_of(0));
    closes(&town, "deacon/heartbeat_stale");

    let stalled = "rig/gastown/gastown/polecats/Toast/stalled";
    opens(&town, stalled, "warning", Some("gastown/polecats/Toast"), "gt-w1 is on its hook");
    let status = town.ask(&["status", "--output", "wide"]).stdout;
    let line = status.lines().find(|line| line.starts_with("gastown/polecats/Toast")).unwrap();
    let (_, pid) = town.incarnation("gt-gastown-Toast").unwrap();
    assert!(line.contains(" gt-w1 ") && line.contains(&format!(" {pid} ")), "{status}");
    // It is under way again.
    let mut bead = town.json("demo/beads/gt-gastown-polecat-Toast.json");
    bead["updated_at"] = json!("2100-01-01T00:00:00Z");
    town.bead(bead);
    closes(&town, stalled);

    let (bd, away) = (town.bin().join("bd"), town.bin().join("bd.away"));
    fs::rename(&bd, &away).unwrap();
    town.program("bd", "exec sleep 60");
    opens(&town, "ledger/bd_hung", "error", None, "bd does not answer: `bd ");
    fs::rename(&away, &bd).unwrap();
    closes(&town, "ledger/bd_hung");
    supervisor.stop(Signal::TERM);
}

#[test]
fn the_wide_table_shows_processes() {
    let _among = among_others();
    let town = town_of_a_witness();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    kill_agent(&town, "gt-alpha-witness");
    town.wait("its restart", || town.started("alpha/witness") == 2);
    let witness = || town.ask(&["status", "alpha/witness", "--json"]).json()["agents"][0].clone();
    let (_, pid) = town.incarnation("gt-alpha-witness").unwrap();
    town.wait("its process", || witness()["pid"] == pid);
    let seen = witness();
    assert_eq!((&seen["program"], &seen["hook"]), (&json!("claude"), &Value::Null), "{seen}");
    assert!(seen["started_at"].as_str().unwrap().ends_with('Z'), "{seen}");
    assert!(seen["last_exit"]["at"].as_str().unwrap().ends_with('Z'), "{seen}");
    let page = town.ask(&["status", "-o", "wide"]).stdout;
    let header = page.lines().find(|line| line.starts_with("AGENT")).unwrap();
    let columns: Vec<&str> = header.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
    assert_eq!(columns[6..], ["PROGRAM", "PID", "HOOK", "UPTIME", "LAST EXIT", "WHY"], "{page}");
    let line = page.lines().find(|line| line.starts_with("alpha/witness")).unwrap();
    assert!(line.contains("s ago"), "{page}");
    supervisor.stop(Signal::TERM);
    let left = witness();
    assert_eq!(left["last_exit"], seen["last_exit"], "no supervisor runs: {left}");
}
