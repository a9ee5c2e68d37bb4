//! `daemon/shutdown.lock`: while another process holds it, `gt down` is stopping the town.

use std::fs::File;

use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use serde_json::json;

use crate::{
    among_others,
    support::{process, town::Town},
};

fn hold(town: &Town) -> File {
    town.put("daemon/shutdown.lock", "");
    let file = File::open(town.path("daemon/shutdown.lock")).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    file
}

fn town() -> Town {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town
}

#[test]
fn nothing_is_started_while_it_is_held() {
    let _among = among_others();
    let town = town();
    let held = hold(&town);
    let _supervisor = town.start_and_beat();
    town.wait_beats(2);
    assert!(!town.server.runs());
    for agent in ["deacon", "alpha/witness", "alpha/refinery"] {
        let line = format!("{agent}: not running, not started: gt down is taking the town down");
        assert_eq!(town.logged(&line), 1, "{}", town.log());
    }
    drop(held);
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
}

#[test]
fn nothing_is_repaired_or_ended_while_it_is_held() {
    let _among = among_others();
    let town = town();
    town.settings(json!({
        "heartbeat": {"interval": "1s"},
        "deacon": {"stale_after": "1s", "stuck_after": "2s", "grace": "1s", "nudge_every": "1s"},
    }));
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    let held = hold(&town);
    // A deacon that hangs and an agent that dies would be repaired at any other time.
    town.put("demo/hang-deacon", "");
    let deacon = town.incarnation("hq-deacon").unwrap();
    process::signal(town.pane("gt-alpha-witness").unwrap(), Signal::KILL);
    town.wait_logged("alpha/witness: not running, not started: gt down is taking the town down");
    town.wait_beats(4);
    assert_eq!(town.incarnation("gt-alpha-witness"), None);
    assert_eq!(town.incarnation("hq-deacon").unwrap(), deacon, "{}", town.log());
    assert_eq!(town.logged("nudging it"), 0, "{}", town.log());
    drop(held);
    town.wait("the witness", || town.started("alpha/witness") == 2);
    town.wait_replaced("hq-deacon", &deacon);
    town.remove("demo/hang-deacon");
}

#[test]
fn that_it_is_there_means_nothing() {
    let _among = among_others();
    let town = town();
    drop(hold(&town));
    let _supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    assert!(town.path("daemon/shutdown.lock").exists(), "never deleted");
}
