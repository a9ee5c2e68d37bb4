//! `restart` and `reload`: a new supervisor or new settings, and neither when the settings are invalid.

use std::{
    io::{Read, Write},
    os::unix::{fs::symlink, net::UnixListener},
};

use serde_json::{Value, json};

use crate::{
    among_others,
    background::stand_in,
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
    restarted.begins(&format!("no supervisor was running\nstarted (PID {first})\n4 agents: "));
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    let incarnations =
        || ["hq-deacon", "gt-alpha-witness", "gt-alpha-refinery"].map(|name| town.incarnation(name));
    let before = incarnations();

    let restarted = town.ask(&["restart"]);
    let second = restarted.pid();
    restarted.begins(&format!(
        "stopped (PID {first}); the agents keep running\nstarted (PID {second})\n4 agents: "
    ));
    assert_ne!(first, second);
    town.wait_logged(" alpha/witness: already running, adopted");
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
    town.ask(&["reload"]).fine(&format!("settings reloaded and in force (PID {pid})\n"));
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
    assert!(told.stderr.ends_with("; everything else is in force\n"), "{told:?}");
    town.wait("the new interval", || in_force() == 2);

    // Some of it has to wait, and that is said.
    let name = json!({"tmux": {"naming": "prefix"}, "heartbeat": {"interval": "400ms"}});
    town.remove("elsewhere/shared");
    town.put("elsewhere/ours", town.settings_text(name));
    let told = town.ask(&["reload"]);
    told.fine(&format!(
        "settings reloaded and in force (PID {pid})\n\
         gas_town.dialect, tmux.socket_name, tmux.socket_path, tmux.naming and commands.tmux take effect at the next start\n"
    ));
    let status = town.ask(&["status", "--json"]).json();
    let settings = &status["settings"];
    assert_eq!((&settings["refused"], &settings["shared"]), (&Value::Null, &Value::Null), "{status:#}");
    assert!(settings["generation"].as_u64().unwrap() >= 4 && settings["begun"].is_u64(), "{status:#}");
    assert_eq!(background.supervisors(), [pid]);
}

/// A supervisor that answers with these states of its settings, one after the other, and then with the last one again; or with
/// nothing any more.
fn answering(town: &Town, states: Vec<Value>, then_silent: bool) {
    let listener = UnixListener::bind(town.path("daemon/supervisor.sock")).unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept() else { return };
            if then_silent && number >= states.len() {
                held.push(stream);
                continue;
            }
            let state = &states[number.min(states.len() - 1)];
            let body = json!({"running": true, "settings": state}).to_string();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
}

#[test]
fn reload_claims_nothing_that_was_not_confirmed() {
    let state = |begun: u64, generation: u64| json!({"begun": begun, "generation": generation});
    let with = |key: &str, text: &str| json!({"begun": 4, "generation": 4, key: text});
    let not_yet =
        "Error: PID {pid} was asked to read its settings again (HUP), but did not confirm within 5s: ";
    type Case = (&'static str, Vec<Value>, bool, Result<String, String>);
    let fine = "settings reloaded and in force (PID {pid})\n";
    let cases: [Case; 7] = [
        ("it reads them", vec![state(3, 3), state(4, 3), state(4, 4)], false, Ok(fine.into())),
        (
            "a reading that was under way may have seen the old ones",
            vec![state(3, 2), state(3, 3)],
            false,
            Err(format!("{not_yet}it answers, but has not read them yet\n")),
        ),
        ("that, and the one after it", vec![state(3, 2), state(4, 3), state(4, 4)], false, Ok(fine.into())),
        (
            "one that does not count them",
            vec![json!({})],
            false,
            Err(format!("{not_yet}it answers, but has")),
        ),
        (
            "one that stands still from then on",
            vec![state(3, 3)],
            true,
            Err(format!("{not_yet}it does not answer: no answer within 2s")),
        ),
        ("refused", vec![state(3, 3), with("refused", "it is bad")], false, Err("Error: it is bad\n".into())),
        (
            "later",
            vec![state(3, 3), with("next_start", "the rest later")],
            false,
            Ok(format!("{fine}the rest later\n")),
        ),
    ];
    std::thread::scope(|scope| {
        for (name, states, then_silent, told) in cases {
            scope.spawn(move || {
                let _among = among_others();
                let town = Town::new(&[]);
                let stand_in = stand_in(&town, "trap 'touch told' HUP");
                answering(&town, states, then_silent);
                let answer = town.ask(&["reload"]);
                eprintln!("{name}");
                let expected = |text: String| text.replace("{pid}", &stand_in.pid().to_string());
                match told {
                    Ok(text) => answer.fine(&expected(text)),
                    Err(text) => {
                        answer.failed(1, &expected(text));
                        assert_eq!(answer.stdout, "", "{name}");
                    }
                }
                town.wait("the signal", || town.path("told").exists());
            });
        }
    });
}
