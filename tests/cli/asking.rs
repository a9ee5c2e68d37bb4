//! Queries from outside: `status`, `explain`, `poke`, `clear-backoff`, with a supervisor, without one, and with one
//! that hangs.

use std::time::{Duration, Instant};

use gastown_supervisor::terminal;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{process, town::Town},
};

/// A town whose witness runs, and its supervisor.
fn witness_town() -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town
}

fn agent<'a>(status: &'a Value, identity: &str) -> &'a Value {
    let agents = status["agents"].as_array().unwrap();
    agents
        .iter()
        .find(|agent| agent["identity"] == identity)
        .unwrap_or_else(|| panic!("{identity}: {status:#}"))
}

/// What changes from run to run, made the same.
fn still(mut value: Value, town: &Town) -> Value {
    fn walk(value: &mut Value, root: &str) {
        match value {
            Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *text = "TIME".to_owned(),
            Value::String(text) => *text = text.replace(root, "TOWN"),
            Value::Array(values) => values.iter_mut().for_each(|value| walk(value, root)),
            Value::Object(map) => map.values_mut().for_each(|value| walk(value, root)),
            _ => {}
        }
    }
    walk(&mut value, &town.root().display().to_string());
    value
}

#[test]
fn status_of_a_town_that_is_well() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    town.wait("convoys looked at", || {
        town.ask(&["status", "--json"]).json()["convoys"]["open_convoys"] != Value::Null
    });
    let answered = town.ask(&["status", "--json"]);
    assert_eq!((answered.code, answered.stderr.as_str()), (Some(0), ""));
    let mut status = still(answered.json(), &town);
    assert_eq!(status["pid"], supervisor.pid());
    status["pid"] = json!("PID");
    assert_eq!(status["tmux_socket"], json!(town.server.socket()));
    assert!(status["feed"].is_object() && status["convoys"].is_object() && status["deaths"].is_object());
    let actors = status["actors"].as_array().unwrap().iter();
    let running: Vec<&str> =
        actors.filter(|it| it["running"] == true).map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        running,
        [
            "sessions",
            "operator",
            "deacon",
            "boot",
            "deaths",
            "accounts",
            "mail",
            "feed",
            "convoy",
            "activity",
            "control",
            "alerts",
            "rig alpha",
            "alpha/census",
            "alpha/polecats",
            "alpha/refinery",
            "alpha/witness"
        ]
        .into_iter()
        .filter(|name| running.contains(name))
        .collect::<Vec<_>>(),
        "every actor runs"
    );
    assert_eq!((&status["settings"]["refused"], &status["settings"]["shared"]), (&Value::Null, &Value::Null));
    assert_eq!(status["summary"]["not_well"], json!([]));
    for name in ["accounts", "deaths", "feed", "convoys", "actors", "settings", "tmux_socket", "summary"] {
        status.as_object_mut().unwrap().remove(name);
    }
    // What an agent is doing depends on when its screen was read.
    for agent in status["agents"].as_array_mut().unwrap() {
        for key in ["", "_source", "_since", "_detail", "_doubt"] {
            let key = format!("activity{key}");
            assert!(agent.as_object_mut().unwrap().remove(&key).is_some(), "{key} of {agent:#}");
        }
        // And its process, on when it was scanned.
        for key in ["program", "pid", "hook", "started_at", "last_exit", "health"] {
            assert!(agent.as_object_mut().unwrap().remove(key).is_some(), "{key} of {agent:#}");
        }
    }
    let off = |what: &str| format!("the {what} patrol is switched off in mayor/daemon.json");
    assert_eq!(
        status,
        json!({
            "running": true,
            "pid": "PID",
            "town": "TOWN",
            "gas_town": "january",
            "died": false,
            "binary_replaced": false,
            "gates": [],
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": "TIME",
            "heartbeat": {"count": 1, "last": "TIME", "late": []},
            "agents": [
                {"identity": "alpha/refinery", "role": "refinery", "rig": "alpha", "session": "gt-alpha-refinery",
                 "state": "paused", "since": "TIME", "restarts": 0, "backoff_until": null, "reason": off("refinery"),
                 "reason_code": "patrol_off"},
                {"identity": "alpha/witness", "role": "witness", "rig": "alpha", "session": "gt-alpha-witness",
                 "state": "alive", "since": "TIME", "restarts": 0, "backoff_until": null, "reason": null,
                 "reason_code": null},
                {"identity": "deacon", "role": "deacon", "rig": null, "session": "hq-deacon", "state": "paused",
                 "since": "TIME", "restarts": 0, "backoff_until": null, "reason": off("deacon"), "reason_code": "patrol_off"},
                {"identity": "deacon-boot", "role": "boot", "rig": null, "session": "gt-boot", "state": "paused",
                 "since": "TIME", "restarts": 0, "backoff_until": null, "reason": off("deacon"),
                 "reason_code": "patrol_off"},
            ],
            "events_written": 0,
            "problems": {},
            "problem_list": [],
        }),
        "{status:#}"
    );
    let text = town.ask(&["status"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.contains(&format!("running (PID {}, ", supervisor.pid())), "{}", text.stdout);
    assert!(text.stdout.contains("alpha/witness"), "{}", text.stdout);
    assert!(!text.stdout.contains('\u{1b}'), "no colours in a pipe");
    supervisor.stop(Signal::TERM);
}

