//! Unintended deaths: noticed, confirmed, answered once, and reported once.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{
        process::{self, comm, tree},
        recording::{Recording, kill_agent},
        standin,
        town::Town,
    },
};

/// A pane younger than this is taken for one in which an agent is still coming up.
const YOUNG: &str = "4s";

/// A session as it is when a person began an agent in it by hand: the shell stays when the agent is gone.
fn in_a_shell(town: &Town, session: &str, identity: &str) {
    by_hand(town, session, identity, "; exec sh");
}

/// A session with an agent that the supervisor did not start.
fn by_hand(town: &Town, session: &str, identity: &str, then: &str) {
    let (root, actor) = (format!("GT_ROOT={}", town.root().display()), format!("BD_ACTOR={identity}"));
    let line = format!("{}{then}", town.bin().join("claude").display());
    town.tmux(&["new-session", "-d", "-s", session, "-e", &root, "-e", &actor, &line]);
    town.wait("its agent", || agent_in(town, session).is_some());
}

fn agent_in(town: &Town, session: &str) -> Option<u32> {
    tree(town.pane(session)?).into_iter().find(|pid| comm(*pid) == "claude")
}

fn deaths(town: &Town) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = town.events_of("session_death").into_iter().map(|death| {
        assert_eq!(death["caller"], "daemon", "{death}");
        (text(&death["session"]), text(&death["reason"]))
    });
    told.collect()
}

#[test]
fn a_witness_is_back_within_two_seconds() {
    let _alone = alone();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"restart": {"confirm": "1s"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let killed = Instant::now();
    let before = kill_agent(&town, "gt-alpha-witness");
    town.wait_replaced("gt-alpha-witness", &before);
    let took = killed.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}\n{}", town.log());
    town.wait("its start", || town.started("alpha/witness") == 2);
    town.wait("both events", || town.events().len() == 2);
    let [(session, reason)] = &deaths(&town)[..] else { panic!("one death") };
    assert_eq!(session, "gt-alpha-witness");
    assert!(["crashed (exit 137)", "crashed"].contains(&reason.as_str()), "{reason}");
    assert_eq!(town.begun("alpha/witness"), 2);
}

#[test]
fn a_crashed_polecat_with_work_is_back_and_one_without_is_left() {
    let _among = among_others();
    // `polecats.confirm` as it is by default: 5 s.
    let town = Town::recorded(json!({"heartbeat": {"interval": "1s"}, "start": {"timeout": YOUNG}}));
    town.patrols(&[]);
    for (name, hook) in [("killed", "gt-w1"), ("zombie", "gt-w2"), ("finished", "gt-w3")] {
        town.polecat("gastown", name, hook);
    }
    town.server.must(&["kill-session", "-t", "=gt-gastown-zombie"]);
    in_a_shell(&town, "gt-gastown-zombie", "gastown/polecats/zombie");
    let _supervisor = town.start();
    for name in ["killed", "zombie", "finished"] {
        town.wait_logged(&format!("gastown/polecats/{name}: already running, adopted"));
    }
    town.bead(json!({"id": "gt-w3", "title": "Fix it", "status": "closed", "issue_type": "task"}));
    let begun = town.begun("gastown/polecats/zombie");
    let killed = kill_agent(&town, "gt-gastown-killed");
    kill_agent(&town, "gt-gastown-finished");
    process::signal(agent_in(&town, "gt-gastown-zombie").unwrap(), Signal::KILL);
    for name in ["killed", "zombie"] {
        town.wait("its start", || town.started(&format!("gastown/polecats/{name}")) == 1);
    }
    town.wait_logged("gastown/polecats/finished: not running, not started: its hooked bead gt-w3 is closed");
    town.wait_replaced("gt-gastown-killed", &killed);
    town.wait("both records of the crashes", || town.crashes().len() == 2);
    town.wait("the events", || town.events().len() == 4);
    town.wait_beats(2);
    for (name, hook) in [("killed", "gt-w1"), ("zombie", "gt-w2")] {
        let line = format!(
            "CRASH DETECTED: polecat gastown/{name} has hook_bead={hook} but session gt-gastown-{name} is dead"
        );
        assert_eq!(town.logged(&line), 1, "{}", town.log());
        let told = |crash: &&Value| crash[1] == format!("gastown/{name}");
        let crashes = town.crashes();
        let crash = crashes.iter().find(told).expect(name);
        assert_eq!((&crash[0], &crash[2]), (&json!("--agent"), &json!("--session")), "{crash}");
        assert_eq!(crash[3], format!("gt-gastown-{name}"));
    }
    let finished = town.logged("gastown/polecats/finished: session is gone");
    assert_eq!(finished, 1, "not at every heartbeat: {}", town.log());
    assert_eq!(town.logged("CRASH DETECTED"), 2, "{}", town.log());
    assert_eq!(town.incarnation("gt-gastown-finished"), None, "{}", town.log());
    let begun_now =
        ["killed", "zombie", "finished"].map(|name| town.begun(&format!("gastown/polecats/{name}")));
    assert_eq!(begun_now, [2, begun + 1, 1]);
    let mut told = deaths(&town);
    told.sort();
    assert!(told[0].0 == "gt-gastown-killed" && told[0].1.starts_with("crashed"), "{told:?}");
    assert_eq!(told[1], ("gt-gastown-zombie".to_owned(), "agent gone, shell left".to_owned()));
    assert_eq!(town.mails(), Vec::<Value>::new());
}

