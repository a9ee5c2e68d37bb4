//! Gas Town's own commands run while the supervisor reacts within milliseconds: it starts no unwanted agent, reports
//! no intended end, and restarts what nobody stopped.
//!
//! The stand-in `gt` repeats what the recorded real one did, as a process of its own.

use serde_json::{Value, json};

use crate::{
    among_others,
    support::{
        recording::{Recording, kill_agent},
        supervisor::Supervisor,
        town::Town,
    },
};

const AGENTS: [&str; 4] = ["deacon", "gastown/witness", "gastown/refinery", "beads/witness"];

/// The agent that dies of something else while the command is running, and must come back.
const BYSTANDER: &str = "gt-beads-witness";

/// What is known where the command was gone before it was seen.
const NOTED: &str = "stopped by hand (Gas Town notes it as stopped)";

/// One command.
struct Case {
    recording: Recording,
    /// A polecat that works before the command.
    polecat: Option<&'static str>,
    /// Who is down in the end, by identity.
    down: &'static [&'static str],
    /// What the log says of that, for each; one of the two.
    said: [&'static str; 2],
    /// The agents that the command itself starts or restarts.
    by_gt: &'static [&'static str],
}

fn case(
    recording: Recording,
    polecat: Option<&'static str>,
    down: &'static [&'static str],
    said: [&'static str; 2],
    by_gt: &'static [&'static str],
) -> Case {
    Case { recording, polecat, down, said, by_gt }
}

#[test]
fn what_a_command_ended_stays_down_and_what_was_not_stopped_is_restarted() {
    let rig = &["gastown/witness", "gastown/refinery"];
    let furiosa = Some("furiosa");
    let recorded = Recording::read;
    let parked = ["not running, not started: rig is parked", "not running, not started: rig is parked"];
    let held = |line| [line, line];
    let (furiosas, slits) = (&["gastown/polecats/furiosa"], &["gastown/polecats/slit"]);
    #[rustfmt::skip]
    let cases = [
        case(recorded("t02_park"), None, rig, parked, &[]),
        case(recorded("t20_dock"), None, rig, 
            ["stopped by hand (`gt rig dock gastown`)", "not running, not started: rig is docked"], &[]),
        case(recorded("t52_rig_shutdown").and(3, "runs", "300 . gt rig shutdown gastown --force"), None, rig,
            ["stopped by hand (`gt rig shutdown gastown --force`)", NOTED], &[]),
        case(recorded("t05_witness_stop"), None, &["gastown/witness"],
            ["stopped by hand (`gt witness stop gastown`)", NOTED], &[]),
        case(recorded("t08_refinery_stop"), None, &["gastown/refinery"],
            ["stopped by hand (`gt refinery stop gastown`)", NOTED], &[]),
        case(recorded("t10_deacon_stop"), None, &["deacon"], held("stopped by hand (`gt deacon stop`)"), &[]),
        case(recorded("t40_session_stop"), Some("slit"), slits,
            held("stopped by hand (`gt session stop gastown/slit`)"), &[]),
        case(recorded("t31_nuke"), furiosa, furiosas,
            ["not running, not started: its agent bead is closed", "not running, not started: no work on its hook"], &[]),
    ];
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || {
                let _among = among_others();
                played(&case);
            });
        }
    });
}

#[test]
fn what_a_command_brings_back_is_left_to_it() {
    let recorded = Recording::read;
    let back = ["is back by itself, no action", "runs in a new session, not started by the supervisor"];
    // The witness is back after 16 s, here after 4.
    let sling = |name| recorded(name).hurried(1600, 6);
    #[rustfmt::skip]
    let cases = [
        case(recorded("t07_witness_restart").hurried(300, 6), None, &[], back, &["gastown/witness"]),
        case(recorded("t09b_refinery_restart_running").hurried(300, 12), None, &[], ["", ""], &["gastown/refinery"]),
        case(recorded("t12_deacon_restart").hurried(300, 4), None, &[], ["", ""], &["deacon"]),
        case(sling("t30_sling_new"), None, &[], back, &["gastown/witness", "gastown/polecats/furiosa"]),
    ];
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || {
                let _among = among_others();
                played(&case);
            });
        }
    });
}

fn session_of(identity: &str) -> String {
    match identity {
        "deacon" => "hq-deacon".to_owned(),
        other => format!("gt-{}", other.replace("/polecats/", "-").replace('/', "-")),
    }
}

/// A town in which all run, and the supervisor knows it.
fn begin(polecat: Option<&str>) -> (Town, Supervisor) {
    // `restart.confirm` and `polecats.confirm` as they are by default.
    let town = Town::recorded(json!({"heartbeat": {"interval": "1s"}, "restart": {"confirm": "1s"}}));
    if let Some(name) = polecat {
        town.polecat("gastown", name, "gt-work");
    }
    // Fewer agents than there may be: the machine has a dozen towns to run.
    let patrols = json!({"refinery": {"enabled": true, "rigs": ["gastown"]}});
    town.put("mayor/daemon.json", json!({"patrols": patrols}).to_string());
    // A polecat's directory exists before its session.
    town.worktree("gastown/polecats/furiosa/gastown");
    let supervisor = town.start();
    town.wait_started(&AGENTS);
    if let Some(name) = polecat {
        town.wait_logged(&format!("gastown/polecats/{name}: already running, adopted"));
    }
    for identity in AGENTS {
        town.wait(&format!("{identity}'s beginning"), || town.begun(identity) == 1);
    }
    (town, supervisor)
}

