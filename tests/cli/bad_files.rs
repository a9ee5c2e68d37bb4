//! Files that are broken, missing or of the wrong kind, and full disks: each is reported once, and nothing else is lost.

use std::{fs, os::unix::fs::symlink};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    among_others,
    support::{
        process,
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

fn town(rigs: &[&str]) -> Town {
    let town = Town::new(rigs);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town
}

fn warnings(town: &Town) -> Vec<String> {
    let mut texts = town.log_texts();
    texts.retain(|text| text.starts_with("Warning: ") || text.starts_with("Error: "));
    texts
}

/// It runs on, has said each thing once, and did not panic.
fn runs_on(town: &Town, supervisor: &mut Supervisor, case: &str) {
    town.wait_beats(3);
    assert!(supervisor.runs(), "{case}");
    let mut warned = warnings(town);
    warned.sort();
    let count = warned.len();
    warned.dedup();
    assert_eq!(warned.len(), count, "{case}: said again and again: {}", town.log());
    assert!(!supervisor.stderr().contains("panicked"), "{case}: {}", supervisor.stderr());
}

#[test]
fn at_the_start() {
    type Prepare = fn(&Town);
    let cases: [(&str, Prepare, &[&str], &[&str]); 12] = [
        (
            "half-written rigs.json",
            |town| town.put("mayor/rigs.json", "{\"rigs\": {\"alpha\": {\"gi"),
            &["mayor/rigs.json:1:"],
            &["hq-deacon"],
        ),
        (
            "a directory for rigs.json",
            |town| {
                town.remove("mayor/rigs.json");
                fs::create_dir(town.path("mayor/rigs.json")).unwrap();
            },
            &["mayor/rigs.json: cannot be read: "],
            &["hq-deacon"],
        ),
        (
            "no rigs.json",
            |town| town.remove("mayor/rigs.json"),
            &["mayor/rigs.json is missing"],
            &["hq-deacon"],
        ),
        (
            "broken daemon.json",
            |town| town.put("mayor/daemon.json", "{\"patrols\": {\"witness\": {\"enabled\": fal"),
            &["mayor/daemon.json:1:"],
            &["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"],
        ),
        (
            "wrong types in daemon.json",
            |town| {
                town.put(
                    "mayor/daemon.json",
                    r#"{"patrols":{"witness":{"enabled":"no"},"refinery":{"enabled":false}}}"#,
                )
            },
            &["mayor/daemon.json:1:34: patrols.witness.enabled: "],
            &["gt-alpha-witness", "hq-deacon"],
        ),
        (
            "broken wisp",
            |town| town.put(".beads-wisp/config/alpha.json", "{\"values\": {\"status\": \"par"),
            &[".beads-wisp/config/alpha.json:1:"],
            &["hq-deacon"],
        ),
        (
            "no wisp",
            |town| town.remove(".beads-wisp/config/alpha.json"),
            &["alpha"],
            &["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"],
        ),
        (
            "broken pause file",
            |town| town.put(".runtime/deacon/paused.json", "{\"paused\": tr"),
            &[".runtime/deacon/paused.json:1:"],
            &["gt-alpha-refinery", "gt-alpha-witness"],
        ),
        (
            "broken agent settings",
            |town| {
                town.put("settings/config.json", "{\"default_agent\": ");
                town.put("settings/agents.json", "[]");
                town.put("alpha/settings/config.json", "\u{0}");
                town.put(".beads/routes.jsonl", "{\"prefix\":\n# junk\n\u{1}");
            },
            &[
                "Warning: settings/config.json:1:18: ",
                "Warning: settings/agents.json:1:1: ",
                "Warning: alpha/settings/config.json:1:1: ",
            ],
            &["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"],
        ),
        (
            "broken state of the agents",
            |town| {
                town.put("alpha/.runtime/witness.json", "{\"state\": \"stop");
                town.put("alpha/.runtime/refinery.json", "");
            },
            &[],
            &["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"],
        ),
        (
            "broken files of ours",
            |town| {
                town.put("daemon/state.json", "{\"running\": tr");
                town.put("daemon/restart_state.json", "{\"agents\": {\"deacon\": 7}}");
                town.put("daemon/daemon.pid", "junk");
            },
            &["daemon/restart_state.json:1:"],
            &["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"],
        ),
        (
            "no directories for the rig",
            |town| {
                fs::remove_dir_all(town.path("alpha/refinery")).unwrap();
                fs::remove_dir_all(town.path("alpha/witness")).unwrap();
            },
            &["alpha/refinery cannot be started: its directory "],
            &["gt-alpha-witness", "hq-deacon"],
        ),
    ];
    let chunk = cases.len().div_ceil(4);
    std::thread::scope(|scope| {
        for cases in cases.chunks(chunk) {
            scope.spawn(move || {
                for (case, prepare, told, sessions) in cases {
                    let _among = among_others();
                    let town = town(&["alpha"]);
                    prepare(&town);
                    let mut supervisor = town.start_and_beat();
                    town.wait(&format!("{case}: its sessions"), || town.sessions() == **sessions);
                    runs_on(&town, &mut supervisor, case);
                    assert_eq!(town.sessions(), **sessions, "{case}");
                    for told in *told {
                        let lines = warnings(&town).into_iter().filter(|line| line.contains(told)).count();
                        assert_eq!(lines, 1, "{case}: {told:?} in {}", town.log());
                    }
                    assert!(warnings(&town).len() <= told.len().max(1), "{case}: {:?}", warnings(&town));
                    if *case == "broken files of ours" {
                        assert_eq!(
                            town.text("daemon/restart_state.json.corrupt"),
                            "{\"agents\": {\"deacon\": 7}}"
                        );
                        assert_eq!(town.json("daemon/state.json")["running"], true);
                    }
                }
            });
        }
    });
}

#[test]
fn a_list_of_rigs_that_breaks_is_no_town_without_rigs() {
    let _among = among_others();
    let town = town(&["alpha"]);
    town.patrols(&["witness"]);
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.put("mayor/rigs.json", "{\"rigs\": {\"al");
    town.wait_logged("the last good list stays in force");
    process::signal(town.pane("gt-alpha-witness").unwrap(), Signal::KILL);
    town.wait("its restart", || town.started("alpha/witness") == 2);
    runs_on(&town, &mut supervisor, "rigs.json");
    town.rigs(&["alpha", "beta"]);
    town.wait_started(&["beta/witness"]);
    let resolved = |text: &String| text.starts_with("Resolved: ") && text.contains("mayor/rigs.json:1:");
    assert_eq!(town.log_texts().iter().filter(|text| resolved(text)).count(), 1, "{}", town.log());
}

#[test]
fn a_broken_wisp_is_unknown_until_it_is_right() {
    let _among = among_others();
    let town = town(&["alpha", "beta"]);
    town.patrols(&["witness"]);
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness", "beta/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    // It said nothing of being parked before; unknown all the same.
    town.put(".beads-wisp/config/alpha.json", "{\"values\": {\"status\": ");
    process::signal(before.1, Signal::KILL);
    town.wait("its end", || town.incarnation("gt-alpha-witness").is_none());
    runs_on(&town, &mut supervisor, "wisp");
    assert_eq!(town.incarnation("gt-alpha-witness"), None, "{}", town.log());
    town.wisp("alpha", None);
    town.wait("its restart", || town.started("alpha/witness") == 2);
}

#[test]
fn rig_names_that_are_none() {
    let _among = among_others();
    let town = town(&["alpha"]);
    let long = "x".repeat(300);
    let names = ["../evil", "", &long, "a b", "-x", "a/b", ".", "..", "a\nb", "alpha", "a.b", "a_b"];
    let rigs: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), json!({"git_url": "x"}))).collect();
    town.put("mayor/rigs.json", json!({"version": 1, "rigs": rigs}).to_string());
    for name in ["a.b", "a_b"] {
        fs::create_dir_all(town.path(name)).unwrap();
    }
    let mut supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    runs_on(&town, &mut supervisor, "names");
    assert_eq!(town.sessions(), ["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"]);
    let warned = warnings(&town);
    assert_eq!(warned.len(), names.len() - 1, "one line for each but the good one: {warned:#?}");
    assert!(warned.iter().all(|line| line.len() < 500), "{warned:#?}");
    let around: Vec<_> = fs::read_dir(town.root().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(!around.iter().any(|name| name == "evil"), "{around:?}");
}

