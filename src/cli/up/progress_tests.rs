//! Tests of what is said while agents come up.

use std::path::Path;

use super::*;
use crate::{
    agents_file::reading::{Around, read},
    tree::one_file::kept::Taken,
};

const FILE: &str = "[agents.app]\ncommand = \"claude\"\nafter = [\"db\"]\n[agents.db]\ncommand = \"x\"\nsession = \"data\"\n";

fn plan(text: &str) -> Plan {
    let around = Around { directory: Path::new("/t"), home: None };
    read(Path::new("agents.toml"), text.as_bytes(), around).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Agents of a report: `db alive`, `app held down: stopped by anna`, with when it was started: `db alive @-60`.
fn report(agents: &[&str]) -> StatusReport {
    let agent = |text: &&str| {
        let at_second = |(text, second): (&'_ str, &str)| Some((text.to_owned(), second.parse().ok()?));
        let (text, second) = text
            .rsplit_once(" @")
            .and_then(at_second)
            .map_or(((*text).to_owned(), None), |(a, b)| (a, Some(b)));
        let (text, started_at) = (text.as_str(), second.map(at));
        let (words, reason) =
            text.split_once(": ").map_or((text, None), |(words, why)| (words, Some(why.to_owned())));
        let words: Vec<&str> = words.split(' ').collect();
        AgentReport {
            identity: format!("@{}", words[0]),
            state: words[1].to_owned(),
            reason_code: words.get(2).map(|it| (*it).to_owned()),
            reason,
            started_at,
            ..AgentReport::default()
        }
    };
    StatusReport { agents: agents.iter().map(agent).collect(), ..StatusReport::default() }
}

/// What is said in the end of these reports, a second apart.
fn said(file: &str, reports: &[&[&str]]) -> (Vec<String>, bool, Result<String, String>) {
    let mut progress = Progress::new(&plan(file), at(0));
    let mut lines = Vec::new();
    for (second, agents) in reports.iter().enumerate() {
        lines.extend(progress.see(&report(agents), &Kept::default(), Duration::from_secs(second as u64)));
    }
    (shown(lines), progress.is_over(), progress.summary())
}

fn shown(lines: Vec<Line>) -> Vec<String> {
    let one = |line| match line {
        Line::Said(text) => text,
        Line::Fault(text) => format!("! {text}"),
    };
    lines.into_iter().map(one).collect()
}

#[test]
fn agents_come_up() {
    type Case<'a> = (&'a str, &'a [&'a [&'a str]], &'a [&'a str], bool, Result<&'a str, &'a str>);
    let cases: [Case<'_>; 11] = [
        (
            "one after the other",
            &[
                &["app unknown not_observed", "db starting"],
                &["app waiting waits_for_agent: waits for @db", "db alive @1"],
                &["app waiting waits_for_agent: waits for @db, which is running", "db alive @1"],
                &["app alive @3", "db alive @1"],
            ],
            &["db        up after 1.0s (session data)", "app       up after 3.0s (session app)"],
            true,
            Ok("all 2 agents are up"),
        ),
        (
            "all ran",
            &[&["app alive @-60", "db alive @-9"]],
            &["db        was up already (session data)", "app       was up already (session app)"],
            true,
            Ok("all 2 agents were up already"),
        ),
        (
            "one waits for one that failed",
            &[
                &["app waiting waits_for_agent: waits for @db", "db starting"],
                &[
                    "app waiting waits_for_agent: waits for @db",
                    "db absent cannot_start: it cannot be started: its directory /x does not exist",
                ],
            ],
            &[
                "! db        cannot run: its directory /x does not exist",
                "! app       is not up: waits for @db",
            ],
            true,
            Err("0 of 2 agents are up; not up: db, app"),
        ),
        (
            "one fails",
            &[&["app alive @1", "db waiting backoff: restart 1 waits"]],
            &["! db        is not up: restart 1 waits", "app       up after 0.0s (session app)"],
            true,
            Err("1 of 2 agents are up; not up: db"),
        ),
        (
            "a crash loop",
            &[&["app alive @1", "db crash_loop crash_loop: held after 5 restarts"]],
            &["! db        is not up: held after 5 restarts", "app       up after 0.0s (session app)"],
            true,
            Err("1 of 2 agents are up; not up: db"),
        ),
        (
            "one is held by a person",
            &[&["app alive @-5", "db held stopped_by_operator: stopped by anna"]],
            &[
                "db        held: stopped by anna (`start db` starts it)",
                "app       was up already (session app)",
            ],
            true,
            Ok("1 of 2 agents are up; 1 not to run now"),
        ),
        (
            "one was ended with the town",
            &[&["app alive @-5", "db held down: ended by anna"], &["app alive @-5", "db starting"]],
            &["app       was up already (session app)"],
            false,
            Err("1 of 2 agents are up; not up: db"),
        ),
        (
            "one has done its work",
            &[&["app alive @1", "db absent ended_well: it ended with 0"]],
            &["db        does not run: it ended with 0", "app       up after 0.0s (session app)"],
            true,
            Ok("1 of 2 agents are up; 1 not to run now"),
        ),
        (
            "a question",
            &[&["app waiting_at_question question: Trust this folder?", "db alive @1"]],
            &[
                "db        up after 0.0s (session data)",
                "app       up after 0.0s (session app); it waits at a question: Trust this folder? (`attach app`)",
            ],
            true,
            Ok("all 2 agents are up"),
        ),
        (
            "one leaves",
            &[&["app alive @1", "db alive @1", "old alive"], &["app alive @1", "db alive @1"]],
            &[
                "db        up after 0.0s (session data)",
                "app       up after 0.0s (session app)",
                "old       has ended after 1.0s: it is not in the file any more",
            ],
            true,
            Ok("all 2 agents are up"),
        ),
        (
            "one is not reported yet",
            &[&["db alive @1"]],
            &["db        up after 0.0s (session data)"],
            false,
            Err("1 of 2 agents are up; not up: app"),
        ),
    ];
    for (name, reports, lines, is_over, summary) in cases {
        let (said, over, end) = said(FILE, reports);
        assert_eq!(
            (said.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), over),
            (lines, is_over),
            "{name}"
        );
        assert_eq!(end.as_deref().map_err(String::as_str), summary, "{name}");
    }
    assert_eq!(
        said("[agents.a]\ncommand = \"x\"\n", &[&["a alive @-5"]]).2,
        Ok("the agent was up already".into())
    );
    let held = said("[agents.a]\ncommand = \"x\"\n", &[&["a held stopped_by_operator: stopped by anna"]]);
    assert_eq!(held.2, Ok("the agent is not to run now".into()));
    assert_eq!(said("#\n", &[&[]]).2, Ok("the file has no agents".into()));
}

#[test]
fn one_that_still_runs_what_the_file_said_before_is_not_up() {
    let mut progress = Progress::new(&plan(FILE), at(0));
    let before = Taken { session: "data".into(), taken: "other".into(), other_since: Some(at(0)) };
    let kept = Kept { agents: [("@db".parse().unwrap(), before)].into() };
    let all = report(&["app alive @-60", "db alive @-60"]);
    let lines = shown(progress.see(&all, &kept, Duration::ZERO));
    assert_eq!(lines, ["app       was up already (session app)"]);
    let lines = shown(progress.give_up(Duration::from_secs(90)));
    assert_eq!(lines, ["! db        not up within 1m30s: still running the previous definition"]);
    let mut progress = Progress::new(&plan(FILE), at(0));
    progress.see(&all, &kept, Duration::ZERO);
    let lines = shown(progress.see(
        &report(&["app alive @-60", "db alive @2"]),
        &Kept::default(),
        Duration::from_secs(3),
    ));
    assert_eq!(lines, ["db        up after 3.0s (session data)"]);
    assert!(progress.is_over());
}

#[test]
fn what_only_up_starts_again() {
    let progress = Progress::new(&plan(FILE), at(0));
    // Who is no longer in the file is not started, whatever it was held for.
    let held = report(&["app held down: x", "db held stopped_by_operator: x", "c held down: x"]);
    assert_eq!(progress.to_start(&held), ["@app"]);
}