fn played(case: &Case) {
    let (town, mut supervisor) = begin(case.polecat);
    let name = case.recording.line();
    let polecat = case.polecat.map(|name| format!("gastown/polecats/{name}"));
    let everybody = || AGENTS.into_iter().chain(polecat.as_deref());
    let before: Vec<_> = everybody()
        .map(|identity| (identity, town.incarnation(&session_of(identity)).expect(identity)))
        .collect();

    let mut gt = town.gt(&case.recording);
    assert_eq!(gt.program(), "gt");
    let killed = kill_agent(&town, BYSTANDER);
    gt.wait();
    for identity in case.down.iter().chain(case.by_gt.iter().filter(|it| AGENTS.contains(it))) {
        let [one, other] = case.said.map(|said| format!("{identity}: {said}"));
        town.wait(&format!("{one:?} or {other:?}"), || {
            one.ends_with(": ") || town.logged(&one) + town.logged(&other) > 0
        });
    }
    town.wait_replaced(BYSTANDER, &killed);
    town.wait("the bystander's start", || town.started("beads/witness") == 2);
    town.wait("the bystander's events", || town.events().len() >= 2);
    town.wait_beats(2);

    for (identity, before) in before {
        let now = town.incarnation(&session_of(identity));
        let again = case.by_gt.contains(&identity) || identity == "beads/witness";
        match case.down.contains(&identity) {
            true => assert_eq!(now, None, "{name}: {identity} stays down\n{}", town.log()),
            false if again => assert!(now.is_some_and(|now| now != before), "{name}: {identity}"),
            false => assert_eq!(now, Some(before), "{name}: {identity} is left alone\n{}", town.log()),
        }
        assert_eq!(town.begun(identity), 1 + usize::from(again), "{name}: {identity}\n{}", town.log());
    }
    for identity in case.by_gt.iter().filter(|it| !AGENTS.contains(it)) {
        assert_eq!(
            (town.begun(identity), town.pane(&session_of(identity)).is_some()),
            (1, true),
            "{identity}"
        );
    }
    told_of_the_bystander_only(&town, name);
    assert!(supervisor.runs(), "{name}");
}

fn told_of_the_bystander_only(town: &Town, name: &str) {
    let kinds: Vec<String> =
        town.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["session_death", "agent_restarted"], "{name}\n{}", town.log());
    let death = &town.events_of("session_death")[0];
    assert_eq!((&death["session"], &death["agent"]), (&json!(BYSTANDER), &json!("beads/witness")), "{name}");
    assert!(death["reason"].as_str().unwrap().starts_with("crashed"), "{name}: {death}");
    assert_eq!(town.events_of("agent_restarted")[0]["agent"], "beads/witness", "{name}");
    assert_eq!((town.mails(), town.crashes()), (vec![], vec![]), "{name}");
    assert_eq!(town.logged("CRASH DETECTED") + town.logged("MASS DEATH"), 0, "{name}\n{}", town.log());
    // Nobody was started by us but all at first, and the bystander.
    assert_eq!(town.logged(": started in "), AGENTS.len() + 1, "{name}\n{}", town.log());
}

#[test]
fn a_town_that_is_shut_down_stays_down() {
    let cases = [
        ("gt shutdown", "t62_shutdown", true),
        ("gt down", "t60_down", true),
        // Typed in the mayor's session, it ends with that: no supervisor gets a stop.
        ("gt shutdown in the mayor's session", "t80_shutdown_in_mayor", false),
    ];
    std::thread::scope(|scope| {
        for (name, recording, terminates) in cases {
            scope.spawn(move || {
                let _among = among_others();
                shut_down(name, recording, terminates);
            });
        }
    });
}

fn shut_down(name: &str, recording: &str, terminates: bool) {
    let polecat = (recording == "t62_shutdown").then_some("furiosa");
    let (town, mut supervisor) = begin(polecat);
    town.tmux(&["new-session", "-d", "-s", "hq-mayor", "-c", town.root().to_str().unwrap(), "exec sh"]);
    let recording = Recording::read(recording).without("inside");
    if terminates {
        town.gt(&recording).wait();
        assert!(supervisor.wait().success(), "{name}: {}", supervisor.stderr());
    } else {
        let line = town.learn(&recording.and(735, "dies", "hq-mayor"));
        town.server.must(&["send-keys", "-t", "=hq-mayor:", &line, "Enter"]);
        for identity in AGENTS {
            town.wait_logged(&format!("{identity}: stopped by hand (`{line}`)"));
        }
        town.wait_beats(2);
        assert!(supervisor.runs());
    }
    assert_eq!(town.sessions(), Vec::<String>::new(), "{name}: {}", town.log());
    for identity in AGENTS {
        assert_eq!(town.begun(identity), 1, "{name}: {identity}\n{}", town.log());
    }
    assert_eq!(town.logged(": started in "), AGENTS.len(), "{name}: {}", town.log());
    assert_eq!(town.events(), Vec::<Value>::new(), "{name}: nothing is told\n{}", town.log());
    assert_eq!((town.mails(), town.crashes()), (vec![], vec![]), "{name}");
}
