//! `nudge`: a person's text for an agent, on real tmux.

use std::{
    io::Write,
    process::{Child, Stdio},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    among_others,
    support::{background::Answer, limits, town::Town},
};

const WITNESS: &str = "gt-alpha-witness";

/// What is typed as it is: newlines, quotes, dashes, formats of tmux, and more than ASCII.
const TEXT: &str = "- it's \"quoted\" $HOME `x` $(y) \\ #{pid};\n--now\té 🦉;";

fn agent(town: &Town) -> Value {
    let status = town.ask(&["status", "--json"]).json();
    let agents = status["agents"].as_array().unwrap();
    agents.iter().find(|agent| agent["identity"] == "alpha/witness").cloned().unwrap_or_default()
}

fn does(town: &Town, activity: &str) {
    town.wait("what it does on its screen", || {
        town.ask(&["poke"]);
        agent(town)["activity"] == activity
    });
}

/// Nudges the witness with a text on standard input.
fn from_stdin(town: &Town, text: &str, words: &[&str]) -> Answer {
    let words: Vec<&str> = ["nudge", "witness", "-"].iter().chain(words).copied().collect();
    let mut command = town.command_of(&words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let code = limits::end_of(&mut child, "nudge").code();
    let read = |from: &mut dyn std::io::Read| {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    };
    let (stdout, stderr) = (read(&mut child.stdout.take().unwrap()), read(&mut child.stderr.take().unwrap()));
    Answer { code, stdout, stderr }
}

fn refused(answer: &Answer, why: &str) {
    let told = format!("Error: alpha/witness: {why}");
    assert!(answer.code == Some(1) && answer.stderr.starts_with(&told), "{told:?}: {answer:?}");
    assert_eq!(answer.stdout, "");
}

#[test]
fn a_text_is_typed_once_and_a_busy_agent_gets_none() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    does(&town, "idle");
    let before = town.received("alpha/witness");
    from_stdin(&town, &format!("{TEXT}\n"), &[]).fine("alpha/witness: typed, and sent with Enter\n");
    town.wait("the text", || town.received("alpha/witness").len() > before.len() + TEXT.len());
    assert_eq!(town.received("alpha/witness"), format!("{before}{TEXT}\n"), "whole, exact, and once");
    let told = town.ask(&["explain", "witness"]).stdout;
    let line = told.lines().find(|line| line.contains("nudge requested (`nudge` by ")).unwrap_or_default();
    let us = format!("(uid {})", rustix::process::getuid().as_raw());
    assert!(line.contains(&us) && line.contains("typed \"- it's \"quoted\" $HOME"), "{told}");

    town.tmux(&["send-keys", "-t", WITNESS, "-l", "say esc to interrupt"]);
    town.tmux(&["send-keys", "-t", WITNESS, "Enter"]);
    town.wait("what it said", || town.ask(&["logs", "witness"]).stdout.contains("\nesc to interrupt"));
    let busy = town.ask(&["nudge", "witness", "are", "you", "there?"]);
    refused(&busy, "its screen shows that it is working; use `--now` to type it anyway");
    town.ask(&["nudge", "witness", "now", "then", "--now"])
        .fine("alpha/witness: typed, and sent with Enter\n");
    town.wait("the text", || town.received("alpha/witness").ends_with("now then\n"));
    assert!(!town.received("alpha/witness").contains("are you there?"));

    for (words, code, why) in [
        (&["nudge", "witness", ""][..], 1, "the text is empty"),
        (&["nudge", "witness", "\x1b[A"], 1, "control character"),
        (&["nudge", "nobody", "x"], 1, "unknown agent nobody"),
        (&["nudge", "witness"], 2, "required"),
    ] {
        let told = town.ask(words);
        assert!(told.code == Some(code) && told.stderr.contains(why), "{words:?}: {told:?}");
    }
    supervisor.stop(Signal::TERM);
    let told = town.ask(&["nudge", "witness", "x"]);
    assert!(told.code == Some(3) && told.stderr.starts_with("no supervisor runs in "), "{told:?}");
}
