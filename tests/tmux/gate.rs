//! When nothing may be started: parked rigs, a paused deacon, agents stopped by hand. What runs is left running.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{process, town::Town};

const WITNESS: &str = "gt-alpha-witness";

fn pause(town: &Town, paused: bool) {
    let file = json!({"paused": paused, "reason": "a test", "paused_at": "2026-01-16T12:00:00Z", "paused_by": "human"});
    town.put(".runtime/deacon/paused.json", file.to_string());
}

#[test]
fn a_server_that_is_down_stays_down_while_nothing_may_start() {
    let town = Town::new(&["alpha", "beta"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "boot": {"enabled": true, "cooldown": "0s"}}));
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery", "beta/witness", "beta/refinery"]);
    town.wisp("alpha", Some("parked"));
    town.wisp("beta", Some("docked"));
    pause(&town, true);
    town.server.must(&["kill-server"]);
    town.wait("the server's end", || !town.server.runs());
    town.wait_beats(3);
    assert!(!town.server.runs(), "{}", town.log());
    assert!(town.logged("alpha/witness: not running, not started: rig is parked") == 1, "{}", town.log());
    assert!(town.logged("beta/refinery: not running, not started: rig is docked") == 1, "{}", town.log());
    assert!(town.logged("deacon: not running, not started: deacon is paused: a test") == 1, "{}", town.log());
    // One that is allowed starts it.
    town.wisp("beta", None);
    town.wait("beta's witness", || town.started("beta/witness") == 2);
    assert_eq!(town.sessions().iter().filter(|name| !name.starts_with("gt-beta-")).count(), 0);
}

#[test]
fn a_supervisor_with_nothing_to_start_starts_no_server() {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town.wisp("alpha", Some("parked"));
    pause(&town, true);
    let mut supervisor = town.start_and_beat();
    town.wait_beats(2);
    assert!(!town.server.runs() && !town.server.socket().exists());
    supervisor.stop(Signal::TERM);
    assert!(!town.server.socket().exists());
}

#[test]
fn parked_and_unparked() {
    // No heartbeat comes to help in time.
    let town = Town::new(&["alpha", "beta"]);
    town.patrols(&["witness"]);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness", "beta/witness"]);
    let (alive, other) = (town.incarnation(WITNESS).unwrap(), town.incarnation("gt-beta-witness").unwrap());
    // `gt rig park` ends the session and then says so.
    town.server.must(&["kill-session", "-t", &format!("={WITNESS}:")]);
    town.wisp("alpha", Some("parked"));
    town.wait_logged("alpha/witness: not running, not started: rig is parked");
    process::signal(other.1, Signal::KILL);
    town.wait("beta's restart", || town.started("beta/witness") == 2);
    assert_eq!(town.incarnation(WITNESS), None);
    town.wisp("alpha", None);
    town.wait_replaced(WITNESS, &alive);
    town.wait("its start", || town.started("alpha/witness") == 2);
}

#[test]
fn what_runs_in_a_parked_rig_is_left_running() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    town.wisp("alpha", Some("parked"));
    town.wait_beats(2);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
}

#[test]
fn stopped_by_hand() {
    let stopped = r#"{"rig_name":"alpha","state":"stopped"}"#;
    type Act = fn(&Town);
    let kill: Act = |town| drop(town.server.must(&["kill-session", "-t", &format!("={WITNESS}:")]));
    let say: Act =
        |town| town.put("alpha/.runtime/witness.json", r#"{"rig_name":"alpha","state":"stopped"}"#);
    std::thread::scope(|scope| {
        for (how, acts) in [("witness stop", [kill, say]), ("witness restart", [say, kill])] {
            scope.spawn(move || {
                let town = Town::new(&["alpha"]);
                town.patrols(&["witness"]);
                // No probe comes between the two acts.
                town.settings(json!({"restart": {"confirm": "500ms"}}));
                let _supervisor = town.start();
                town.wait_started(&["alpha/witness"]);
                acts.iter().for_each(|act| act(&town));
                town.wait_logged(
                    "alpha/witness: stopped by hand (Gas Town notes it as stopped); left alone for 10m",
                );
                town.settings(json!({"heartbeat": {"interval": "500ms"}}));
                town.wait_beats(2);
                assert_eq!(town.incarnation(WITNESS), None, "{how}: {}", town.log());
                assert_eq!(town.text("alpha/.runtime/witness.json"), stopped, "{how}: theirs is not touched");
                // `gt witness start` writes this before its session exists.
                town.put("alpha/.runtime/witness.json", r#"{"rig_name":"alpha","state":"running"}"#);
                town.wait("its start", || town.started("alpha/witness") == 2);
            });
        }
    });
}

#[test]
fn a_rig_that_opens_again_ends_the_hold() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    // `unpark` leaves `stopped` behind.
    town.server.must(&["kill-session", "-t", &format!("={WITNESS}:")]);
    town.put("alpha/.runtime/witness.json", r#"{"rig_name":"alpha","state":"stopped"}"#);
    town.wait_logged("stopped by hand");
    town.wisp("alpha", Some("parked"));
    // Nothing reports that it is closed; two heartbeats have seen it.
    town.wait_beats(2);
    town.wisp("alpha", None);
    town.wait("its start", || town.started("alpha/witness") == 2);
    assert!(town.logged("its rig is operational again") == 1, "{}", town.log());
}
