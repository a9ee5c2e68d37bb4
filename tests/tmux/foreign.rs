//! Two towns on one tmux server: the other town's sessions are left alone, and `status` and `doctor` show which town
//! they belong to.

use serde_json::json;

use crate::support::town::Town;

#[test]
fn another_towns_agents_on_the_same_server_are_left_alone() {
    let other = tempfile::tempdir().unwrap();
    let other = other.path().canonicalize().unwrap();
    std::fs::create_dir_all(other.join("mayor")).unwrap();
    std::fs::write(other.join("mayor/town.json"), "{}").unwrap();
    let town = Town::new(&["alpha"]);
    town.patrols(&["deacon", "witness"]);
    town.settings(json!({
        "heartbeat": {"interval": "500ms"}, "start": {"timeout": "1s"},
        "deacon": {"stale_after": "1s", "stuck_after": "2s", "grace": "1s"},
    }));
    town.put("deacon/heartbeat.json", r#"{"timestamp":"2026-01-16T12:00:00Z","cycle":1}"#);
    let claude = town.bin().join("claude").display().to_string();
    let names = ["hq-deacon", "gt-alpha-witness"];
    let by = |variable: &str| format!("{variable}={}", other.display());
    town.tmux(&["new-session", "-d", "-s", names[0], "-e", &by("GT_ROOT"), &format!("exec {claude}")]);
    // A shell where another town's agent was is that town's too.
    town.tmux(&["new-session", "-d", "-s", names[1], "-e", &by("GT_TOWN_ROOT"), "exec sh"]);
    let before = names.map(|name| town.incarnation(name).unwrap());
    let _supervisor = town.start_and_beat();
    town.wait("both reports", || town.logged("name taken by town") == 2);
    town.wait_beats(6);
    assert_eq!(names.map(|name| town.incarnation(name).unwrap()), before);
    let taken = format!("name taken by town {}", other.display());
    assert_eq!(town.logged(&taken), 2, "once each");
    let status = town.ask(&["status", "--json"]).json();
    for agent in status["agents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| names.iter().any(|name| it["session"] == *name))
    {
        assert_eq!((&agent["state"], &agent["reason"]), (&json!("unknown"), &json!(taken)), "{agent}");
    }
    let doctor = town.ask(&["doctor"]).stdout;
    assert!(doctor.contains(&format!("hq-deacon: {taken}")), "{doctor}");
    // A town that is gone has no names.
    std::fs::remove_file(other.join("mayor/town.json")).unwrap();
    town.wait_replaced(names[1], &before[1]);
    town.wait_started(&["alpha/witness"]);
}
