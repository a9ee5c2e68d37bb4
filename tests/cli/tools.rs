//! Programs that are missing, too old or fail: each is reported once, and everything else continues.

use rustix::process::Signal;
use serde_json::json;

use crate::{
    among_others,
    support::{
        supervisor::{Supervisor, as_asked},
        town::Town,
    },
};

/// A town whose heartbeats come twice a second.
fn town() -> Town {
    let town = Town::new(&["alpha"]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    town
}

/// No text but those of the heartbeat itself comes twice, and nothing panicked.
fn says_nothing_twice(town: &Town, supervisor: &Supervisor, case: &str) {
    let mut texts = town.log_texts();
    texts.retain(|text| !text.starts_with("Heartbeat "));
    texts.sort();
    let twice: Vec<_> = texts.windows(2).filter(|two| two[0] == two[1]).map(|two| &two[0]).collect();
    assert!(twice.is_empty(), "{case}: said again and again: {twice:?}\n{}", town.log());
    assert!(!supervisor.stderr().contains("panicked"), "{case}: {}", supervisor.stderr());
}

#[test]
fn no_tmux_or_one_too_old() {
    std::thread::scope(|scope| {
        for (case, tmux, told) in [
            ("none", None, "tmux cannot be run as tmux ("),
            ("too old", Some("echo tmux 1.8"), "is tmux 1.8, which is too old: install tmux 3.2 or later"),
            ("fails", Some("echo 'no terminal' >&2; exit 1"), "no terminal"),
        ] {
            scope.spawn(move || {
                let _among = among_others();
                let town = town();
                let mut command = town.command();
                match tmux {
                    Some(script) => town.program("tmux", script),
                    None => drop(command.env("PATH", town.bin())),
                }
                let mut supervisor = Supervisor::spawn(command, town.server.dir());
                town.wait_logged("Heartbeat complete (#4)");
                assert!(supervisor.runs(), "{case}");
                let warned = "Warning: sessions cannot be seen, nothing is done: ";
                let lines: Vec<String> =
                    town.log_texts().into_iter().filter(|text| text.starts_with(warned)).collect();
                assert_eq!(lines.len(), 1, "{case}: {}", town.log());
                assert!(lines[0].contains(told), "{case}: {}", lines[0]);
                says_nothing_twice(&town, &supervisor, case);
                let (status, _) = supervisor.stop(Signal::TERM);
                assert!(as_asked(status), "{case}");
            });
        }
    });
}

#[test]
fn an_agent_program_that_is_not_on_path() {
    let _among = among_others();
    let town = town();
    town.put(
        "alpha/settings/config.json",
        r#"{"agent":"mine","agents":{"mine":{"command":"no-such-agent"}}}"#,
    );
    let mut supervisor = town.start();
    town.wait_started(&["deacon"]);
    town.wait_beats(3);
    for agent in ["alpha/witness", "alpha/refinery"] {
        let told =
            format!(r#"Warning: {agent} cannot be started: its program "no-such-agent" is not on PATH"#);
        assert_eq!(town.logged(&told), 1, "{}", town.log());
    }
    assert_eq!(town.sessions(), ["hq-deacon"]);
    says_nothing_twice(&town, &supervisor, "no agent program");
    assert!(supervisor.runs());
}

#[test]
fn gt_bd_and_git_that_are_missing() {
    let _among = among_others();
    let town = town();
    for program in ["gt", "bd"] {
        std::fs::remove_file(town.bin().join(program)).unwrap();
    }
    town.settings(json!({
        "commands": {"gt": "no-such-gt", "bd": "no-such-bd", "git": "no-such-git"},
        "heartbeat": {"interval": "500ms"},
    }));
    let mut supervisor = town.start();
    town.wait_started(&["deacon", "alpha/witness", "alpha/refinery"]);
    // A restart with its presync, which cannot be done.
    crate::support::process::signal(town.pane("gt-alpha-refinery").unwrap(), Signal::KILL);
    town.wait("the restart", || town.started("alpha/refinery") == 2);
    town.wait_beats(2);
    let mut log = town.log_texts();
    log.retain(|text| text.contains("no-such-"));
    assert!(log.len() <= 3, "each once: {log:?}");
    assert!(supervisor.runs() && !supervisor.stderr().contains("panicked"));
}
