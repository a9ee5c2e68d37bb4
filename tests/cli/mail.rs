//! Mail and work from outside: requests, polecats that wait for their first instruction, and programs that hang.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{
        process,
        recording::kill_agent,
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

/// Puts a message into the deacon's inbox, sent now.
fn mail(town: &Town, id: &str, from: &str, subject: &str, body: &str) {
    let now = jiff::Timestamp::now().to_string();
    let message = json!({"id": id, "from": from, "to": "deacon/", "subject": subject, "body": body,
        "timestamp": now, "read": false, "priority": "normal", "type": "notification"});
    town.put(format!("demo/mail/{id}.json"), message.to_string());
}

fn in_inbox(town: &Town, id: &str) -> bool {
    town.path(format!("demo/mail/{id}.json")).exists()
}

fn town(rigs: &[&str], patrols: &[&str]) -> Town {
    let town = Town::new(rigs);
    town.patrols(patrols);
    town.settings(json!({"heartbeat": {"interval": "30s"}, "lifecycle": {"pause": "100ms"}}));
    town
}

/// Asks for two heartbeats, and waits until the mail was read as often.
fn look_twice(town: &Town, supervisor: &Supervisor) {
    for _ in 0..2 {
        let read = || town.text("demo/commands.log").matches("gt mail inbox").count();
        let before = read();
        supervisor.signal(Signal::USR1);
        town.wait("a reading of the mail", || read() > before);
    }
}

fn claims(town: &Town) -> Value {
    town.json("daemon/supervisor/claims.json")["requests"].clone()
}

#[test]
fn a_request_is_carried_out_once_and_its_message_deleted() {
    let _among = among_others();
    let town = town(&["alpha"], &["witness"]);
    let supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    mail(
        &town,
        "hq-1",
        "alpha/witness",
        "LIFECYCLE: alpha/witness requesting cycle",
        r#"{"action":"cycle"}"#,
    );
    supervisor.signal(Signal::USR1);
    town.wait_replaced("gt-alpha-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 2);
    assert!(!in_inbox(&town, "hq-1"));
    town.wait("its words", || town.received("alpha/witness").contains("lifecycle-restart"));
    town.wait("the end of the claim", || claims(&town)["hq-1"]["stage"] == "done");
    supervisor.signal(Signal::USR1);
    town.wait("its being forgotten", || claims(&town) == json!({}));
    assert_eq!(town.begun("alpha/witness"), 2);
    assert_eq!(town.events_of("session_death"), Vec::<Value>::new());
    assert_eq!(town.mode("daemon/supervisor/claims.json"), 0o600);
    assert_eq!(town.mode("daemon/supervisor"), 0o700);
}

#[test]
fn what_was_stopped_on_request_stays_so_under_the_next_supervisor() {
    let _among = among_others();
    let town = town(&["alpha"], &["witness"]);
    let mut supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    mail(&town, "hq-1", "alpha/witness", "LIFECYCLE: done", "stop");
    supervisor.signal(Signal::USR1);
    town.wait_logged("alpha/witness: stopped on request");
    assert_eq!(town.incarnation("gt-alpha-witness"), None);
    supervisor.stop(Signal::KILL);
    let supervisor = town.start();
    town.wait("the next one's first heartbeat", || town.logged("Heartbeat complete (#1)") == 2);
    look_twice(&town, &supervisor);
    assert_eq!(town.incarnation("gt-alpha-witness"), None, "{}", town.log());
    mail(&town, "hq-2", "alpha/witness", "LIFECYCLE: again", "restart");
    supervisor.signal(Signal::USR1);
    town.wait("its start", || town.started("alpha/witness") == 2);
}

#[test]
fn killed_during_a_request_the_next_one_continues() {
    let _among = among_others();
    let town = town(&["alpha"], &["witness"]);
    // So that there is time between the claim, the end and the start.
    town.settings(json!({"heartbeat": {"interval": "30s"}, "lifecycle": {"pause": "1s"}}));
    let mut supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    mail(&town, "hq-1", "alpha/witness", "LIFECYCLE: again", "restart");
    supervisor.signal(Signal::USR1);
    town.wait("its end", || town.incarnation("gt-alpha-witness").is_none());
    supervisor.stop(Signal::KILL);
    assert!(!in_inbox(&town, "hq-1"));
    let _supervisor = town.start();
    town.wait_replaced("gt-alpha-witness", &before);
    town.wait("the end of the claim", || claims(&town)["hq-1"]["stage"] != "begun");
    town.wait("its start", || town.started("alpha/witness") == 2);
    assert_eq!(town.begun("alpha/witness"), 2);
    town.wait("its words", || town.received("alpha/witness").contains("lifecycle-restart"));
}

#[test]
fn a_polecat_that_was_just_spawned_gets_its_instruction_once() {
    let _among = among_others();
    let town = Town::recorded(json!({"heartbeat": {"interval": "30s"}}));
    town.patrols(&[]);
    town.polecat("gastown", "nux", "gt-w1");
    let supervisor = town.start_and_beat();
    town.wait_logged("gastown/polecats/nux: already running, adopted");
    mail(
        &town,
        "hq-1",
        "gastown/witness",
        "POLECAT_STARTED gastown/nux",
        "Polecat: nux\nSession: gt-gastown-nux\nIssue: gt-w1",
    );
    mail(&town, "hq-2", "gastown/witness", "POLECAT_STARTED gastown/gone", "Session: gt-gastown-gone");
    supervisor.signal(Signal::USR1);
    town.wait("the word", || town.received("gastown/polecats/nux").contains("Begin."));
    town.wait("both archived", || !in_inbox(&town, "hq-1") && !in_inbox(&town, "hq-2"));
    supervisor.signal(Signal::USR1);
    town.wait("another look at the inbox", || {
        town.text("demo/commands.log").matches("gt mail inbox").count() >= 3
    });
    assert_eq!(town.received("gastown/polecats/nux").matches("Begin.").count(), 1);
}

#[test]
fn what_a_role_bead_says_reaches_every_start_also_the_first_of_the_next_supervisor() {
    let _among = among_others();
    let town = town(&["alpha"], &["witness"]);
    let said = "Witness\n\nenv_var: FOO={rig}=b:c\nstart_command: exec claude --of {role}";
    town.bead(
        json!({"id": "hq-witness-role", "title": "Witness Role", "status": "open", "issue_type": "task",
        "labels": ["gt:role"], "description": said, "updated_at": "2026-01-16T20:00:00Z"}),
    );
    let mut supervisor = town.start_and_beat();
    town.wait_started(&["alpha/witness"]);
    town.wait("the bead to be read", || town.path("daemon/supervisor/role_beads.json").exists());
    let is_so = |pid: u32| {
        assert_eq!(process::environment(pid).get("FOO").map(String::as_str), Some("alpha=b:c"));
        assert!(process::command_line(pid).ends_with(&["--of".into(), "witness".into()]));
    };
    let before = kill_agent(&town, "gt-alpha-witness");
    let pid = town.wait_replaced("gt-alpha-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 2);
    is_so(pid);
    supervisor.stop(Signal::KILL);
    // `bd` answers no more.
    town.put("demo/hang-bd", "");
    let before = kill_agent(&town, "gt-alpha-witness");
    let _supervisor = town.start();
    let pid = town.wait_replaced("gt-alpha-witness", &before);
    town.wait("its start", || town.started("alpha/witness") == 3);
    is_so(pid);
}

/// The stand-ins never end, and neither does a child of each, until they are killed.
#[test]
fn with_bd_and_gt_hanging_for_good_a_dead_witness_is_back_and_nothing_is_left_behind() {
    let _alone = alone();
    let town = Town::recorded(json!({"heartbeat": {"interval": "1s"}, "restart": {"confirm": "1s"}}));
    town.patrols(&["witness"]);
    town.put("demo/hang-bd", "");
    town.put("demo/hang-gt", "");
    mail(&town, "hq-1", "gastown/witness", "LIFECYCLE: again", "restart");
    let mut supervisor = town.start_and_beat();
    town.wait_started(&["gastown/witness"]);
    let hang = |name: &str| {
        let of_it = |words: &[String]| words.first().is_some_and(|word| word.ends_with(&format!("/{name}")));
        town.stray().iter().any(|(_, words)| of_it(words))
    };
    town.wait("both to hang", || hang("bd") && hang("gt"));
    let killed = Instant::now();
    let before = kill_agent(&town, "gt-gastown-witness");
    town.wait_replaced("gt-gastown-witness", &before);
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}\n{}", town.log());
    town.wait_beats(3);
    assert!(hang("bd") && hang("gt"), "they hang all the time");
    let (status, took) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status));
    assert!(took < Duration::from_millis(400), "{took:?}");
    town.wait("nothing to be left behind", || town.stray().is_empty());
}

