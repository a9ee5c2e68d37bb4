//! The agent: prompt, input, heartbeat, and the ways it can be made to misbehave.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use super::{text, tmux::Tmux};
use crate::support::limits::{LimitedCommand, wait_for};

fn shows_prompt(tmux: &Tmux, session: &str) -> bool {
    tmux.screen(session).iter().any(|line| line == ">")
}

#[test]
fn takes_long_and_odd_text_exactly_and_shows_it() {
    let tmux = Tmux::new(&[]);
    tmux.agent("gt-r-witness", "witness", "r/witness", "exec claude");
    wait_for("the prompt", || shows_prompt(&tmux, "gt-r-witness"));
    let odd = "it's \"quoted\" $HOME `x` \\ é 🦉;\n";
    let long = format!("{}end;", odd.repeat(20 * 1024 / odd.len()));
    tmux.nudge("gt-r-witness", &long);
    tmux.nudge("gt-r-witness", "[GAS TOWN] second");
    let log = tmux.town().join("demo/received-r-witness.log");
    let expected = format!("{long}\n[GAS TOWN] second\n");
    wait_for("both messages", || text(&log).len() >= expected.len());
    assert!(text(&log) == expected, "what arrived differs from what was typed");
    wait_for("the text on the screen", || {
        tmux.screen("gt-r-witness").iter().any(|line| line.contains("[GAS TOWN] second"))
    });
}

#[test]
fn is_known_by_the_name_it_is_called_by() {
    let tmux = Tmux::new(&[]);
    for name in ["claude", "codex"] {
        tmux.agent(name, "polecat", "r/polecats/a", &format!("exec env -u TMUX {name} --yolo"));
        wait_for("the prompt", || shows_prompt(&tmux, name));
        let pid = tmux.run(&["display-message", "-p", "-t", &format!("={name}:"), "#{pane_pid}"]);
        let ps = Command::new("ps").args(["-o", "comm=", "-p", &pid]).limited_output();
        let comm = String::from_utf8_lossy(&ps.stdout).trim().to_owned();
        assert_eq!(comm.rsplit('/').next(), Some(name));
    }
}

#[test]
fn the_deacon_beats_until_it_hangs() {
    let tmux = Tmux::new(&[]);
    let beat = tmux.town().join("deacon/heartbeat.json");
    let cycle = || -> u64 {
        let beat: serde_json::Value = serde_json::from_str(&text(&beat)).unwrap_or_default();
        beat["cycle"].as_u64().unwrap_or(0)
    };
    tmux.agent("gt-r-witness", "witness", "r/witness", "exec claude");
    wait_for("the prompt", || shows_prompt(&tmux, "gt-r-witness"));
    tmux.agent("hq-deacon", "deacon", "deacon", "exec claude");
    wait_for("the second heartbeat", || cycle() >= 2);

    fs::create_dir_all(tmux.town().join("demo")).unwrap();
    fs::write(tmux.town().join("demo/hang-deacon"), "").unwrap();
    // The beat that was being written may still come; after that, none for longer than two beats last.
    let mut last = (cycle(), Instant::now());
    wait_for("the heartbeat to rest", || {
        if cycle() != last.0 {
            last = (cycle(), Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(2500)
    });
    let at_rest = last.0;
    // A message is swallowed meanwhile; the witness, which does not hang, shows that there was time to take it.
    tmux.nudge("hq-deacon", "HEALTH_CHECK");
    tmux.nudge("gt-r-witness", "hello");
    wait_for("the witness's log", || text(&tmux.town().join("demo/received-r-witness.log")) == "hello\n");
    assert!(tmux.exists("hq-deacon"));
    assert!(!tmux.town().join("demo/received-deacon.log").exists());

    fs::remove_file(tmux.town().join("demo/hang-deacon")).unwrap();
    wait_for("the heartbeat to go on", || cycle() > at_rest);
}

#[test]
fn ends_on_hangup_and_on_ctrl_c() {
    let tmux = Tmux::new(&[]);
    tmux.agent("keep", "polecat", "r/polecats/k", "exec claude");
    for (session, signal) in [("a", Some("TERM")), ("b", Some("HUP")), ("c", None)] {
        tmux.agent(session, "polecat", "r/polecats/a", "exec claude");
        wait_for("the prompt", || shows_prompt(&tmux, session));
        let target = format!("={session}:");
        match signal {
            Some(signal) => {
                let pid = tmux.run(&["display-message", "-p", "-t", &target, "#{pane_pid}"]);
                assert!(Command::new("kill").args(["-s", signal, &pid]).limited_status().success());
            }
            None => drop(tmux.run(&["send-keys", "-t", &target, "C-c"])),
        }
        wait_for("the session's end", || !tmux.exists(session));
    }
    assert!(tmux.exists("keep"));
}

#[test]
fn may_come_without_a_prompt_or_with_a_question_first() {
    let silent = Tmux::new(&[("STANDIN_NO_PROMPT", "1")]);
    silent.agent("a", "witness", "r/witness", "exec claude");
    wait_for("its beginning", || text(&silent.town().join("demo/begun.log")).contains("r-witness"));
    silent.nudge("a", "hello");
    wait_for("the message", || text(&silent.town().join("demo/received-r-witness.log")) == "hello\n");
    assert!(!shows_prompt(&silent, "a"));

    let asking = Tmux::new(&[("STANDIN_DIALOG", "1")]);
    let asked =
        |session: &str| asking.screen(session).iter().any(|line| line.contains("Bypass Permissions mode"));
    asking.agent("keep", "witness", "r/witness", "exec claude");
    asking.agent("refused", "refinery", "r/refinery", "exec claude");
    wait_for("both questions", || asked("keep") && asked("refused"));
    asking.run(&["send-keys", "-t", "=keep:", "Down"]);
    asking.run(&["send-keys", "-t", "=keep:", "Enter"]);
    asking.run(&["send-keys", "-t", "=refused:", "Enter"]);
    wait_for("the prompt", || shows_prompt(&asking, "keep"));
    wait_for("the other's end", || !asking.exists("refused"));
}

#[test]
fn may_exit_at_once() {
    let tmux = Tmux::new(&[]);
    tmux.agent("keep", "witness", "r/witness", "exec claude");
    fs::create_dir_all(tmux.town().join("demo")).unwrap();
    fs::write(tmux.town().join("demo/exit-r-refinery"), "3\n").unwrap();
    let line = "claude; echo $? > code; mv code done";
    tmux.agent("a", "refinery", "r/refinery", line);
    wait_for("its exit code", || tmux.town().join("done").exists());
    assert_eq!(text(&tmux.town().join("done")), "3\n");
}
