//! The supervisor in a town of Gas Town 1.x: its agents are started by `gt`, on the server that `gt` uses there.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        process::{self, command_line, environment},
        recording::kill_agent,
        town::Town,
    },
};

/// All agents of a town with the rig alpha, and their sessions.
const AGENTS: [(&str, &str); 4] = [
    ("deacon", "hq-deacon"),
    ("mayor", "hq-mayor"),
    ("alpha/witness", "al-witness"),
    ("alpha/refinery", "al-refinery"),
];

fn town() -> Town {
    let town = Town::v1(&[("alpha", "al")]);
    town.put("demo/gt-start-ms", "0");
    town
}

/// How often `gt` was called with these words.
fn runs(town: &Town, line: &str) -> usize {
    town.text("demo/commands.log").lines().filter(|it| *it == line).count()
}

#[test]
fn gt_starts_all_agents_and_nobody_types_to_them() {
    let _among = among_others();
    let town = town();
    let _supervisor = town.start();
    town.wait_started(&AGENTS.map(|(agent, _)| agent));
    let mut sessions = AGENTS.map(|(_, session)| session);
    sessions.sort_unstable();
    assert_eq!(town.sessions(), sessions);
    for (agent, session) in AGENTS {
        let variables = environment(town.pane(session).unwrap());
        assert_eq!((&*variables["GT_ROLE"], &*variables["GT_SESSION"]), (agent, session));
        let received = town.received(agent);
        assert_eq!(received.matches("[GAS TOWN] ").count(), 1, "{agent}: {received}");
        assert!(received.lines().count() <= 3, "{agent}: {received}");
    }
    for line in ["gt deacon start", "gt mayor start", "gt witness start alpha", "gt refinery start alpha"] {
        assert_eq!(runs(&town, line), 1, "{line}");
    }
    assert!(!town.server.socket().with_file_name("default").exists());
}

#[test]
fn a_killed_witness_is_back_through_gt() {
    let _among = among_others();
    let town = town();
    let _supervisor = town.start();
    town.wait_started(&AGENTS.map(|(agent, _)| agent));
    let others = ["hq-deacon", "hq-mayor", "al-refinery"].map(|session| town.incarnation(session));
    let before = kill_agent(&town, "al-witness");
    town.wait_replaced("al-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 2);
    assert_eq!(runs(&town, "gt witness start alpha"), 2);
    assert_eq!(["hq-deacon", "hq-mayor", "al-refinery"].map(|session| town.incarnation(session)), others);
}

#[test]
fn a_killed_witness_is_back_although_its_user_just_opened_a_shell() {
    let _among = among_others();
    let town = town();
    // A pane is young for as long as the test may last.
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "start": {"timeout": "10m"}}));
    let _supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.tmux(&["split-window", "-t", "=al-witness:", "exec sh"]);
    let before = kill_agent(&town, "al-witness");
    town.wait("a new session", || town.incarnation("al-witness").is_some_and(|(id, _)| id != before.0));
    town.wait("its start", || town.started("alpha/witness") == 2);
}

#[test]
fn a_program_that_is_left_beside_a_killed_witness_is_known_for_what_it_is() {
    let _among = among_others();
    let town = town();
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let mut first = town.start();
    town.wait_started(&["alpha/witness"]);
    town.tmux(&["split-window", "-t", "=al-witness:", "exec sleep 600"]);
    let before = kill_agent(&town, "al-witness");
    let gone = "its pane in session al-witness is gone, but another program runs there";
    town.wait("the report", || town.logged(gone) == 1);
    // The next supervisor never saw the agent, but its session still names its pane.
    first.stop(Signal::KILL);
    let _second = town.start_and_beat();
    town.wait("the report of the next one", || town.logged(gone) == 2);
    assert_eq!(town.logged("cannot tell whether the program in session"), 0);
    assert_eq!(town.incarnation("al-witness").unwrap().0, before.0);
}

#[test]
fn a_start_that_gt_only_claims_is_made_again() {
    let _among = among_others();
    let town = town();
    town.put("demo/next-starts", "lie 1 al-witness");
    let _supervisor = town.start();
    town.wait("its second start", || runs(&town, "gt witness start alpha") >= 2);
    town.wait_started(&["alpha/witness"]);
    assert!(town.pane("al-witness").is_some());
}

#[test]
fn a_killed_polecat_with_hooked_work_is_back_through_gt() {
    let _among = among_others();
    let town = town();
    town.patrols(&[]);
    town.put(
        "demo/beads.json",
        json!({"alpha": [{"id": "al-1", "title": "Fix it", "status": "open", "priority": 2,
        "issue_type": "task", "created_at": "2026-11-28T16:10:47Z", "updated_at": "2026-11-28T16:10:47Z"}]})
        .to_string(),
    );
    let _supervisor = town.start_and_beat();
    assert_eq!(town.standin_in(".", "gt sling al-1 alpha --no-convoy").code, Some(0));
    town.wait_logged(" alpha/polecats/furiosa: already running, adopted");
    let before = town.incarnation("al-furiosa").unwrap();
    process::signal(before.1, Signal::KILL);
    town.wait_replaced("al-furiosa", &before);
    town.wait("its start", || town.started("alpha/polecats/furiosa") == 1);
    assert_eq!(runs(&town, "gt session restart alpha/furiosa --force"), 1);
    assert!(town.logged("CRASH DETECTED: polecat alpha/furiosa has hook_bead=al-1") == 1, "{}", town.log());
}