#[test]
fn a_full_disk_under_the_log() {
    let _among = among_others();
    let town = town(&["alpha"]);
    fs::create_dir_all(town.path("daemon")).unwrap();
    symlink("/dev/full", town.path("daemon/daemon.log")).unwrap();
    let mut supervisor = town.start();
    town.wait("its sessions", || town.sessions().len() == 3);
    town.wait("the third heartbeat", || town.json("daemon/state.json")["heartbeat_count"] == 3);
    let said = supervisor.stderr();
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("cannot be written")).collect();
    assert_eq!(complaints.len(), 1, "{said}");
    assert!(complaints[0].contains("daemon/daemon.log"), "{said}");
    assert!(said.contains("Heartbeat complete (#2)"), "people in the foreground still see it: {said}");
    // Room again: the log continues and reports how much it lost.
    fs::remove_file(town.path("daemon/daemon.log")).unwrap();
    supervisor.signal(Signal::HUP);
    town.wait_logged("log lines lost before this one");
    let (status, _) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status));
    assert_eq!(town.sessions().len(), 3);
}

#[test]
fn files_of_ours_that_cannot_be_written() {
    let _among = among_others();
    let town = town(&["alpha"]);
    for file in ["daemon/state.json", "daemon/restart_state.json", ".events.jsonl", "alpha/.runtime"] {
        let path = town.path(file);
        if file == "alpha/.runtime" {
            fs::write(path, "").unwrap();
        } else {
            fs::create_dir_all(path.join("in the way")).unwrap();
        }
    }
    let mut supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    process::signal(town.pane("gt-alpha-witness").unwrap(), Signal::KILL);
    town.wait("its restart", || town.started("alpha/witness") == 2);
    town.wait_beats(3);
    for file in ["daemon/state.json", "daemon/restart_state.json"] {
        let told = format!("{file} cannot be written: ");
        assert_eq!(warnings(&town).iter().filter(|line| line.contains(&told)).count(), 1, "{}", town.log());
    }
    assert!(!supervisor.stderr().contains("panicked"));
    // Out of the way again.
    fs::remove_dir_all(town.path("daemon/state.json")).unwrap();
    town.wait("the state file", || town.json("daemon/state.json")["running"] == true);
    let (status, _) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status));
    assert_eq!(town.json("daemon/state.json")["running"], false);
    assert!(!town.path("daemon/daemon.pid").exists());
    assert_eq!(town.sessions().len(), 3);
}
