//! `logs`: the end of the log, and new lines.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    among_others,
    support::{
        background::{Answer, answer, ended},
        limits::{LimitedCommand, kill_and_wait},
        process,
        town::Town,
    },
};

fn logs(town: &Town, words: &[&str]) -> Answer {
    answer(town.command_of(&[&["logs"], words].concat()))
}

/// `logs -f`, and what it has shown so far.
struct Following {
    child: Option<Child>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Following {
    fn begin(town: &Town, lines: &str) -> Following {
        let mut command = town.command_of(&["logs", "-n", lines, "-f"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut output, shown) = (child.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let show = shown.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                show.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Following { child: Some(child), shown }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn end(mut self, with: Signal) -> Answer {
        let child = self.child.take().unwrap();
        process::signal(child.id(), with);
        ended(child)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_and_wait(&mut child);
        }
    }
}

fn append(town: &Town, text: impl AsRef<[u8]>) {
    let path = town.path("daemon/daemon.log");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut log = OpenOptions::new().append(true).create(true).open(path).unwrap();
    log.write_all(text.as_ref()).unwrap();
}

#[test]
fn the_last_lines_also_when_nothing_runs() {
    let _among = among_others();
    let town = Town::new(&[]);
    let missing =
        format!("Error: there is no log yet: {} does not exist\n", town.path("daemon/daemon.log").display());
    for words in [&[][..], &["-f"]] {
        logs(&town, words).failed(1, &missing);
    }
    let line = |number: u32| format!("2026/01/01 00:00:00 line {number}\n");
    let lines = |from: u32| (from..=60).map(line).collect::<String>();
    town.put("daemon/daemon.log", lines(1));
    for (words, expected) in [
        (&[][..], lines(11)),
        (&["-n", "3"], lines(58)),
        (&["-n3"], lines(58)),
        (&["--lines", "1000"], lines(1)),
        (&["-n", "0"], String::new()),
    ] {
        logs(&town, words).fine(&expected);
    }
    for words in [&["-n", "few"][..], &["-n", "-1"], &["-n"]] {
        assert_eq!(logs(&town, words).code, Some(2), "{words:?}");
    }
    let directory = Town::new(&[]);
    fs::create_dir_all(directory.path("daemon/daemon.log")).unwrap();
    logs(&directory, &[])
        .failed(1, &format!("Error: {} cannot be shown: ", directory.path("daemon/daemon.log").display()));
}

#[test]
fn what_is_no_text_survives() {
    let _among = among_others();
    let town = Town::new(&[]);
    append(&town, b"a\n\xff\xfe b\n");
    let output = town.command_of(&["logs", "-n", "1"]).limited_output();
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"\xff\xfe b\n"[..]));
}

#[test]
fn growth_rotation_and_truncation_are_followed_until_ctrl_c() {
    let _among = among_others();
    for with in [Signal::INT, Signal::TERM] {
        let town = Town::new(&[]);
        append(&town, "1\n2\n");
        let following = Following::begin(&town, "1");
        let shows = |text: &str| town.wait(&format!("{text:?} to be shown"), || following.shown() == text);
        shows("2\n");
        append(&town, "3\n");
        shows("2\n3\n");
        append(&town, "4\n");
        fs::rename(town.path("daemon/daemon.log"), town.path("daemon/daemon.log.1")).unwrap();
        append(&town, "5\n");
        shows("2\n3\n4\n5\n");
        OpenOptions::new().write(true).open(town.path("daemon/daemon.log")).unwrap().set_len(0).unwrap();
        // Longer than before it would look like growth.
        append(&town, "6");
        shows("2\n3\n4\n5\n6");
        assert_eq!(
            following.end(with),
            Answer { code: Some(0), stdout: String::new(), stderr: String::new() }
        );
    }
}

#[test]
fn a_closed_output_is_no_error() {
    let _among = among_others();
    let town = Town::new(&[]);
    append(&town, "a line\n".repeat(100_000));
    for words in [&["logs", "-n", "100000"][..], &["logs", "-f", "-n", "100000"], &["logs", "-f", "-n", "0"]]
    {
        let mut command = town.command_of(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        // Nothing is added: that the reader is gone is noticed by itself.
        let ended = ended(child);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn a_supervisor_that_rotates_is_followed_without_a_gap() {
    let _among = among_others();
    let town = Town::new(&[]);
    town.patrols(&[]);
    town.settings(json!({"heartbeat": {"interval": "500ms"}, "log": {"max_bytes": 400, "keep": 9}}));
    append(&town, "");
    let following = Following::begin(&town, "0");
    let mut supervisor = town.start();
    town.wait("three rotations", || town.path("daemon/daemon.log.3").exists());
    supervisor.stop(Signal::TERM);
    let texts =
        |text: &str| text.lines().map(|line| line.get(20..).unwrap_or(line).to_owned()).collect::<Vec<_>>();
    let all = texts(&supervisor.stderr());
    town.wait("its last line", || following.shown().ends_with("Daemon stopped\n"));
    assert_eq!(texts(&following.shown()), all);
}