#[test]
fn without_a_supervisor_the_files_are_shown() {
    let _among = among_others();
    let town = witness_town();
    let never = town.ask(&["status"]);
    assert_eq!(never.code, Some(3));
    assert!(never.stdout.ends_with(": not running\n"), "{never:?}");
    assert!(!town.path("daemon").exists(), "asking makes nothing");
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let pid = supervisor.pid();
    town.wait("its story on disk", || town.text("daemon/supervisor/history.json").contains("started in"));
    supervisor.stop(Signal::TERM);
    let status = town.ask(&["status", "--json"]);
    assert_eq!(status.code, Some(3));
    let json = status.json();
    assert_eq!((&json["running"], &json["pid"]), (&json!(false), &json!(pid)));
    assert_eq!(agent(&json, "alpha/witness")["state"], "unknown");
    assert_eq!(agent(&json, "alpha/witness")["reason"], "last known: alive");
    let story = town.ask(&["explain", "alpha-witness"]);
    assert_eq!(story.code, Some(3));
    assert!(story.stdout.contains("started in") && story.stderr.starts_with("not running"), "{story:?}");
    for arguments in [&["poke"][..], &["clear-backoff", "--all"]] {
        let answered = town.ask(arguments);
        assert_eq!(answered.code, Some(3), "{arguments:?}: {answered:?}");
        assert!(answered.stderr.starts_with("no supervisor runs in"), "{answered:?}");
    }
}

#[test]
fn one_that_is_stuck_is_said_to_be_so_in_time() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    supervisor.signal(Signal::STOP);
    for arguments in [&["status"][..], &["explain", "alpha/witness"], &["poke"]] {
        let began = Instant::now();
        let answered = town.ask(arguments);
        let took = began.elapsed();
        assert_eq!(answered.code, Some(1), "{answered:?}");
        let said = format!(
            "running (PID {0}), but it does not answer: it is stopped (SIGSTOP); `kill -CONT {0}`",
            supervisor.pid()
        );
        assert!(answered.stdout.contains(&said) || answered.stderr.contains(&said), "{answered:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    // Nothing was read again, and so it is not said to be.
    let pid = supervisor.pid();
    town.ask(&["reload"]).failed(1, &format!("Error: PID {pid} supervises this town, but does not answer: "));
    let json = town.ask(&["status", "--json"]).json();
    assert_eq!(json["running"], true);
    assert!(json["problems"]["control/silent"].is_string(), "{json:#}");
    supervisor.signal(Signal::CONT);
    town.wait("an answer", || town.ask(&["status"]).code == Some(0));
    supervisor.stop(Signal::TERM);
}

#[test]
fn no_terminal_obeys_what_others_wrote() {
    let _among = among_others();
    let town = witness_town();
    let hostile = "x\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\r\n2026/01/01 forged";
    let names: serde_json::Map<String, Value> = [("alpha", "a-"), (hostile, "b-")]
        .map(|(rig, prefix)| (rig.to_owned(), json!({"beads": {"prefix": prefix}})))
        .into_iter()
        .collect();
    town.put("mayor/rigs.json", json!({"version": 1, "rigs": names}).to_string());
    std::fs::create_dir_all(town.path(format!("alpha/polecats/{}", &hostile[..20]))).unwrap();
    let mut supervisor = town.start_and_beat();
    let escaped = "\\u{1b}]0;title\\u{7}\\u{1b}[2J";
    for (words, shows) in [
        (&["status"][..], true),
        (&["explain", hostile], true),
        (&["explain", "alpha/witness"], false),
        (&["doctor"], true),
        (&["doctor", "--json"], true),
        (&["logs"], true),
    ] {
        let answer = town.ask(words);
        let text = answer.stdout + &answer.stderr;
        let harmful = |c: char| c != '\n' && terminal::is_harmful(c);
        assert!(!text.contains(harmful), "{words:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026/01/01 forged")), "{words:?}: {text}");
        // In JSON the escape is escaped.
        assert_eq!(text.replace("\\\\", "\\").contains(escaped), shows, "{words:?}: {text}");
    }
    let json = town.ask(&["status", "--json"]);
    assert!(!json.stdout.contains(|c| c != '\n' && terminal::is_harmful(c)), "{json:?}");
    assert_eq!(json.json()["running"], true);
    supervisor.stop(Signal::TERM);
}

