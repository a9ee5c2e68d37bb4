//! Which agents count as alive: agents whose window the user changed are left alone, shells that agents left are
//! replaced.

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    process::{self, Guarded},
    town::Town,
};

/// A town of one witness, probed twice a second, where a pane is old after 1 s.
fn watched() -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "start": {"timeout": "1s"}}));
    town
}

const WITNESS: &str = "gt-alpha-witness";

#[test]
fn a_session_its_user_changed_is_left_alone() {
    let town = watched();
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    let target = format!("={WITNESS}:");
    town.server.must(&["split-window", "-t", &target, "exec sh"]);
    town.server.must(&["new-window", "-t", &target, "exec sh"]);
    town.server.must(&["rename-window", "-t", &target, "node claude"]);
    town.server.must(&["copy-mode", "-t", &format!("{target}0.0")]);
    town.wait_beats(3);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
    let panes = || town.server.must(&["list-panes", "-s", "-t", &target]).lines().count();
    assert_eq!(panes(), 3);
    // The user closes what they opened again: still the same agent.
    town.server.must(&["kill-window", "-t", &target]);
    town.wait_beats(2);
    assert_eq!((town.incarnation(WITNESS).unwrap(), panes()), (before, 2));
    assert_eq!((town.started("alpha/witness"), town.logged("; confirming")), (1, 0));
}

#[test]
fn an_agent_swapped_to_another_pane_is_found_there() {
    let town = watched();
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let agent = Guarded::of(town.pane(WITNESS).unwrap());
    let target = format!("={WITNESS}:");
    town.server.must(&["split-window", "-t", &target, "exec sh"]);
    town.server.must(&["break-pane", "-d", "-s", &format!("{target}0.0"), "-t", &target]);
    town.wait_beats(3);
    assert!(agent.lives());
    assert_eq!((town.started("alpha/witness"), town.logged("; confirming")), (1, 0));
}

#[test]
fn only_the_users_shell_is_left() {
    let town = watched();
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    town.server.must(&["split-window", "-t", &format!("={WITNESS}:"), "exec sh"]);
    town.server.must(&["kill-pane", "-t", &format!("={WITNESS}:0.0")]);
    town.wait("a new session", || town.incarnation(WITNESS).is_some_and(|(id, _)| id != before.0));
    town.wait("its start", || town.started("alpha/witness") == 2);
    assert_eq!(process::comm(town.pane(WITNESS).unwrap()), "claude");
}

#[test]
fn a_shell_its_user_just_opened_does_not_hide_the_end() {
    let town = watched();
    // A pane is young for as long as the test may last.
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "start": {"timeout": "10m"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    town.server.must(&["split-window", "-t", &format!("={WITNESS}:"), "exec sh"]);
    process::signal(before.1, Signal::KILL);
    town.wait("a new session", || town.incarnation(WITNESS).is_some_and(|(id, _)| id != before.0));
    town.wait("its start", || town.started("alpha/witness") == 2);
}

#[test]
fn codex_is_left_alone() {
    let town = watched();
    town.put("settings/config.json", r#"{"default_agent":"codex"}"#);
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    assert_eq!(process::comm(before.1), "codex");
    town.wait_beats(3);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
    assert_eq!((town.started("alpha/witness"), town.logged("has ended")), (1, 0));
}

#[test]
fn an_agent_somebody_else_started_is_taken_over_by_what_its_session_says() {
    // The town's agent is claude, but somebody runs codex here and sets the variable for it.
    let town = watched();
    let codex = town.bin().join("codex");
    town.tmux(&["new-session", "-d", "-s", WITNESS, "-e", "GT_PROCESS_NAMES=codex", codex.to_str().unwrap()]);
    let before = town.incarnation(WITNESS).unwrap();
    town.wait("codex", || process::comm(before.1) == "codex");
    let _supervisor = town.start_and_beat();
    town.wait_beats(3);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
    assert_eq!((town.started("alpha/witness"), town.logged("adopted")), (0, 1));
}

#[test]
fn a_start_of_somebody_elses_is_waited_for() {
    let town = watched();
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    // `gt` has made the session, its agent comes a little later.
    let claude = town.bin().join("claude");
    town.tmux(&["new-session", "-d", "-s", WITNESS, &format!("sleep 2; exec {}", claude.display())]);
    let before = town.incarnation(WITNESS).unwrap();
    let _supervisor = town.start_and_beat();
    town.wait("their agent", || process::comm(before.1) == "claude");
    town.wait_beats(2);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
    assert_eq!((town.started("alpha/witness"), town.logged("; confirming")), (0, 0));
}

#[test]
fn a_shell_that_was_there_before_us_is_replaced() {
    let town = watched();
    town.tmux(&["new-session", "-d", "-s", WITNESS, "exec sh"]);
    let before = town.incarnation(WITNESS).unwrap();
    let _supervisor = town.start();
    town.wait_replaced(WITNESS, &before);
    town.wait_started(&["alpha/witness"]);
    assert_eq!(process::comm(town.pane(WITNESS).unwrap()), "claude");
}

#[test]
fn an_agent_that_ended_below_a_shell_is_replaced() {
    let town = watched();
    let claude = town.bin().join("claude");
    // As Gas Town itself starts it: the shell survives.
    town.tmux(&["new-session", "-d", "-s", WITNESS, &format!("{}; exec sh", claude.display())]);
    let before = town.incarnation(WITNESS).unwrap();
    let agent = town.wait_some("the agent below the shell", || {
        process::tree(before.1).into_iter().find(|pid| process::comm(*pid) == "claude")
    });
    let _supervisor = town.start_and_beat();
    town.wait_beats(2);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before, "alive below its shell");
    process::signal(agent, Signal::KILL);
    town.wait_replaced(WITNESS, &before);
    town.wait_started(&["alpha/witness"]);
    assert!(town.logged("agent is gone") > 0);
}

/// Executes a program that is in no list, as launchers do.
const LAUNCHER: &str = "exec .claude-unwrapped";
const LAUNCHED: &str = "printf '> '\nwhile :; do sleep 1; done";

#[test]
fn what_we_started_is_the_agent_whatever_it_becomes() {
    let town = watched();
    town.program("claude", LAUNCHER);
    town.program(".claude-unwrapped", LAUNCHED);
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    assert_eq!(process::comm(before.1), ".claude-unwrapp");
    town.wait_beats(3);
    // The next supervisor knows it too, by the mark in the session.
    first.stop(Signal::KILL);
    let _second = town.start_and_beat();
    town.wait_logged("alpha/witness: already running, adopted");
    town.wait_beats(3);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before);
    assert_eq!(town.started("alpha/witness"), 1);
    assert_eq!((town.logged("; confirming"), town.logged("cannot tell whether")), (0, 0));
    // The mark is of this process: a shell in its place is none.
    town.server.must(&["respawn-pane", "-k", "-t", &format!("={WITNESS}:"), "exec sh"]);
    town.wait("a new session", || town.incarnation(WITNESS).is_some_and(|(id, _)| id != before.0));
}