/// Alerts go to a file, and everything about one death is reported within seconds.
fn with_alerts(rigs: &[&str], patrols: &[&str]) -> Town {
    let town = Town::new(rigs);
    town.patrols(patrols);
    town.settings(json!({
        "heartbeat": {"interval": "1s"},
        "restart": {"confirm": "1s"},
        "deaths": {"window": "2s", "paced_restart": "100ms"},
        "notify": {"command": "cat >> demo/notified.jsonl"},
    }));
    town
}

/// The one alert there is, and that nothing follows it.
fn the_alert(town: &Town, count: usize) -> Value {
    town.wait("the alert", || !town.text("demo/notified.jsonl").is_empty());
    // The follow-up would be reported after twice the window.
    town.wait_beats(5);
    let events: Vec<Value> =
        town.events().into_iter().filter(|event| event["type"] == "mass_death").collect();
    let notified: Vec<Value> = town
        .text("demo/notified.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON on one line"))
        .collect();
    assert_eq!(notified, events, "what people are told is what stands in the event log");
    assert_eq!(events.len(), 1, "one alert: {events:?}\n{}", town.log());
    assert_eq!(
        town.logged(&format!("MASS DEATH DETECTED: {count} sessions died in 2s: [")),
        1,
        "{}",
        town.log()
    );
    assert_eq!(town.logged("MASS DEATH"), 1, "{}", town.log());
    let payload = events[0]["payload"].clone();
    assert_eq!((&payload["count"], &payload["window"]), (&json!(count), &json!("2s")));
    payload
}