#[test]
fn explain_shows_what_happened_in_any_spelling() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    let before = town.incarnation("gt-alpha-witness").unwrap();
    process::signal(before.1, Signal::KILL);
    town.wait("its repair", || town.started("alpha/witness") == 2);
    let told = town.ask(&["explain", "alpha/witness"]);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with("alpha/witness is alive"), "{}", lines[0]);
    let story = lines[1..].join("\n");
    let mut rest = story.as_str();
    for part in ["→ starting", "→ alive", "session is gone", "→ confirming", "restart 1", "→ alive"] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not told, or too early:\n{story}"));
        rest = &rest[at + part.len()..];
    }
    for spelling in ["alpha-witness", "gt-alpha-witness"] {
        assert_eq!(town.ask(&["explain", spelling]).stdout, told.stdout, "{spelling}");
    }
    let json = town.ask(&["explain", "alpha-witness", "--json"]).json();
    assert_eq!(
        (&json["agent"]["identity"], &json["agent"]["state"]),
        (&json!("alpha/witness"), &json!("alive"))
    );
    assert!(json["entries"].as_array().unwrap().len() >= 4, "{json:#}");
    let unknown = town.ask(&["explain", "alpha/witnes"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(
        unknown.stderr.contains("unknown agent alpha/witnes; did you mean alpha/witness?"),
        "{unknown:?}"
    );
    supervisor.stop(Signal::TERM);
}

#[test]
fn a_backoff_is_cleared_and_the_agent_is_started_at_once() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    for _ in 0..2 {
        let before = town.incarnation("gt-alpha-witness").unwrap();
        process::signal(before.1, Signal::KILL);
        town.wait("what follows", || {
            town.incarnation("gt-alpha-witness").is_some_and(|now| now != before)
                && town.started("alpha/witness") == 2
                || town.logged("restart 2 waits until") > 0
        });
    }
    let waiting = town.ask(&["status", "--json"]).json();
    let witness = agent(&waiting, "alpha/witness");
    assert_eq!((&witness["state"], &witness["restarts"]), (&json!("waiting"), &json!(1)), "{waiting:#}");
    assert!(witness["backoff_until"].is_string());
    let cleared = town.ask(&["clear-backoff", "alpha-witness"]);
    assert_eq!((cleared.code, cleared.stdout.as_str()), (Some(0), "cleared: alpha/witness\n"), "{cleared:?}");
    town.wait("its start", || town.started("alpha/witness") == 3);
    let status = town.ask(&["status", "--json"]).json();
    let witness = agent(&status, "alpha/witness");
    assert_eq!((&witness["state"], &witness["restarts"]), (&json!("alive"), &json!(0)), "{status:#}");
    assert_eq!(town.ask(&["clear-backoff", "--all"]).stdout, "nothing to clear\n");
    assert!(town.ask(&["explain", "alpha/witness"]).stdout.contains("cleared by hand"));
    let unknown = town.ask(&["clear-backoff", "alpha/nobody"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    supervisor.stop(Signal::TERM);
    let kept = &town.json("daemon/restart_state.json")["agents"]["alpha/witness"];
    assert!(kept.is_null() || kept["restart_count"] == 0, "{kept}");
}

#[test]
fn a_heartbeat_and_a_reading_of_the_mail_at_once() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start_and_beat();
    let answered = town.ask(&["poke"]);
    assert_eq!((answered.code, answered.stdout.as_str()), (Some(0), "heartbeat triggered\n"));
    town.wait_logged("Heartbeat complete (#2)");
    let read = || town.text("demo/commands.log").matches("gt mail inbox").count();
    town.wait("the readings of the heartbeats", || read() >= 2);
    let before = read();
    assert_eq!(town.ask(&["poke", "lifecycle"]).stdout, "reading of the deacon's inbox triggered\n");
    town.wait("one more", || read() > before);
    assert_eq!(town.ask(&["poke", "something"]).code, Some(2));
    supervisor.stop(Signal::TERM);
}
