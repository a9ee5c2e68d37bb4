//! Agents that the supervisor's server does not show: a deleted socket, another socket in the settings, an agent
//! without its pane.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    process::{self, Guarded},
    town::Town,
};

const SESSIONS: [&str; 3] = ["gt-alpha-refinery", "gt-alpha-witness", "hq-deacon"];
const AGENTS: [&str; 3] = ["alpha/refinery", "alpha/witness", "deacon"];

fn quick() -> Town {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town
}

#[test]
fn a_deleted_socket_starts_no_agent_twice_and_is_created_again() {
    let town = quick();
    let mut first = town.start();
    town.wait_started(&AGENTS);
    let before = SESSIONS.map(|name| town.incarnation(name).unwrap());
    let agents = before.clone().map(|(_, pid)| Guarded::of(pid));
    first.stop(Signal::KILL);
    std::fs::remove_file(town.server.socket()).unwrap();
    let _second = town.start();
    town.wait_logged("was deleted: it was asked to make it again (SIGUSR1)");
    for agent in AGENTS {
        town.wait_logged(&format!(" {agent}: already running, adopted"));
    }
    town.wait_beats(3);
    assert_eq!(SESSIONS.map(|name| town.incarnation(name).unwrap()), before);
    assert!(agents.iter().all(Guarded::lives));
    assert_eq!(AGENTS.map(|agent| town.started(agent)), [1, 1, 1]);
}

#[test]
fn another_socket_in_the_settings_holds_every_agent_and_names_both() {
    let town = quick();
    let mut first = town.start();
    town.wait_started(&AGENTS);
    first.stop(Signal::TERM);
    // One of them is not even running.
    town.server.must(&["kill-session", "-t", "=gt-alpha-witness:"]);
    let before = ["gt-alpha-refinery", "hq-deacon"].map(|name| town.incarnation(name).unwrap());
    let other = town.server.dir().join("other");
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "tmux": {"socket_path": other}}));
    let mut second = town.start_and_beat();
    town.wait("all three reports", || town.logged("not started again") == 3);
    town.wait_beats(3);
    let status = town.ask(&["status", "--json"]).json();
    let agents: Vec<_> = status["agents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["role"] != "boot" && it["role"] != "mayor")
        .cloned()
        .collect();
    assert_eq!(agents.len(), 3, "{status:#}");
    for agent in &agents {
        assert_eq!(agent["state"], "unknown", "{agent}");
        let why = agent["reason"].as_str().unwrap();
        let both = [town.server.socket().display().to_string(), other.display().to_string()];
        assert!(why.contains("(PID ") && both.iter().all(|socket| why.contains(socket.as_str())), "{why}");
    }
    assert!(!other.exists(), "no server was started there");
    second.stop(Signal::TERM);
    // As it was.
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let _third = town.start();
    town.wait("the witness", || town.started("alpha/witness") == 2);
    assert_eq!(["gt-alpha-refinery", "hq-deacon"].map(|name| town.incarnation(name).unwrap()), before);
}

/// Its session ends, or, since tmux 3.8, has a pane without a terminal until it ends itself.
#[test]
fn an_agent_that_closed_its_terminal_is_not_started_once_more() {
    let town = quick();
    town.patrols(&["witness"]);
    let script = "trap '' HUP\nprintf '> '\nuntil [ -e \"$GT_ROOT/demo/close\" ]; do sleep 0.1; done\n\
                  exec <&- >&- 2>&-\nwhile :; do sleep 1 <&- >&- 2>&-; done";
    town.program("claude", script);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let pid = town.pane("gt-alpha-witness").unwrap();
    let agent = Guarded::of(pid);
    town.put("demo/close", "");
    town.wait_logged("alpha/witness: runs where the supervisor cannot reach it: claude (PID ");
    town.wait_beats(4);
    assert_eq!((town.pane("gt-alpha-witness"), agent.lives()), (None, true));
    assert_eq!((town.logged("died"), town.logged("not started again")), (0, 1), "{}", town.log());
    town.remove("demo/close");
    process::signal(pid, Signal::KILL);
    town.wait("its restart", || town.started("alpha/witness") == 2);
}

#[test]
fn an_agent_that_outlived_its_pane_is_not_started_once_more() {
    let town = quick();
    town.patrols(&["witness"]);
    town.program("claude", "trap '' HUP TERM\nprintf '> '\nwhile :; do sleep 1; done");
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let pid = town.pane("gt-alpha-witness").unwrap();
    let agent = Guarded::of(pid);
    town.server.must(&["kill-session", "-t", "=gt-alpha-witness:"]);
    town.wait_logged("alpha/witness: runs where the supervisor cannot reach it: claude (PID ");
    town.wait_beats(4);
    assert_eq!((town.incarnation("gt-alpha-witness"), agent.lives()), (None, true));
    process::signal(pid, Signal::KILL);
    town.wait("its restart", || town.started("alpha/witness") == 2);
}
