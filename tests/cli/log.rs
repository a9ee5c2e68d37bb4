//! The log: the format of its lines, the texts that other programs search for, its rotation and its reopening.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::{among_others, support::town::Town};

/// A line's time with each digit made 0; the rest of the line.
fn shape(line: &str) -> (String, &str) {
    let (time, text) = line.split_at_checked(20).unwrap_or((line, ""));
    (time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect(), text)
}

/// The lines without their times, as two writers may write one line in two seconds.
fn texts(lines: &str) -> Vec<&str> {
    lines.lines().map(|line| shape(line).1).collect()
}

#[test]
fn every_line_has_its_time_and_the_known_texts_come_in_order() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut supervisor = town.start_and_beat();
    let pid = supervisor.pid();
    supervisor.stop(Signal::TERM);
    let log = town.log();
    for line in log.lines() {
        assert_eq!(shape(line).0, "0000/00/00 00:00:00 ", "{line}");
    }
    assert_eq!(town.mode("daemon/daemon.log"), 0o600);
    let known = [
        format!("Daemon starting (PID {pid})"),
        "Daemon running, recovery heartbeat interval 3m0s".to_owned(),
        "Heartbeat starting (recovery-focused)".to_owned(),
        "Heartbeat complete (#1)".to_owned(),
        "Daemon shutting down".to_owned(),
        "Daemon stopped".to_owned(),
    ];
    let found: Vec<String> = town.log_texts().into_iter().filter(|text| known.contains(text)).collect();
    assert_eq!(found, known);
    assert!(log.ends_with("Daemon stopped\n"));
    // In the foreground a person sees the same.
    assert_eq!(texts(&supervisor.stderr()), texts(&log));
}

#[test]
fn times_are_local() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut command = town.command();
    command.env("TZ", "Etc/GMT-14");
    let supervisor = crate::support::supervisor::Supervisor::spawn(command, town.server.dir());
    town.wait_logged("Heartbeat complete (#1)");
    drop(supervisor);
    let there = jiff::Timestamp::now().in_tz("Etc/GMT-14").unwrap();
    let before = there.checked_sub(jiff::Span::new().minutes(1)).unwrap();
    let hours = [there, before].map(|time| time.strftime("%Y/%m/%d %H:").to_string());
    let log = town.log();
    assert!(hours.iter().any(|hour| log.starts_with(hour)), "{hours:?} {log}");
}

#[test]
fn json_on_standard_error_and_lines_in_the_file() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    let mut command = town.command();
    command.args(["--log-format", "json"]);
    let mut supervisor = crate::support::supervisor::Supervisor::spawn(command, town.server.dir());
    town.wait_logged("Heartbeat complete (#1)");
    supervisor.stop(Signal::TERM);
    let said = supervisor.stderr();
    let messages: Vec<String> = said
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            let message = line["message"].as_str().unwrap();
            let Some(agent) = line["agent"].as_str() else { return message.to_owned() };
            let event = (agent, &line["session"], &line["from"], &line["to"], &line["reason"]);
            let session = if agent == "deacon" { "hq-deacon" } else { "gt-boot" };
            let values = [session, "unknown", "paused", "patrol_off"].map(serde_json::Value::from);
            let [session, from, to, reason] = &values;
            assert_eq!(event, (agent, session, from, to, reason), "{line}");
            format!("{agent}: {message}")
        })
        .collect();
    assert!(messages.iter().any(|message| message.starts_with("deacon: ")), "{messages:?}");
    assert_eq!(messages, town.log_texts());
}

#[test]
fn it_is_rotated_by_size_and_bounded() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "log": {"max_bytes": 150, "keep": 2}}));
    let mut supervisor = town.start();
    town.wait("the fifth heartbeat", || town.json("daemon/state.json")["heartbeat_count"] == 5);
    supervisor.stop(Signal::TERM);
    let size = |name: &str| fs::metadata(town.path(name)).map(|data| data.len()).ok();
    for name in ["daemon/daemon.log", "daemon/daemon.log.1", "daemon/daemon.log.2"] {
        assert!((1..=150).contains(&size(name).unwrap_or_default()), "{name}: {:?}", size(name));
        assert_eq!(town.mode(name), 0o600, "{name}");
    }
    assert_eq!(size("daemon/daemon.log.3"), None);
    let kept =
        ["daemon/daemon.log.2", "daemon/daemon.log.1", "daemon/daemon.log"].map(|name| town.text(name));
    let (all, kept) = (supervisor.stderr(), kept.concat());
    assert!(texts(&all).ends_with(&texts(&kept)), "the newest lines, none lost between two files: {kept}");
}

#[test]
fn hup_opens_it_anew() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}}));
    let supervisor = town.start_and_beat();
    fs::rename(town.path("daemon/daemon.log"), town.path("daemon/moved.log")).unwrap();
    let moved = || town.text("daemon/moved.log").matches("Heartbeat complete").count();
    let before = moved();
    town.wait("a line into the moved file", || moved() > before);
    supervisor.signal(Signal::HUP);
    town.wait("a line into a new file", || town.logged("Heartbeat complete") > 0);
    assert_eq!(town.mode("daemon/daemon.log"), 0o600);
    let at_rest = town.text("daemon/moved.log");
    town.wait_beats(1);
    assert_eq!(town.text("daemon/moved.log"), at_rest);
}
