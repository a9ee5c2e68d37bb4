//! Tests cannot hang: the watchdog ends a suite that makes no progress, and nothing in a test waits without a limit.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests run real programs"
)]

use std::{fs, path::Path, process::Command, time::Duration};

#[path = "support/limits.rs"]
mod limits;

use limits::{LimitedCommand, LimitedJoin};

/// Run by [`a_suite_that_stands_still_names_its_tests`] in a process of its own.
#[test]
#[ignore = "never ends"]
fn waits_for_ever() {
    let mut sleep =
        Command::new("sleep").arg("600").env(limits::MARK, limits::mark("sleep")).spawn().unwrap();
    println!("{}", sleep.id());
    limits::watched();
    let _ = sleep.wait(); // limited: by the watchdog, which is what this shows
}

#[test]
fn a_suite_that_stands_still_names_its_tests() {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    suite
        .args(["--exact", "waits_for_ever", "--ignored", "--nocapture"])
        .env(limits::STANDSTILL_VARIABLE, "300");
    let output = suite.limited_output();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(101), "{stdout}{stderr}");
    assert!(stderr.contains("these tests are running:\n    waits_for_ever (for "), "{stdout}{stderr}");
    let started: u32 = stdout.lines().find_map(|line| line.split(' ').next_back()?.parse().ok()).unwrap();
    let state = || fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
    limits::wait_for("the end of what it started", || state().is_empty() || state().contains(") Z "));
}

#[test]
fn what_is_waited_for_is_named() {
    let said = |waits: fn()| {
        let failed = std::thread::spawn(waits).join().unwrap_err();
        failed.downcast_ref::<String>().unwrap().clone()
    };
    let missing = said(|| drop(Command::new("/no/such/program").arg("x").limited_output()));
    assert!(missing.contains("/no/such/program"), "{missing}");
    let message = said(|| {
        let (_, answers) = std::sync::mpsc::channel::<()>();
        limits::receive(&answers, "an answer");
    });
    assert!(message.contains("an answer was not told"), "{message}");
    std::thread::spawn(|| ()).limited_join("a thread");
    assert!(limits::poll(Duration::ZERO, || None::<()>).is_none());
}

/// Said at the end of a line that waits as below and has a limit nevertheless.
const LIMITED: &str = "// limited: ";

/// Ways to wait that have no limit, in the words they are written in.
#[rustfmt::skip]
const RAW: [&str; 11] = [
    ".output()", ".status()", ".wait_with_output()", "child.wait()", "sleep.wait()", ".0.wait()", ".join().unwrap()", ".recv().unwrap()", // limited: words
    ".recv();", "[\"run-shell\", \"true", ".wait().unwrap()", // limited: words
];

#[test]
fn nothing_in_a_test_waits_without_a_limit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut directories = ["tests", "src", "examples", "benches"].map(|name| root.join(name)).to_vec();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension() {
                None if entry.is_dir() => directories.push(entry),
                Some(extension) if extension == "rs" => found.extend(raw_waits(root, &entry)),
                _ => {}
            }
        }
    }
    assert!(found.is_empty(), "use tests/support/limits.rs:\n{}", found.join("\n"));
}

fn raw_waits(root: &Path, file: &Path) -> Vec<String> {
    let name = file.strip_prefix(root).unwrap();
    let text = fs::read_to_string(file).unwrap();
    // Of the sources only their tests: a supervisor waits for its commands in adapters, under limits of their own.
    let is_test = !name.starts_with("src") || name.ends_with("tests.rs");
    let begin = if is_test { Some(0) } else { text.find("\nmod tests {") };
    let tests = begin.map_or("", |begin| &text[begin..]);
    let raw = |line: &&str| RAW.iter().any(|raw| line.contains(raw)) && !line.contains(LIMITED);
    tests.lines().filter(raw).map(|line| format!("{}: {}", name.display(), line.trim())).collect()
}