#[test]
fn commands_that_fail_are_reported_once_each() {
    let _among = among_others();
    for (name, script) in [
        ("print nothing", "exit 0"),
        ("print garbage", "echo '<html>[{'"),
        ("die by a signal", "kill -9 $$"),
        ("fail", "echo 'database is locked' >&2; exit 1"),
        ("print without end", "exec yes '[{}]'"),
    ] {
        let town = Town::recorded(
            // A limit that none of them reaches: otherwise two reasons would alternate, and each be reported.
            json!({"heartbeat": {"interval": "500ms"}, "commands": {"timeout": "60s"}, "restart": {"confirm": "100ms"}}),
        );
        town.patrols(&["witness"]);
        town.polecat("gastown", "nux", "gt-w1");
        for program in ["bd", "gt"] {
            town.program(program, script);
        }
        let mut supervisor = town.start_and_beat();
        town.wait_started(&["gastown/witness"]);
        let before = kill_agent(&town, "gt-gastown-witness");
        town.wait_replaced("gt-gastown-witness", &before);
        town.wait_beats(6);
        let log = town.log();
        let told = log.lines().filter(|line| line.contains("the deacon's inbox cannot be read")).count();
        assert!(told <= 1, "{name}: told {told} times\n{log}");
        assert!(town.pane("gt-gastown-nux").is_some(), "{name}: a live polecat is left alone");
        let (status, took) = supervisor.stop(Signal::TERM);
        assert!(as_asked(status), "{name}");
        assert!(took < Duration::from_millis(400), "{name}: {took:?}");
        town.wait("nothing to be left behind", || town.stray().is_empty());
    }
}