#[test]
fn who_came_under_an_unknown_name_is_left_alone_and_reported_once() {
    let town = watched();
    town.program(".claude-unwrapped", LAUNCHED);
    let program = town.bin().join(".claude-unwrapped");
    // As a launcher's program, and below a shell, as `gt` starts it.
    let refinery = "gt-alpha-refinery";
    town.patrols(&["witness", "refinery"]);
    town.tmux(&["new-session", "-d", "-s", WITNESS, &format!("exec {}", program.display())]);
    town.tmux(&["new-session", "-d", "-s", refinery, &format!("{}; exec sh", program.display())]);
    let before = [WITNESS, refinery].map(|name| town.incarnation(name).unwrap());
    let supervisor = town.start_and_beat();
    town.wait("both reports", || town.logged("cannot tell whether the program in session") == 2);
    town.wait_beats(3);
    assert_eq!([WITNESS, refinery].map(|name| town.incarnation(name).unwrap()), before);
    assert_eq!(town.logged("cannot tell whether the program in session"), 2, "once each");
    let status = town.ask(&["status", "--json"]).json();
    for agent in status["agents"].as_array().unwrap().iter().filter(|it| it["rig"] == "alpha") {
        assert_eq!(agent["state"], "unknown", "{agent}");
        assert!(agent["reason"].as_str().unwrap().contains(".claude-unwrapp (PID "), "{agent}");
    }
    assert_eq!((town.started("alpha/witness"), town.logged("; confirming")), (0, 0));
    // When it has ended and its shell is left, that is a zombie.
    let agent = process::tree(before[1].1).into_iter().find(|pid| process::comm(*pid) == ".claude-unwrapp");
    process::signal(agent.unwrap(), Signal::KILL);
    town.wait_replaced(refinery, &before[1]);
    drop(supervisor);
}

/// Ignores what it is asked to end by, and so do the processes it started: a child, a grandchild, and one that left
/// the kernel session.
const STUBBORN: &str = r#"trap '' TERM HUP INT
(trap '' TERM HUP INT; (trap '' TERM HUP; while :; do sleep 1; done) & while :; do sleep 1; done) &
setsid sh -c "trap '' TERM HUP; while :; do sleep 1; done" &
printf '> '
while :; do sleep 1; done"#;

#[test]
fn an_agent_that_ignores_term_and_hup_is_replaced_with_all_it_started() {
    let town = Town::new(&[]);
    town.settings(json!({"deacon": {"stale_after": "1s", "stuck_after": "2s", "grace": "2s"}}));
    town.program("claude", STUBBORN);
    town.put("deacon/heartbeat.json", r#"{"timestamp":"2026-01-16T12:00:00Z","cycle":1}"#);
    let _supervisor = town.start();
    town.wait_started(&["deacon"]);
    // The agent, its child, grandchild and the one with a session of its own; their `sleep`s come and go.
    let scripts = |agent: u32| {
        let tree = process::tree(agent).into_iter();
        tree.filter(|pid| process::comm(*pid) != "sleep").collect::<Vec<u32>>()
    };
    // Guarded only when all are there: a guard that is dropped ends its process. On a busy machine the first may be replaced
    // before all of its processes are there.
    let (before, all) = town.wait_some("all its processes, one in a kernel session of its own", || {
        let now = town.incarnation("hq-deacon")?;
        let all = scripts(now.1);
        (all.len() == 4 && process::kernel_sessions(&all) > 1).then_some((now, all))
    });
    let all: Vec<Guarded> = all.into_iter().map(Guarded::of).collect();
    town.wait_replaced("hq-deacon", &before);
    assert!(all.iter().all(|process| !process.lives()), "none of the old ones is left");
    assert!(town.logged("did not end on TERM and were killed") > 0);
}