fn names(alert: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        alert["sessions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_servers_death_is_one_alert_and_everything_comes_back() {
    let _among = among_others();
    let town = with_alerts(&["alpha", "beta"], &["deacon", "witness"]);
    let agents = ["deacon", "alpha/witness", "beta/witness"];
    let _supervisor = town.start();
    town.wait_started(&agents);
    town.server.kill_hard();
    for agent in agents {
        town.wait(&format!("the restart of {agent}"), || town.started(agent) == 2);
    }
    let alert = the_alert(&town, 3);
    assert_eq!(alert["possible_cause"], "tmux server died");
    assert_eq!(names(&alert), ["gt-alpha-witness", "gt-beta-witness", "hq-deacon"]);
    assert_eq!(town.logged("Possible cause of the mass death: tmux server died"), 1);
    assert_eq!(agents.map(|agent| town.begun(agent)), [2; 3]);
    let mut told = deaths(&town);
    told.sort();
    let with = |session: &str| (session.to_owned(), "tmux server died".to_owned());
    assert_eq!(told, [with("gt-alpha-witness"), with("gt-beta-witness"), with("hq-deacon")]);
}

#[test]
fn three_at_once_are_one_alert() {
    let _among = among_others();
    let town = with_alerts(&["alpha", "beta", "gamma"], &["witness"]);
    let agents = ["alpha/witness", "beta/witness", "gamma/witness"];
    let sessions = ["gt-alpha-witness", "gt-beta-witness", "gt-gamma-witness"];
    let _supervisor = town.start();
    town.wait_started(&agents);
    for session in sessions {
        kill_agent(&town, session);
    }
    for agent in agents {
        town.wait(&format!("the restart of {agent}"), || town.started(agent) == 2);
    }
    let alert = the_alert(&town, 3);
    assert_eq!(names(&alert), sessions);
    let cause = &alert["possible_cause"];
    assert!(cause.is_null() || *cause == "all ended with exit status 137", "{alert}");
    assert_eq!(agents.map(|agent| town.begun(agent)), [2; 3]);
}

#[test]
fn rigs_that_are_stopped_are_no_mass_death() {
    let _among = among_others();
    let rigs = ["alpha", "beta", "gamma"];
    let town = with_alerts(&rigs, &["witness"]);
    standin::program_of_its_own(&town.bin(), "gt");
    let _supervisor = town.start();
    town.wait_started(&rigs.map(|rig| format!("{rig}/witness")).each_ref().map(String::as_str));
    let stop = Recording::read("t50_rig_stop");
    let mut all: Vec<_> = rigs.iter().map(|rig| town.gt(&stop.clone().of_rig(rig))).collect();
    all.iter_mut().for_each(|gt| gt.wait());
    for rig in rigs {
        town.wait_logged(&format!("{rig}/witness: stopped by hand (`gt rig stop {rig} --force`)"));
    }
    town.wait_beats(2);
    assert_eq!(town.sessions(), Vec::<String>::new(), "{}", town.log());
    assert_eq!(town.events(), Vec::<Value>::new(), "{}", town.log());
    assert_eq!(town.logged("MASS DEATH") + town.text("demo/notified.jsonl").len(), 0);
    assert_eq!(town.mails(), Vec::<Value>::new());
}

#[test]
fn a_backoff_is_kept_by_the_next_supervisor_and_cleared_by_hand() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = kill_agent(&town, "gt-alpha-witness");
    town.wait_replaced("gt-alpha-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 2);
    kill_agent(&town, "gt-alpha-witness");
    town.wait_logged("alpha/witness: restart 2 waits until");
    first.stop(Signal::TERM);
    let second = town.start_and_beat();
    town.wait("the wait to be kept to", || town.logged("alpha/witness: restart 2 waits until") == 2);
    assert_eq!((town.begun("alpha/witness"), town.incarnation("gt-alpha-witness")), (2, None));
    let mut state = town.json("daemon/restart_state.json");
    assert!(state["agents"].as_object_mut().unwrap().remove("alpha/witness").is_some(), "{state}");
    town.put("daemon/restart_state.json", state.to_string());
    second.signal(Signal::USR2);
    town.wait_logged("alpha/witness: restart_state.json was changed from outside");
    town.wait("its start", || town.started("alpha/witness") == 3);
    assert_eq!(town.begun("alpha/witness"), 3);
}

#[test]
fn one_that_ends_at_a_usage_limit_is_tried_later_and_not_counted() {
    let _among = among_others();
    let town = Town::new(&["alpha", "beta"]);
    town.patrols(&["witness"]);
    town.settings(json!({
        "heartbeat": {"interval": "1s"},
        "restart": {"confirm": "1s"},
        "start": {"timeout": YOUNG},
        "usage_limit": {"margin": "0s"},
    }));
    // One whose session ends with it: what was last seen counts. And one that leaves its shell, with the screen.
    by_hand(&town, "gt-alpha-witness", "alpha/witness", "");
    in_a_shell(&town, "gt-beta-witness", "beta/witness");
    let sessions = ["=gt-alpha-witness:", "=gt-beta-witness:"];
    let limit = "You've hit your usage limit. Try again in 9 seconds.";
    for session in sessions {
        town.server.must(&["send-keys", "-l", "-t", session, &format!("say {limit}")]);
        town.server.must(&["send-keys", "-t", session, "Enter"]);
        town.wait("its words", || {
            town.server.must(&["capture-pane", "-p", "-t", session]).contains(&format!("\n{limit}"))
        });
    }
    let _supervisor = town.start();
    for agent in ["alpha/witness", "beta/witness"] {
        town.wait_logged(&format!("{agent}: already running, adopted"));
    }
    town.wait_beats(2);
    for session in sessions {
        town.server.must(&["send-keys", "-t", session, "C-c"]);
    }
    let agents = ["alpha/witness", "beta/witness"];
    for agent in agents {
        town.wait("the limit to be seen", || {
            town.logged(&format!("{agent}: not running, not started: limited until ")) == 1
        });
        assert_eq!(town.begun(agent), 1, "not at once: {}", town.log());
    }
    for agent in agents {
        town.wait("the retry", || town.begun(agent) == 2);
    }
    town.wait("both to be up", || town.logged(": started in ") == 2);
    for agent in agents {
        let history = town.json("daemon/restart_state.json")["agents"][agent].clone();
        assert_eq!(history["restart_count"].as_i64().unwrap_or(0), 0, "{agent}: {history}");
    }
    let kinds: Vec<Value> = town.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        kinds,
        ["usage_limit_reached", "usage_limit_over"],
        "neither a death nor a restart\n{}",
        town.log()
    );
}

#[test]
fn killed_between_a_death_and_its_repair_the_next_one_takes_over() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"heartbeat": {"interval": "1s"}, "restart": {"confirm": "1s"}}));
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    kill_agent(&town, "gt-alpha-witness");
    town.wait_logged("; confirming, decided in 1s");
    first.stop(Signal::KILL);
    assert_eq!((town.incarnation("gt-alpha-witness"), town.begun("alpha/witness")), (None, 1));
    let _second = town.start();
    town.wait("its start", || town.started("alpha/witness") == 2);
    let back = town.incarnation("gt-alpha-witness").expect("it is back");
    town.wait_beats(2);
    assert_eq!(town.incarnation("gt-alpha-witness"), Some(back), "{}", town.log());
    assert_eq!(town.begun("alpha/witness"), 2, "exactly one: {}", town.log());
    assert_eq!(town.sessions(), ["gt-alpha-witness"]);
}