#[test]
fn the_rigs_of_a_patrol_are_a_list_or_null_for_all() {
    let _among = among_others();
    let town = Town::v1(&[("alpha", "al"), ("beta", "be")]);
    town.put("demo/gt-start-ms", "0");
    // `gt rig dock` takes a rig from the list, and leaves null when it was the last one.
    let witnesses = |rigs: Value| {
        let patrols = json!({"witness": {"enabled": true, "rigs": rigs}, "refinery": {"enabled": false},
            "deacon": {"enabled": false}});
        town.put(
            "mayor/daemon.json",
            json!({"type": "daemon-patrol-config", "patrols": patrols}).to_string(),
        );
    };
    let reason = |agent: &str| {
        let status: Value = serde_json::from_str(&town.ask(&["status", "--json"]).stdout).unwrap_or_default();
        let agents = status["agents"].as_array().cloned().unwrap_or_default();
        agents.into_iter().find(|it| it["identity"] == agent).unwrap_or_default()["reason_code"].clone()
    };
    witnesses(json!(["alpha"]));
    let _supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    town.wait("the switch", || reason("beta/witness") == "patrol_off");
    assert_eq!(runs(&town, "gt witness start beta"), 0);
    witnesses(Value::Null);
    town.wait_started(&["beta/witness"]);
    assert_eq!(runs(&town, "gt witness start alpha"), 1, "it runs on");
}

/// The hook of the deacon's session starts it 3 s after its process ended. The supervisor waits for longer with its restart.
#[test]
fn a_deacon_that_is_held_back_is_not_started_by_the_hook_of_its_session() {
    let _among = among_others();
    for with_person in [false, true] {
        let town = town();
        town.settings(json!({"heartbeat": {"interval": "1s"}, "restart": {"initial_backoff": "10m"}}));
        let _supervisor = town.start();
        town.wait_started(&["deacon"]);
        let first = town.incarnation("hq-deacon").unwrap();
        town.tmux(&["kill-session", "-t", "=hq-deacon:"]);
        town.wait_replaced("hq-deacon", &first);
        town.wait("its start", || town.started("deacon") == 2);
        let pane = town.tmux(&["list-panes", "-s", "-t", "=hq-deacon:", "-F", "#{pane_id}"]);
        if with_person {
            // The agent's pane stays the one that the hook starts it in.
            town.tmux(&["split-window", "-d", "-t", "=hq-deacon:", "exec sleep 600"]);
        }
        // From now on it ends as soon as its hook has started it.
        town.put("demo/exit-deacon", "1");
        town.put("demo/exit-boot", "1");
        kill_agent(&town, "hq-deacon");
        town.wait_logged("deacon: restart 2 waits until");
        let panes = || {
            let all = town.tmux(&["list-panes", "-a", "-F", "#{session_name} #{pane_id} #{pane_dead}"]);
            all.lines().filter(|line| line.starts_with("hq-deacon ")).collect::<Vec<_>>().join("\n")
        };
        town.wait("its pane is removed", || !panes().contains(&pane));
        let left = panes();
        assert_eq!(left.lines().count(), usize::from(with_person), "a person's pane stays: {left}");
        // The hook would have run by then.
        town.wait_beats(6);
        assert_eq!(panes(), left);
        assert_eq!(town.logged("deacon: died"), 2, "{}", town.log());
    }
}

#[test]
fn an_agent_that_is_started_without_gt_has_its_poller_and_that_outlives_the_supervisor() {
    let _among = among_others();
    let town = town();
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "start": {"by_gt": false}}));
    let mut supervisor = town.start();
    town.wait_logged("alpha/witness: its nudge poller did not run and was started");
    let file = ".runtime/nudge_poller/al-witness.pid";
    let poller = town.wait_some("its PID", || town.text(file).trim().parse::<u32>().ok());
    assert!(command_line(poller).ends_with(&["nudge-poller".to_owned(), "al-witness".to_owned()]));
    let variables = environment(poller);
    assert_eq!(variables.get("GT_ROLE"), None);
    assert_eq!(variables["GT_TOWN_ROOT"], town.root().display().to_string());
    town.wait_beats(3);
    assert_eq!(town.logged("alpha/witness: its nudge poller did not run"), 1, "{}", town.log());
    supervisor.stop(Signal::TERM);
    assert!(command_line(poller).contains(&"nudge-poller".to_owned()), "it runs on");
}
