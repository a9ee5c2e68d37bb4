//! `gt` and `bd`: what they print, and that they note how they were called.

use std::{fs, process::Command};

use super::text;
use crate::support::standin::bin_directory;

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
            .output()
            .unwrap();
        assert!(output.status.success(), "{program} {arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{program} {arguments:?}");
    }
    assert_eq!(
        text(&town.path().join("demo/commands.log")),
        "gt mail inbox --identity deacon/ --json\ngt mail send mayor/ -s 'A B'\nbd show hq-deacon --json\nbd version\n"
    );
}
