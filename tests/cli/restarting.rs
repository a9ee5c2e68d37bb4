//! `restart` and `reload`: a new supervisor or new settings, and neither when the settings are not good.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::{
    among_others,
    support::{background::Background, town::Town},
};

const BROKEN: &str = "{\n  \"heartbeat\": {\"interval\": \"soon\"}\n}";
const WHY: &str = "settings/supervisor.json:2:29: heartbeat.interval: ";

#[test]
fn restart_changes_the_supervisor_and_keeps_the_agents() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    let background = Background(&town);
    let restarted = town.ask(&["restart"]);
    let first = restarted.pid();
    restarted.fine(&format!("nothing was running\nstarted (PID {first})\n"));
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    let incarnations =
        || ["hq-deacon", "gt-alpha-witness", "gt-alpha-refinery"].map(|name| town.incarnation(name));
    let before = incarnations();

    let restarted = town.ask(&["restart"]);
    let second = restarted.pid();
    let said = format!("stopped (PID {first}); the agents stay alive\nstarted (PID {second})\n");
    restarted.fine(&said);
    assert_ne!(first, second);
    town.wait_logged(" alpha/witness: is running, taken over as it is");
    assert!(before.iter().all(Option::is_some) && incarnations() == before);

    town.put("settings/supervisor.json", BROKEN);
    let restarted = town.ask(&["restart"]);
    restarted.failed(1, &format!("Error: nothing was restarted: {WHY}"));
    assert_eq!((&*restarted.stdout, background.supervisors()), ("", vec![second]));
}

#[test]
fn reload_puts_good_settings_in_force_and_names_what_is_wrong() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    // Behind links, where no change is seen by itself.
    for (file, elsewhere) in
        [("settings/supervisor.json", "elsewhere/ours"), ("mayor/daemon.json", "elsewhere/shared")]
    {
        town.put(elsewhere, town.text(file));
        town.remove(file);
        symlink(town.path(elsewhere), town.path(file)).unwrap();
    }
    let background = Background(&town);
    let pid = background.start();
    town.wait_logged("Heartbeat complete (#1)");
    let in_force = || town.logged("Settings changed, in force now");

    town.put("elsewhere/ours", town.settings_text(json!({"heartbeat": {"interval": "500ms"}})));
    town.ask(&["reload"]).fine(&format!("settings read again (PID {pid})\n"));
    town.wait_logged("Heartbeat complete (#3)");
    assert_eq!(in_force(), 1);

    town.put("elsewhere/ours", BROKEN);
    let told = town.ask(&["reload"]);
    told.failed(1, &format!("Error: {WHY}"));
    assert!(told.stderr.ends_with("; the last good settings stay in force\n"), "{told:?}");
    assert_eq!(told.stdout, "");
    town.wait_beats(2);

    // What is wrong in the file that is shared with gt costs that key only.
    town.put("elsewhere/ours", town.settings_text(json!({"heartbeat": {"interval": "400ms"}})));
    town.put("elsewhere/shared", "{\"patrols\":\n {\"deacon\": {\"enabled\": 7}}}");
    let told = town.ask(&["reload"]);
    told.failed(1, "Error: mayor/daemon.json:2:");
    assert!(told.stderr.ends_with("; everything else was read again\n"), "{told:?}");
    town.wait("the new interval", || in_force() == 2);
    assert_eq!(background.supervisors(), [pid]);
}
