//! `gt` and `bd`: their output, and that they note their calls.

use std::{fs, process::Command};

use super::text;
use crate::support::{limits::LimitedCommand, standin::bin_directory};

#[test]
fn answers_and_notes() {
    let town = tempfile::tempdir().unwrap();
    let bin = bin_directory(town.path());
    fs::create_dir_all(town.path().join("mayor")).unwrap();
    fs::create_dir_all(town.path().join("deep/down")).unwrap();
    fs::write(town.path().join("mayor/town.json"), "{}").unwrap();
    for (program, arguments, printed) in [
        ("gt", &["mail", "inbox", "--identity", "deacon/", "--json"][..], "null\n"),
        ("gt", &["mail", "send", "mayor/", "-s", "A B"], ""),
        ("gt", &["status-line", "--session=x"], ""),
        ("bd", &["show", "hq-deacon", "--json"], ""),
        ("bd", &["version"], "bd version 0.47.2\n"),
    ] {
        let output = Command::new(bin.join(program))
            .args(arguments)
            .current_dir(town.path().join("deep/down"))
            .env_remove("GT_ROOT")
            .limited_output();
        assert!(output.status.success(), "{program} {arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{program} {arguments:?}");
    }
    assert_eq!(
        text(&town.path().join("demo/commands.log")),
        "gt mail inbox --identity deacon/ --json\ngt mail send mayor/ -s 'A B'\nbd show hq-deacon --json\nbd version\n"
    );
}

#[test]
fn bd_shows_the_beads_of_a_town_and_gt_notes_its_calls() {
    let town = tempfile::tempdir().unwrap();
    let bin = bin_directory(town.path());
    fs::create_dir_all(town.path().join("mayor")).unwrap();
    fs::create_dir_all(town.path().join("demo/beads")).unwrap();
    fs::write(town.path().join("mayor/town.json"), "{}").unwrap();
    fs::write(town.path().join("demo/beads/gt-1.json"), r#"{"id":"gt-1","status":"hooked"}"#).unwrap();
    fs::write(town.path().join("demo/beads/gt-bad.json"), "{").unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(bin.join(program))
            .args(arguments)
            .current_dir(town.path())
            .env_remove("GT_ROOT")
            .limited_output();
        assert!(output.status.success(), "{program} {arguments:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let one = "[\n  {\n    \"id\": \"gt-1\",\n    \"status\": \"hooked\"\n  }\n]\n";
    let missing = "Error fetching gt-2: no issue found matching \"gt-2\"\n";
    assert_eq!(run("bd", &["show", "gt-1", "gt-2", "--json"]), (one.to_owned(), missing.to_owned()));
    assert_eq!(run("bd", &["show", "gt-2", "--json"]), (String::new(), missing.to_owned()));
    assert!(run("bd", &["show", "gt-bad", "--json"]).1.starts_with("Error fetching gt-bad: EOF"));
    run("gt", &["mail", "send", "r/witness", "-s", "S", "-m", "a\nb"]);
    run("gt", &["log", "crash", "--agent", "r/x", "--session", "gt-r-x"]);
    assert_eq!(text(&town.path().join("demo/mail.log")), "[\"r/witness\",\"-s\",\"S\",\"-m\",\"a\\nb\"]\n");
    assert_eq!(
        text(&town.path().join("demo/crashes.log")),
        "[\"--agent\",\"r/x\",\"--session\",\"gt-r-x\"]\n"
    );
}
