//! A town in a directory whose name is made to deceive a reader at a terminal.

use gastown_supervisor::terminal;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    among_others,
    support::{
        background::{Answer, Background},
        supervisor::Supervisor,
        town::Town,
    },
};

/// It changes the title, clears the screen, begins a line of its own and turns the direction of text.
const NAME: &str = "t\u{1b}]0;x\u{7}\u{1b}[2J\nforged\u{9b}31m\u{202e}";
const SHOWN: &str = r"t\u{1b}]0;x\u{7}\u{1b}[2J\nforged\u{9b}31m\u{202e}";

fn harmless(what: &str, text: &str) {
    assert!(!text.contains(|c| c != '\n' && terminal::is_harmful(c)), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{what}: {text}");
}

/// What one of our commands says, harmless as a whole.
fn asked(town: &Town, words: &[&str]) -> Answer {
    let answer = town.ask(words);
    harmless(&format!("{words:?}"), &answer.stdout);
    harmless(&format!("{words:?}"), &answer.stderr);
    answer
}

/// The town a JSON answer is about: its exact path.
fn is_about(town: &Town, words: &[&str]) {
    let json: Value = asked(town, words).json();
    assert_eq!(json["town"], town.root().to_str().unwrap(), "{words:?}");
}

#[test]
fn no_command_prints_the_path_of_a_town_as_it_is() {
    let _among = among_others();
    let town = Town::named(NAME, &["alpha"]);
    town.patrols(&["witness"]);
    let background = Background(&town);
    for words in [&["stop"][..], &["reload"], &["poke"], &["logs"]] {
        let answer = asked(&town, words);
        assert!(answer.stderr.contains(SHOWN), "{words:?}: {answer:?}");
    }
    let started = asked(&town, &["start"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    town.wait_started(&["alpha/witness"]);
    assert!(asked(&town, &["status"]).stdout.contains(SHOWN));
    assert!(asked(&town, &["doctor"]).stdout.contains(SHOWN));
    asked(&town, &["start"]).failed(1, "Error: already running");
    assert!(asked(&town, &["run"]).stderr.contains("already"), "{:?}", town.ask(&["run"]));
    for words in [&["explain", "alpha/witness"][..], &["explain", "nobody"], &["logs"], &["reload"]] {
        asked(&town, words);
    }
    is_about(&town, &["status", "--json"]);
    is_about(&town, &["doctor", "--json"]);
    asked(&town, &["explain", "alpha/witness", "--json"]).json();
    assert_eq!(asked(&town, &["stop"]).code, Some(0));
    is_about(&town, &["status", "--json"]);
    assert!(asked(&town, &["status"]).stdout.contains(SHOWN));
    harmless("daemon.log", &town.log());
    drop(background);
}

/// Its log cannot be written at first, then its settings are bad, and in the end its town is gone.
#[test]
fn nothing_that_runs_in_the_foreground_prints_the_path_as_it_is() {
    let _among = among_others();
    for format in ["human", "json"] {
        let town = Town::named(NAME, &["alpha"]);
        town.patrols(&["witness"]);
        town.put("daemon/daemon.log/in-the-way", "");
        let base = town.root().parent().unwrap();
        let mut supervisor = Supervisor::spawn(town.command_of(&["run", "--log-format", format]), base);
        town.wait("the first heartbeat", || supervisor.stderr().contains("Heartbeat complete (#1)"));
        std::fs::remove_dir_all(town.path("daemon/daemon.log")).unwrap();
        supervisor.signal(Signal::HUP);
        town.wait("its log", || !town.log().is_empty());
        std::fs::rename(town.root(), base.join(format!("{NAME}moved"))).unwrap();
        assert_eq!(supervisor.wait().code(), Some(1));
        let said = supervisor.stderr();
        harmless(format, &said);
        assert!(said.contains(SHOWN), "{said}");
        if format == "json" {
            let lines = said.lines().filter(|line| line.starts_with('{'));
            assert!(lines.map(serde_json::from_str::<Value>).all(|line| line.is_ok()), "{said}");
        }
        let log = std::fs::read_to_string(base.join(format!("{NAME}moved/daemon/daemon.log"))).unwrap();
        harmless("daemon.log", &log);
    }
}
