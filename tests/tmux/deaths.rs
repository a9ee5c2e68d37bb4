//! What follows when sessions end: after the confirmation, a restart of exactly what ended.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{process, town::Town};

fn restarts(town: &Town, identity: &str) -> i64 {
    town.json("daemon/restart_state.json")["agents"][identity]["restart_count"].as_i64().unwrap_or(0)
}

#[test]
fn only_the_one_whose_name_is_meant() {
    let town = Town::new(&["a", "a-b", "a-witness"]);
    town.patrols(&["witness"]);
    let _supervisor = town.start();
    town.wait_started(&["a/witness", "a-b/witness", "a-witness/witness"]);
    let before = town.incarnation("gt-a-witness").unwrap();
    let others =
        || ["gt-a-b-witness", "gt-a-witness-witness"].map(|name| town.incarnation(name).expect(name));
    let untouched = others();
    let told = town.first_words("a-witness/witness");
    town.server.must(&["kill-session", "-t", "=gt-a-witness:"]);
    town.wait_replaced("gt-a-witness", &before);
    town.wait("its start", || town.started("a/witness") == 2);
    assert_eq!(others(), untouched);
    assert_eq!(town.received("a-witness/witness"), told, "what was meant for another went to it");
    town.wait("the restart on disk", || restarts(&town, "a/witness") == 1);
    assert_eq!(restarts(&town, "a-b/witness"), 0);
    assert_eq!(town.started("a-b/witness"), 1);
}

#[test]
fn however_it_ended_it_is_restarted_once_after_making_sure() {
    type End = fn(&Town, u32);
    let ends: [(&str, End); 4] = [
        ("kill -9", |_, agent| process::signal(agent, Signal::KILL)),
        ("exit", |town, _| drop(town.server.must(&["send-keys", "-t", "=gt-alpha-witness:", "C-c"]))),
        ("kill-session", |town, _| drop(town.server.must(&["kill-session", "-t", "=gt-alpha-witness:"]))),
        ("a pane that stays", |town, agent| {
            town.server.must(&["set-option", "-w", "-t", "=gt-alpha-witness:", "remain-on-exit", "on"]);
            process::signal(agent, Signal::KILL);
        }),
    ];
    std::thread::scope(|scope| {
        for (how, end) in ends {
            scope.spawn(move || {
                let town = Town::new(&["alpha"]);
                town.patrols(&["witness"]);
                // Heartbeats within that time see it gone too; the second probe comes no earlier for it.
                town.settings(json!({"restart": {"confirm": "700ms"}, "heartbeat": {"interval": "100ms"}}));
                let _supervisor = town.start();
                town.wait_started(&["alpha/witness"]);
                let before = town.incarnation("gt-alpha-witness").unwrap();
                let ended = Instant::now();
                end(&town, before.1);
                town.wait_replaced("gt-alpha-witness", &before);
                assert!(ended.elapsed() >= Duration::from_millis(700), "{how}: {:?}", ended.elapsed());
                town.wait("its start", || town.started("alpha/witness") == 2);
                assert_eq!(town.logged("decided in 700ms"), 1, "{how}: {}", town.log());
                town.wait(&format!("{how}: the restart on disk"), || restarts(&town, "alpha/witness") == 1);
                assert_eq!(town.logged("started in") - town.logged("(restart 1)"), 1, "{how}");
                town.wait(&format!("{how}: the event"), || {
                    town.text(".events.jsonl").contains(r#""type":"agent_restarted""#)
                });
            });
        }
    });
}

#[test]
fn the_server_is_killed_and_everything_comes_back() {
    let town = Town::new(&["alpha", "beta"]);
    let _supervisor = town.start();
    let agents = ["deacon", "alpha/witness", "alpha/refinery", "beta/witness", "beta/refinery"];
    town.wait_started(&agents);
    let server = town.server.pid();
    town.server.kill_hard();
    for agent in agents {
        town.wait(&format!("the restart of {agent}"), || town.started(agent) == 2);
    }
    for agent in agents {
        assert_eq!(restarts(&town, agent), 0, "{agent}: what ended with its server is nobody's restart");
    }
    assert_ne!(town.server.pid(), server);
    assert_eq!(
        town.sessions(),
        ["gt-alpha-refinery", "gt-alpha-witness", "gt-beta-refinery", "gt-beta-witness", "hq-deacon"]
    );
    let keys = town.server.binding("prefix", "n");
    assert!(keys.contains("gt cycle next"), "the new server has the keys too: {keys}");
}

#[test]
fn a_session_that_is_back_by_itself_is_left_alone() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"restart": {"confirm": "2s"}, "heartbeat": {"interval": "1s"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.server.must(&["kill-session", "-t", "=gt-alpha-witness:"]);
    let claude = town.bin().join("claude");
    town.tmux(&["new-session", "-d", "-s", "gt-alpha-witness", claude.to_str().unwrap()]);
    let theirs = town.incarnation("gt-alpha-witness").unwrap();
    // Either it was noticed gone and then back, or only the new one was seen.
    town.wait("the new session to be noticed", || {
        town.logged("is back by itself") + town.logged("runs in a new session") == 1
    });
    town.wait_beats(3);
    assert_eq!(town.incarnation("gt-alpha-witness").unwrap(), theirs);
    assert_eq!((town.started("alpha/witness"), restarts(&town, "alpha/witness")), (1, 0));
}

#[test]
fn restarts_are_spaced_and_a_crash_loop_is_held_reported_and_tried_again() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({
        "restart": {"confirm": "50ms", "initial_backoff": "100ms", "max_backoff": "200ms", "crash_loop_count": 3,
            "retry_crash_loop_after": "3s"},
    }));
    town.put("demo/exit-alpha-witness", "3");
    let _supervisor = town.start();
    town.wait("the mail", || town.text("demo/commands.log").contains("CRASH_LOOP"));
    let commands = town.text("demo/commands.log");
    let mails: Vec<&str> = commands.lines().filter(|line| line.starts_with("gt mail send")).collect();
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("mayor/") && mails[0].contains("CRASH_LOOP: alpha/witness held after 3 restarts")
    );
    let loops = || town.text(".events.jsonl").matches(r#""type":"crash_loop""#).count();
    town.wait("the event", || loops() == 1);
    // The trial: nothing is wrong any more.
    town.remove("demo/exit-alpha-witness");
    town.wait_logged("alpha/witness: started in");
    assert_eq!(town.logged("trial after a crash loop"), 2, "told at its start and when it is up");
    assert_eq!(
        town.text("demo/commands.log").matches("gt mail send").count(),
        1,
        "one mail for one crash loop"
    );
}

#[test]
fn a_rig_that_appears_gets_its_agents_and_one_that_vanishes_keeps_its_sessions() {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.rigs(&["beta"]);
    town.wait_started(&["beta/witness"]);
    let left = town.incarnation("gt-alpha-witness").expect("left alone");
    town.wait_logged("rig alpha is gone from mayor/rigs.json");
    // Nobody supervises it any more.
    process::signal(left.1, Signal::KILL);
    town.wait("its end", || town.incarnation("gt-alpha-witness").is_none());
    let beta = town.incarnation("gt-beta-witness").unwrap();
    process::signal(beta.1, Signal::KILL);
    town.wait("beta's restart", || town.started("beta/witness") == 2);
    assert_eq!(town.incarnation("gt-alpha-witness"), None);
}
