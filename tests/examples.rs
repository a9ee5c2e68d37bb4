//! The examples that need neither a town nor tmux run, and print what they should teach.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that runs programs")]

#[path = "support/limits.rs"]
mod limits;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use limits::LimitedCommand;

/// Runs an example, which `cargo test` builds beside this test.
fn run(name: &str, arguments: &[&Path]) -> Output {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        example.is_file(),
        "run `cargo test`, or `cargo build --examples` first: no {}",
        example.display()
    );
    let mut command = Command::new(example);
    command.args(arguments).env_remove("GT_TOWN_ROOT").env_remove("GT_ROOT");
    command.limited_output()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_restart_policy() {
    let output = run("restart_policy", &[]);
    let expected = "\
12:01:00 died after 60 s: restart now
12:01:05 died after 5 s: restart at 12:01:35
12:01:40 died after 5 s: restart at 12:02:40
12:02:45 died after 5 s: restart at 12:04:45
12:04:50 died after 5 s: restart at 12:08:50
12:08:55 died after 5 s: a crash loop, next try at 12:38:55
12:38:55 nothing ran meanwhile: held long enough, try once
12:39:00 died after 5 s: still a crash loop, next try at 13:09:00
13:09:00 nothing ran meanwhile: held long enough, try once
13:49:00 died after 2400 s: restart now
13:49:05 died after 5 s: restart at 13:49:35
13:49:35 somebody asks for it: restart now
";
    assert_eq!((text(&output.stdout), text(&output.stderr)), (expected, ""));
    assert!(output.status.success());
}

#[test]
fn the_status_of_a_town_without_a_supervisor() {
    let town = tempfile::tempdir().unwrap();
    let missing = run("town_status", &[town.path()]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(text(&missing.stderr).contains("is not a town"), "{missing:?}");

    fs::create_dir(town.path().join("mayor")).unwrap();
    fs::write(town.path().join("mayor/town.json"), r#"{"type": "town", "version": 1, "name": "t"}"#).unwrap();
    let output = run("town_status", &[town.path()]);
    let root = town.path().canonicalize().unwrap();
    assert_eq!(text(&output.stdout), format!("{}: no supervisor runs\n", root.display()), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn serving_what_is_no_town() {
    assert_eq!(run("serve_town", &[]).status.code(), Some(2));
    let nothing = tempfile::tempdir().unwrap();
    let output = run("serve_town", &[nothing.path()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let end = "is not a town: it has no mayor/town.json (`gt install` makes a town), and no agents.toml\n";
    assert!(text(&output.stderr).ends_with(end), "{output:?}");
}
