//! `settings`: what is in force and where it comes from, and what is wrong in a file.

use std::process::Command;

use serde_json::json;

use crate::{
    among_others,
    support::{background::answer, supervisor::binary, town::Town},
};

fn line(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_value_and_where_it_comes_from() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.put(
        "settings/supervisor.json",
        "{\n  \"kill\": {\"grace\": \"1s\"},\n  \"boot\": {\"enabled\": false}\n}",
    );
    let shared = json!({"heartbeat": {"interval": "1m"}, "patrols": {"deacon": {"enabled": false}}});
    town.put("mayor/daemon.json", serde_json::to_string_pretty(&shared).unwrap());
    let shown = town.ask(&["settings"]);
    assert_eq!((shown.code, &*shown.stderr), (Some(0), ""), "{shown:?}");
    for (key, expected) in [
        ("kill.grace", "kill.grace \"1s\" settings/supervisor.json:2"),
        ("boot.enabled", "boot.enabled false settings/supervisor.json:3"),
        ("heartbeat.interval", "heartbeat.interval \"1m\" mayor/daemon.json:3"),
        ("patrols.deacon.enabled", "patrols.deacon.enabled false mayor/daemon.json:7"),
        ("deaths.threshold", "deaths.threshold 3 default"),
        ("start.memory.min_available", "start.memory.min_available \"3%\" default"),
    ] {
        assert_eq!(line(&shown.stdout, key), expected, "{}", shown.stdout);
    }
    let all = town.ask(&["settings", "--json"]).json();
    assert_eq!(all["kill.grace"], json!({"value": "1s", "from": "settings/supervisor.json:2"}));
    assert_eq!(all["tmux.socket_name"], json!({"value": null, "from": "default"}));
    assert!(!town.path("daemon").exists(), "asking makes nothing");

    town.put("settings/supervisor.json", "{\n  \"kill\": {\"grace\": \"soon\"}}");
    let wrong = town.ask(&["settings"]);
    wrong.failed(1, "Error: settings/supervisor.json:2:21: kill.grace: ");
    town.put("settings/supervisor.json", "{}");
    town.put("mayor/daemon.json", "{\"heartbeat\": {\"interval\": \"soon\"}}");
    let wrong = town.ask(&["settings"]);
    assert!(wrong.stderr.starts_with("mayor/daemon.json:1:28: heartbeat.interval: "), "{wrong:?}");
    assert_eq!(
        (wrong.code, line(&wrong.stdout, "heartbeat.interval")),
        (Some(1), "heartbeat.interval \"3m\" default".into())
    );
}

#[test]
fn a_file_is_checked_before_it_is_put_in_place() {
    let _among = among_others();
    let town = Town::new(&[]);
    let file = town.path("new.json");
    let name = file.to_str().unwrap();
    town.put("new.json", "{\n  \"kill\": {\"grace\": \"soon\"},\n  \"hartbeat\": {}\n}");
    let wrong = town.ask(&["settings", "--check", name]);
    assert_eq!((wrong.code, &*wrong.stdout), (Some(1), ""), "{wrong:?}");
    let lines: Vec<&str> = wrong.stderr.lines().collect();
    assert!(lines[0].starts_with(&format!("{name}:2:21: kill.grace: ")), "{wrong:?}");
    assert!(
        lines[1].starts_with(&format!(
            "{name}:3:3: hartbeat: unknown key; did you mean heartbeat? the keys here are "
        )),
        "{wrong:?}"
    );
    // Where no town is, too.
    let mut elsewhere = Command::new(binary());
    elsewhere.args(["settings", "--check", name]).env_clear().current_dir("/");
    assert_eq!(answer(elsewhere).stderr, wrong.stderr);
    town.put("new.json", "{\"kill\": {\"grace\": \"5s\"}}");
    town.ask(&["settings", "--check", name]).fine(&format!("{name}: no mistakes\n"));
    assert_eq!(town.ask(&["settings", "--check", "/nowhere/x.json"]).code, Some(1));
    // Each value is right by itself, and nothing would listen.
    town.put("new.json", "{\n  \"http\": {\"listen\": \"0.0.0.0:8642\"}}");
    let apart = town.ask(&["settings", "--check", name]);
    apart.failed(1, &format!("{name}:2:22: http.listen: 0.0.0.0:8642 is no loopback address"));
    assert_eq!(apart.stdout, "");
    town.put("new.json", "{\"http\": {\"listen\": \"0.0.0.0:8642\", \"token_file\": \"/t\"}}");
    town.ask(&["settings", "--check", name]).fine(&format!("{name}: no mistakes\n"));
}
