//! HUP, USR1, USR2 and changed files: what takes effect while the supervisor runs.

use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::json;

use crate::{
    among_others,
    support::{process, town::Town},
};

#[test]
fn hup_puts_changed_settings_in_force() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    // Behind a link, where no change is seen by itself.
    town.put("elsewhere/settings.json", town.settings_text(json!({})));
    town.remove("settings/supervisor.json");
    symlink(town.path("elsewhere/settings.json"), town.path("settings/supervisor.json")).unwrap();
    let supervisor = town.start_and_beat();
    town.put("elsewhere/settings.json", town.settings_text(json!({"heartbeat": {"interval": "500ms"}})));
    supervisor.signal(Signal::HUP);
    town.wait_logged("Settings changed, in force now");
    town.wait_logged("Heartbeat complete (#3)");
}

#[test]
fn a_changed_file_is_enough() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let supervisor = town.start_and_beat();
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town.wait_logged("Heartbeat complete (#3)");
    assert_eq!(town.logged("Settings changed, in force now"), 1);
    // The shared file too; ours beats it where both say something.
    town.put("mayor/daemon.json", r#"{"heartbeat":{"interval":"2h"},"patrols":{"deacon":{"enabled":true}}}"#);
    town.wait_started(&["deacon"]);
    town.wait_beats(1);
    drop(supervisor);
}

#[test]
fn a_broken_change_leaves_the_last_good_settings_in_force() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let supervisor = town.start_and_beat();
    for (broken, told) in [
        (
            "{\n  \"heartbeat\": {\"interval\": \"soon\"}\n}",
            "settings/supervisor.json:2:29: heartbeat.interval: ",
        ),
        ("{\"heartbeet\": {}}", "settings/supervisor.json:1:2: heartbeet: unknown key"),
        ("{\"heartbeat\": {", "settings/supervisor.json:1:15: "),
    ] {
        town.put("settings/supervisor.json", broken);
        supervisor.signal(Signal::HUP);
        town.wait_logged(told);
        town.wait_beats(2);
        assert_eq!(town.logged(told), 1, "told once: {}", town.log());
    }
    assert_eq!(town.logged("the last good settings stay in force"), 3, "{}", town.log());
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town.wait("all to be well", || town.logged("Resolved: settings/supervisor.json:1:15") == 1);
}

#[test]
fn an_address_without_its_token_is_said() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let supervisor = town.start_and_beat();
    town.settings(json!({"http": {"listen": "0.0.0.0:8642"}, "heartbeat": {"interval": "500ms"}}));
    let told = town.ask(&["reload"]);
    told.failed(1, "Error: settings/supervisor.json:");
    let (begins, ends) =
        ("http.listen: 0.0.0.0:8642 is no loopback address", "; everything else is in force\n");
    assert!(told.stderr.contains(begins) && told.stderr.ends_with(ends), "{told:?}");
    town.wait_logged("Settings changed, in force now");
    town.settings(json!({}));
    town.ask(&["reload"]).fine(&format!("settings reloaded and in force (PID {})\n", supervisor.pid()));
}

#[test]
fn usr1_probes_everything_at_once() {
    let _among = among_others();
    // No heartbeat comes to help, and nothing watches the town's own directory.
    let town = Town::new(&["alpha"]);
    town.put("ESTOP", "");
    let supervisor = town.start_and_beat();
    town.wait_logged("alpha/refinery: not running, not started: emergency stop");
    town.remove("ESTOP");
    supervisor.signal(Signal::USR1);
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    assert_eq!(town.logged("Heartbeat starting"), 1);
}

#[test]
fn usr2_reads_a_cleared_backoff() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    for restart in 1..=2 {
        let before = town.incarnation("gt-alpha-witness").unwrap();
        process::signal(before.1, Signal::KILL);
        if restart == 1 {
            town.wait("its restart", || town.started("alpha/witness") == 2);
        }
    }
    town.wait_logged("alpha/witness: restart 2 waits until ");
    let file = || town.json("daemon/restart_state.json");
    town.wait("the backoff on disk", || {
        let until =
            file()["agents"]["alpha/witness"]["backoff_until"].as_str().unwrap_or_default().to_owned();
        !until.starts_with("0001") && !until.is_empty()
    });
    let mut cleared = file();
    assert_eq!(cleared["agents"]["alpha/witness"]["restart_count"], 1);
    cleared["agents"]["alpha/witness"]["backoff_until"] = json!("0001-01-01T00:00:00Z");
    town.put("daemon/restart_state.json", cleared.to_string());
    supervisor.signal(Signal::USR2);
    town.wait("its start", || town.started("alpha/witness") == 3);
}
