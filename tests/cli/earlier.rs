//! The previous version: its state is recorded, and an update adopts its agents. Both need a binary of that version,
//! named by `EARLIER`, so they run by hand (`tests/fixtures/state/README.md`). `tests/scenarios/earlier.rs` reads the
//! recordings.

use std::{env, fs, io::Write, os::unix::fs::symlink, path::PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    among_others,
    support::{recording::kill_agent, standin, supervisor::Supervisor, town::Town},
};

const RIGS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const LIMIT: &str = "You've hit your usage limit. Try again at 5pm.";

/// Starts the binary that `EARLIER` names.
fn start_earlier(town: &Town) -> Supervisor {
    let binary = env::var("EARLIER").expect("EARLIER names the earlier binary");
    Supervisor::spawn(town.command_with(binary, &["run"]), town.root().parent().unwrap())
}

fn settings(changes: Value) -> Value {
    let mut settings = json!({
        "heartbeat": {"interval": "1s"},
        "deaths": {"threshold": 100},
        "restart": {"initial_backoff": "100ms", "max_backoff": "10m", "crash_loop_count": 3},
        "lifecycle": {"pause": "100ms"},
        "commands": {"timeout": "10m"},
        "polecats": {"gupp_after": "5s"},
    });
    for (section, values) in changes.as_object().unwrap() {
        let section = &mut settings[section];
        for (key, value) in values.as_object().unwrap() {
            section[key] = value.clone();
        }
    }
    settings
}

/// Puts settings in force: they are when a file that changed with them has been read, which a heartbeat later it has.
fn change_settings(town: &Town, changes: Value) {
    town.settings(settings(changes));
    town.wait_beats(2);
}

fn mail(town: &Town, id: &str, from: &str, body: &str) {
    let message = json!({"id": id, "from": from, "to": "deacon/", "subject": "LIFECYCLE: please", "body": body,
        "timestamp": jiff::Timestamp::now().to_string(), "read": false, "priority": "normal",
        "type": "notification"});
    town.put(format!("demo/mail/{id}.json"), message.to_string());
}

fn wait_stage(town: &Town, id: &str, is: impl Fn(&Value) -> bool) {
    let stage = || town.json("daemon/supervisor/claims.json")["requests"][id]["stage"].clone();
    town.wait(&format!("the stage of {id}"), || is(&stage()));
}

/// A `gt` that never deletes the message `hq-noted`, and fails to delete `hq-done`.
fn reluctant_gt(town: &Town) {
    let real = town.path("demo/real");
    fs::create_dir_all(&real).unwrap();
    symlink(standin::example(), real.join("gt")).unwrap();
    let script = format!(
        "case \"$*\" in\n'mail delete hq-noted'*) exec sleep 600 ;;\n\
         'mail delete hq-done'*) echo 'database is locked' >&2; exit 1 ;;\nesac\nexec {}/gt \"$@\"",
        real.display()
    );
    town.program("gt", &script);
}

