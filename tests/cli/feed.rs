//! The feed from outside: an event of an agent becomes one readable line, once, however the supervisor ends.

use std::{fs::OpenOptions, io::Write, os::unix::fs::PermissionsExt};

use rustix::process::Signal;

use crate::{among_others, support::town::Town};

fn summaries(town: &Town) -> Vec<String> {
    let text = town.text(".feed.jsonl");
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let parsed = whole.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    parsed.map(|line| line["summary"].as_str().unwrap().to_owned()).collect()
}

fn agent_tells(town: &Town, actor: &str) {
    let mut log = OpenOptions::new().append(true).create(true).open(town.path(".events.jsonl")).unwrap();
    let line = format!(
        "{{\"ts\":\"2026-11-22T20:45:16Z\",\"source\":\"gt\",\"type\":\"handoff\",\"actor\":\"{actor}\",\"visibility\":\"feed\"}}\n"
    );
    log.write_all(line.as_bytes()).unwrap();
}

#[test]
fn deaths_repairs_and_what_agents_tell_once_each_also_across_a_kill() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    agent_tells(&town, "long ago");
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    crate::support::process::signal(before.1, Signal::KILL);
    town.wait("its repair in the feed", || summaries(&town).len() == 2);
    let told = summaries(&town);
    // Its exit status is known only when it was read in time.
    assert!(told[0].starts_with("Session gt-alpha-witness terminated: crashed"), "{told:?}");
    assert!(told[1].starts_with("alpha/witness restarted in "), "{told:?}");
    agent_tells(&town, "mayor");
    town.wait("what the mayor told", || summaries(&town).len() == 3);
    first.stop(Signal::KILL);
    agent_tells(&town, "deacon");
    std::fs::rename(town.path(".events.jsonl"), town.path(".events.jsonl.1")).unwrap();
    agent_tells(&town, "overseer");
    let mut second = town.start_and_beat();
    town.wait("what came meanwhile", || summaries(&town).len() >= 5);
    second.stop(Signal::TERM);
    let handed: Vec<String> = summaries(&town)[2..].to_vec();
    assert_eq!(
        handed,
        ["mayor", "deacon", "overseer"].map(|who| format!("{who} handed off to fresh session"))
    );
    assert_eq!(town.mode(".feed.jsonl"), 0o644);
    assert_eq!(town.mode("daemon/supervisor/feed.json"), 0o600);
}

#[test]
fn an_event_log_that_cannot_be_written_is_reported_once_and_what_waited_comes_later() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    // A directory in its place: mode bits would not keep root from writing.
    std::fs::create_dir(town.path(".events.jsonl")).unwrap();
    let before = town.incarnation("gt-alpha-witness").unwrap();
    crate::support::process::signal(before.1, Signal::KILL);
    town.wait("its repair", || town.started("alpha/witness") == 2);
    assert_eq!(town.logged(".events.jsonl cannot be written"), 1, "{}", town.log());
    std::fs::remove_dir(town.path(".events.jsonl")).unwrap();
    town.wait("both lines", || summaries(&town).len() == 2);
    let mode = std::fs::metadata(town.path(".events.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    supervisor.stop(Signal::TERM);
}
