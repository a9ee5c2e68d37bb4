//! An agent that is started again continues its conversation: on a real disk, with a program that cuts its transcript.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::{
    among_others,
    support::{recording::kill_agent, supervisor::Supervisor, town::Town},
};

const AGENT: &str = "alpha/witness";
const SESSION: &str = "gt-alpha-witness";

/// The arguments of the agent's program.
fn arguments(town: &Town) -> String {
    let pid = town.pane(SESSION).unwrap();
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}

fn records(transcript: &PathBuf) -> Vec<String> {
    fs::read_to_string(transcript).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_conversation_is_continued_and_what_its_program_cut_is_put_back() {
    let _among = among_others();
    let town = Town::new(&["alpha"]);
    town.patrols(&["witness"]);
    town.settings(
        json!({"resume": {"witness": "same"}, "restart": {"confirm": "1s", "initial_backoff": "1s"}}),
    );
    let claude = town.root().parent().unwrap().join("claude");
    let mut command = town.command();
    command.env("CLAUDE_CONFIG_DIR", &claude);
    let _supervisor = Supervisor::spawn(command, town.root().parent().unwrap());
    town.wait_started(&[AGENT]);
    let noted = || town.json("daemon/supervisor/conversations.json")["agents"][AGENT]["now"].clone();
    let id = noted()["id"].as_str().unwrap().to_owned();
    let transcript = PathBuf::from(noted()["transcript"].as_str().unwrap());
    assert!(transcript.starts_with(claude.join("projects")), "{transcript:?}");
    assert_eq!(town.mode("daemon/supervisor/conversations.json"), 0o600);
    assert!(arguments(&town).contains(&format!("--session-id {id}")), "{}", arguments(&town));
    town.wait("its words", || records(&transcript).len() >= 2);
    town.wait_logged("fresh conversation");
    let before = records(&transcript);

    town.put("demo/cut-alpha-witness", "");
    let died = kill_agent(&town, SESSION);
    town.wait_replaced(SESSION, &died);
    town.wait_logged(&format!("resumes conversation {}", &id[..8]));
    assert!(arguments(&town).trim_end().ends_with(&format!("--resume {id}")), "{}", arguments(&town));
    town.wait("what it is told", || town.received(AGENT).contains("Continue where you were."));
    town.wait_logged("records of conversation");
    town.wait("all of its records", || {
        let now = records(&transcript);
        before.iter().all(|record| now.contains(record)) && now.len() >= before.len() + 2
    });
    assert_eq!(town.mode("daemon/supervisor/transcripts"), 0o700);
    let copies: Vec<_> = fs::read_dir(town.path("daemon/supervisor/transcripts")).unwrap().collect();
    let [Ok(copy)] = &copies[..] else { panic!("one copy: {copies:?}") };
    assert_eq!(town.mode(copy.path()), 0o600);
    assert_eq!(records(&copy.path()), before);

    town.put("demo/forget-alpha-witness", "");
    let died = kill_agent(&town, SESSION);
    town.wait_logged("fresh conversation: its program does not know its last one");
    town.wait_replaced(SESSION, &died);
    let new = noted()["id"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    assert!(arguments(&town).contains(&format!("--session-id {new}")), "{}", arguments(&town));
    assert!(transcript.exists(), "it stays for people");
    assert_eq!(town.events_of("session_death").len(), 2, "the failed resume is no death: {}", town.log());
}
