//! The deacon's progress: a stale heartbeat is answered with a nudge, a stuck one with a replacement, neither too early.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{supervisor::Supervisor, town::Town};

const DEACON: &str = "hq-deacon";
const HEALTH_CHECK: &str = "HEALTH_CHECK: heartbeat stale, respond to confirm responsiveness";

fn town(deacon: Value) -> Town {
    let town = Town::new(&[]);
    town.settings(json!({"deacon": deacon, "restart": {"initial_backoff": "10ms"}}));
    town
}

/// The deacon takes what is typed, but its heartbeat never changes.
fn without_heartbeat(town: &Town) {
    fs::create_dir_all(town.path("deacon/.heartbeat.json.standin")).unwrap();
}

fn beat(town: &Town, age: Duration) {
    let at = jiff::Timestamp::now() - age;
    town.put("deacon/heartbeat.json", json!({"timestamp": at.to_string(), "cycle": 7}).to_string());
}

#[test]
fn a_deacon_that_hangs_is_nudged_and_then_replaced() {
    let town = town(json!({"stale_after": "3s", "stuck_after": "5s", "grace": "1s", "nudge_every": "1m"}));
    let _supervisor = town.start();
    town.wait_started(&["deacon"]);
    town.wait("its heartbeat", || town.path("deacon/heartbeat.json").exists());
    let before = town.incarnation(DEACON).unwrap();
    town.put("demo/hang-deacon", "");
    town.wait_logged("deacon: its heartbeat is");
    assert_eq!(town.incarnation(DEACON).unwrap(), before, "asked first");
    // The next one is well.
    town.wait_logged("deacon: ending it: its heartbeat is");
    town.remove("demo/hang-deacon");
    town.wait_replaced(DEACON, &before);
    town.wait("its start", || town.started("deacon") == 2);
    let old = town.text("deacon/heartbeat.json");
    town.wait("a heartbeat of the new one", || town.text("deacon/heartbeat.json") != old);
    assert_eq!((town.logged("nudging it"), town.logged("ending it")), (1, 1), "{}", town.log());
}

#[test]
fn the_health_check_arrives_once() {
    let town = town(json!({"stale_after": "1s", "stuck_after": "1h", "grace": "1s", "nudge_every": "1h"}));
    town.settings(json!({
        "deacon": {"stale_after": "1s", "stuck_after": "1h", "grace": "1s", "nudge_every": "1h"},
        "heartbeat": {"interval": "1s"},
    }));
    without_heartbeat(&town);
    let _supervisor = town.start();
    town.wait_started(&["deacon"]);
    beat(&town, Duration::ZERO);
    town.wait("the nudge", || town.received("deacon").contains(HEALTH_CHECK));
    town.wait_beats(2);
    let received = town.received("deacon");
    assert_eq!(received.lines().filter(|line| *line == HEALTH_CHECK).count(), 1, "{received}");
}

#[test]
fn grace_follows_a_replacement() {
    let grace = Duration::from_secs(4);
    let town = town(json!({"stale_after": "1s", "stuck_after": "2s", "grace": "4s", "nudge_every": "1h"}));
    without_heartbeat(&town);
    beat(&town, Duration::from_secs(3600));
    let supervisor: Supervisor = town.start();
    // Neither the first nor the second is ended before its time, however old the file is.
    for number in 1..=2 {
        let begun = town
            .wait_some("the deacon's session", || town.incarnation(DEACON).map(|it| (it, Instant::now())));
        town.wait("the deacon's start", || town.started("deacon") == number);
        town.wait_replaced(DEACON, &begun.0);
        let lived = begun.1.elapsed();
        assert!(lived >= grace, "number {number} was ended after {lived:?}: {}", town.log());
    }
    drop(supervisor);
}

#[test]
fn one_that_was_there_before_us_has_its_grace_too_and_a_paused_one_is_left_alone() {
    let town = Town::new(&[]);
    town.settings(json!({
        "deacon": {"stale_after": "1s", "stuck_after": "2s", "grace": "3s", "nudge_every": "1s"},
        "heartbeat": {"interval": "1s"},
    }));
    beat(&town, Duration::from_secs(3600));
    let claude = town.bin().join("claude");
    town.tmux(&["new-session", "-d", "-s", DEACON, claude.to_str().unwrap()]);
    let before = town.incarnation(DEACON).unwrap();
    let paused = |paused: bool| {
        town.put(".runtime/deacon/paused.json", json!({"paused": paused}).to_string());
    };
    paused(true);
    let _supervisor = town.start_and_beat();
    town.wait_beats(4);
    assert_eq!(town.incarnation(DEACON).unwrap(), before, "paused: {}", town.log());
    assert_eq!(town.logged("nudging it"), 0);
    let unpaused = Instant::now();
    paused(false);
    town.wait_replaced(DEACON, &before);
    assert!(unpaused.elapsed() >= Duration::from_secs(3), "{:?}", unpaused.elapsed());
}

#[test]
fn an_unreadable_heartbeat_is_unknown_and_reported_once() {
    let town = Town::new(&[]);
    town.settings(json!({
        "deacon": {"stale_after": "1s", "stuck_after": "1s", "grace": "1s", "nudge_every": "1s"},
        "heartbeat": {"interval": "1s"},
    }));
    without_heartbeat(&town);
    town.put("deacon/heartbeat.json", "{\"timestamp\": \"2026-01-1");
    let _supervisor = town.start();
    town.wait_started(&["deacon"]);
    let before = town.incarnation(DEACON).unwrap();
    town.wait_beats(3);
    assert_eq!(town.incarnation(DEACON).unwrap(), before, "{}", town.log());
    assert_eq!(town.logged("deacon/heartbeat.json:1:"), 1, "{}", town.log());
}