/// A town in which everything is that a supervisor keeps.
fn town() -> Town {
    let town = Town::new(&RIGS);
    town.settings(settings(json!({})));
    reluctant_gt(&town);
    town.put("daemon/restart_state.json", r#"{"agents":{"somebody-else":{"restart_count":7}}}"#);
    town.put(".events.jsonl", event("handoff", "before") + "\n");
    town.bead(
        json!({"id": "hq-witness-role", "title": "Witness Role", "status": "open", "issue_type": "task",
        "labels": ["gt:role"], "description": "Witness\n\nenv_var: FOO={rig}", "updated_at": "2026-01-16T20:00:00Z"}),
    );
    for name in ["nux", "dag"] {
        town.polecat("gamma", name, &format!("gamma-{name}"));
    }
    at_its_limit(&town);
    town
}

/// Gamma's witness runs already and says that its plan is used up: screens are read at adoption, and then once a minute.
fn at_its_limit(town: &Town) {
    let (root, session) = (format!("GT_ROOT={}", town.root().display()), "=gt-gamma-witness:");
    let claude = town.bin().join("claude").display().to_string();
    let environment = ["-e", &root, "-e", "BD_ACTOR=gamma/witness"];
    town.tmux(&[&["new-session", "-d", "-s", "gt-gamma-witness"], &environment[..], &[&claude]].concat());
    town.wait("its beginning", || town.begun("gamma/witness") == 1);
    town.server.must(&["send-keys", "-l", "-t", session, &format!("say {LIMIT}")]);
    town.server.must(&["send-keys", "-t", session, "Enter"]);
    let shown = || town.server.must(&["capture-pane", "-p", "-t", session]).contains(&format!("\n{LIMIT}"));
    town.wait("its words", shown);
}

fn event(kind: &str, actor: &str) -> String {
    let now = jiff::Timestamp::now();
    format!(r#"{{"ts":"{now:.0}","source":"gt","type":"{kind}","actor":"{actor}","visibility":"feed"}}"#)
}

/// Causes everything that a supervisor stores, while one runs.
fn live(town: &Town) {
    let restarts =
        |agent: &str, key: &str| town.json("daemon/restart_state.json")["agents"][agent][key].clone();
    let agents = RIGS.iter().flat_map(|rig| [format!("{rig}/witness"), format!("{rig}/refinery")]);
    for agent in agents.filter(|agent| agent != "gamma/witness") {
        town.wait_started(&[&agent]);
    }
    town.wait("the role bead", || town.path("daemon/supervisor/role_beads.json").exists());
    let mut events = fs::OpenOptions::new().append(true).open(town.path(".events.jsonl")).unwrap();
    writeln!(events, "{}", event("handoff", "after")).unwrap();

    // A crash loop, then a backoff that lasts. Go's zero time is none.
    let is_set =
        |agent: &str, key: &str| restarts(agent, key).as_str().is_some_and(|time| !time.starts_with("0001"));
    let dies = |session: &str, agent: &str, key: &str| {
        while !is_set(agent, key) {
            let started = town.started(agent);
            kill_agent(town, session);
            town.wait("what follows", || town.started(agent) > started || is_set(agent, key));
        }
    };
    dies("gt-beta-refinery", "beta/refinery", "crash_loop_since");
    change_settings(town, json!({"restart": {"initial_backoff": "10m"}}));
    dies("gt-beta-witness", "beta/witness", "backoff_until");
    town.wait("the wait", || town.incarnation("gt-beta-witness").is_none());

    town.server.must(&["send-keys", "-t", "=gt-gamma-witness:", "C-c"]);
    town.wait_logged("usage limit");
    town.wait("the mails", || {
        let open = town.json("daemon/supervisor/incidents.json")["agents"].clone();
        let is_mailed = |name| open[format!("gamma/polecats/{name}")]["conditions"]["gupp"]["mailed"] == true;
        is_mailed("nux") && is_mailed("dag")
    });

    // Requests, each as far as it is to be.
    mail(town, "hq-hold", "alpha/refinery", "stop");
    town.wait("the hold", || town.text("daemon/supervisor/holds.json").contains("alpha/refinery"));
    mail(town, "hq-done", "delta/refinery", "restart");
    wait_stage(town, "hq-done", |stage| stage == "done");
    change_settings(town, json!({"restart": {"initial_backoff": "10m"}, "lifecycle": {"pause": "10m"}}));
    mail(town, "hq-begun", "alpha/witness", "restart");
    wait_stage(town, "hq-begun", |stage| stage["begun"].is_object());
    town.wait("its end", || town.incarnation("gt-alpha-witness").is_none());
    mail(town, "hq-due", "alpha/witness", "cycle");
    wait_stage(town, "hq-due", |stage| stage == "due");
    mail(town, "hq-noted", "delta/witness", "cycle");
    wait_stage(town, "hq-noted", |stage| stage == "noted");
    // What soon follows these is judged by them.
    for kind in ["done", "sling", "sling"] {
        writeln!(events, "{}", event(kind, "nux")).unwrap();
    }
    town.wait("their lines", || town.text(".feed.jsonl").matches("\"sling\"").count() == 2);
}

#[test]
#[ignore = "records the state an earlier binary leaves; by hand"]
fn record() {
    let _among = among_others();
    let town = town();
    let mut supervisor = start_earlier(&town);
    live(&town);
    supervisor.stop(Signal::TERM);
    let into = PathBuf::from(env::var("INTO").expect("INTO names the directory for what is recorded"));
    fs::create_dir_all(into.join("daemon/supervisor")).unwrap();
    fs::write(into.join("recorded_at"), jiff::Timestamp::now().to_string()).unwrap();
    let ours = fs::read_dir(town.path("daemon/supervisor")).unwrap();
    let ours = ours.map(|entry| format!("daemon/supervisor/{}", entry.unwrap().file_name().display()));
    let others = ["daemon/restart_state.json", "daemon/state.json", ".events.jsonl", ".feed.jsonl"];
    for file in ours.chain(others.map(str::to_owned)).filter(|file| file.contains(".json")) {
        fs::copy(town.path(&file), into.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
#[ignore = "needs an earlier binary; by hand"]
fn an_update_restarts_no_agent_and_types_nothing() {
    let _among = among_others();
    let town = Town::new(&["alpha", "beta"]);
    town.settings(json!({"heartbeat": {"interval": "1s"}}));
    town.polecat("alpha", "nux", "alpha-nux");
    let agents = ["deacon", "alpha/witness", "alpha/refinery", "beta/witness", "beta/refinery"];
    let mut earlier = start_earlier(&town);
    town.wait_started(&agents);
    town.wait_beats(2);
    let all = || {
        let agents = agents.iter().chain(&["alpha/polecats/nux"]);
        let told: Vec<_> = agents.map(|agent| (town.begun(agent), town.received(agent))).collect();
        let sessions = town.sessions().into_iter();
        (sessions.map(|name| (town.incarnation(&name), name)).collect::<Vec<_>>(), told)
    };
    let before = all();
    assert_eq!(before.0.len(), 6, "{before:?}");
    assert_eq!(earlier.stop(Signal::TERM).0.code(), Some(0));
    assert_eq!(all(), before, "after its end");

    let deaths = town.events_of("session_death");
    let mut supervisor = town.start_and_beat();
    town.wait_beats(4);
    assert_eq!(all(), before, "{}", town.log());
    assert_eq!(town.events_of("session_death"), deaths);
    let status = town.ask(&["status", "--json"]).json();
    assert_eq!(status["problems"], json!({}), "{status:#}");
    for agent in status["agents"].as_array().unwrap().iter().filter(|agent| agent["role"] != "boot") {
        assert_eq!(agent["state"], "alive", "{agent:#}");
    }
    supervisor.stop(Signal::TERM);
}
