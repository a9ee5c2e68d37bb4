//! Convoys, from outside: the child that tells closes, the town's database, and `gt convoy check`.

use std::{fs::OpenOptions, io::Write, time::Duration};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{process, town::Town},
};

/// A town in which nobody is started, with these settings.
fn town(settings: Value) -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&[]);
    town.settings(settings);
    town
}

/// Its bead database, with an open convoy that tracks two beads of a rig.
fn database(town: &Town) {
    town.put(".beads/.keep", "");
    let database = Connection::open(town.path(".beads/beads.db")).unwrap();
    database.execute_batch(include_str!("../fixtures/convoy/beads_0.47.sql")).unwrap();
    database
        .execute_batch(
            "INSERT INTO issues (id, title, issue_type) VALUES ('hq-cv-n2nfc', 'Lab convoy', 'convoy');
            INSERT INTO dependencies (issue_id, depends_on_id, type) VALUES
                ('hq-cv-n2nfc', 'external:alpha:alpha-1', 'tracks'),
                ('hq-cv-n2nfc', 'external:alpha:alpha-2', 'tracks')",
        )
        .unwrap();
}

/// `bd activity` tells that a bead was closed.
fn close(town: &Town, id: &str, at: u32) {
    let mut told = OpenOptions::new().append(true).create(true).open(town.path("demo/activity")).unwrap();
    let event = json!({"timestamp": format!("2026-11-22T20:46:{at:02}.1Z"), "type": "status", "issue_id": id,
        "symbol": "✓", "message": format!("{id} completed"), "old_status": "open", "new_status": "closed"});
    told.write_all(format!("{event}\n").as_bytes()).unwrap();
}

/// How often a program was run with arguments that begin so.
fn ran(town: &Town, line: &str) -> usize {
    town.text("demo/commands.log").lines().filter(|it| it.starts_with(line)).count()
}

/// The child that tells closes.
fn child(town: &Town) -> Option<u32> {
    let is_it = |words: &[String]| words.get(1).is_some_and(|word| word == "activity");
    town.stray().into_iter().find(|(_, words)| is_it(words)).map(|(pid, _)| pid)
}

const DOWN: &str = "closed beads are not told at once";

#[test]
fn a_burst_of_closes_is_one_check_and_the_child_goes_with_us() {
    let _alone = alone();
    let town = town(json!({}));
    database(&town);
    town.put("demo/convoy-check", include_str!("../fixtures/convoy/convoy_check_closed.stdout"));
    town.put("demo/activity", "not json\n\n");
    let mut supervisor = town.start_and_beat();
    let pid = town.wait_some("the child", || child(&town));
    assert_eq!(
        process::command_line(pid)[1..],
        ["activity", "--follow", "--town", "--json"].map(str::to_owned)
    );
    assert_eq!(process::directory(pid), town.root());
    assert_eq!(process::environment(pid).get("BD_ACTOR").map(String::as_str), Some("daemon"));
    for (at, id) in ["alpha-1", "alpha-9", "alpha-2", "alpha-2", "alpha-7"].into_iter().enumerate() {
        close(&town, id, at as u32 / 2);
    }
    town.wait_logged("convoys checked: ✓ Auto-closed 1 convoy(s): 🚚 hq-cv-n2nfc: Lab convoy");
    assert_eq!(ran(&town, "gt convoy check"), 1);
    assert_eq!(ran(&town, "bd list"), 0, "the database answers");

    let (status, took) = supervisor.stop(Signal::TERM);
    assert!(status.success() && took < Duration::from_millis(400), "{status}, {took:?}");
    town.wait("nothing to be left behind", || town.stray().is_empty());

    let mut supervisor = town.start();
    let pid = process::Guarded::of(town.wait_some("the next child", || child(&town)));
    supervisor.stop(Signal::KILL);
    town.wait("the kernel to end the child", || !pid.lives());
}

#[test]
fn a_child_that_is_killed_is_followed_by_another() {
    let _among = among_others();
    let town = town(json!({"convoy": {"retry_after": "200ms"}}));
    database(&town);
    town.put("demo/activity", "");
    let _supervisor = town.start_and_beat();
    let first = town.wait_some("the child", || child(&town));
    process::signal(first, Signal::KILL);
    town.wait_some("another", || child(&town).filter(|pid| *pid != first));
    close(&town, "alpha-1", 1);
    town.wait("the check", || ran(&town, "gt convoy check") == 1);
    assert_eq!(town.logged(DOWN), 1, "{}", town.log());
}

#[test]
fn without_daemon_and_database_time_does_it() {
    let _among = among_others();
    let town =
        town(json!({"convoy": {"retry_after": "100ms", "retry_max": "200ms", "check_every": "300ms"}}));
    town.put("demo/convoys.json", r#"[{"id":"hq-cv-n2nfc","status":"open","issue_type":"convoy"}]"#);
    let _supervisor = town.start_and_beat();
    town.wait("three checks", || ran(&town, "gt convoy check") >= 3);
    town.wait("the child to be tried often", || ran(&town, "bd activity") >= 5);
    assert_eq!(town.logged(DOWN), 1, "told once\n{}", town.log());
    assert!(town.logged("no rig daemons running") == 1 && town.logged("Warning: ") == 0, "{}", town.log());
    assert!(!town.path(".beads/beads.db").exists(), "no database was made");
    town.put("demo/convoys.json", "[]");
    let list = || ran(&town, "bd list");
    let (checks, lists) = (ran(&town, "gt convoy check"), list());
    town.wait("more questions", || list() >= lists + 4);
    assert!(ran(&town, "gt convoy check") <= checks + 1, "none is open");
}

#[test]
fn a_bd_without_activity_is_asked_once() {
    let _among = among_others();
    let town = town(json!({"convoy": {"retry_after": "50ms", "retry_max": "50ms", "check_every": "300ms"}}));
    let root = town.root().display();
    town.program(
        "bd",
        &format!(
            "echo \"bd $*\" >> {root}/demo/commands.log\ncase $1 in\n\
             list) echo '{{\"schema_version\":1,\"data\":[{{\"id\":\"hq-cv-1\"}}]}}' ;;\n\
             version) sleep 2; echo 'bd version 1.0.2' ;;\n\
             activity) echo 'Error: unknown command \"activity\" for \"bd\"' >&2; exit 1 ;;\nesac"
        ),
    );
    let _supervisor = town.start_and_beat();
    town.wait("checks by time alone", || ran(&town, "gt convoy check") >= 4);
    assert!(ran(&town, "bd activity") <= 1, "{}", town.text("demo/commands.log"));
    assert_eq!((town.logged(DOWN), town.logged("unknown command") <= 1), (1, true), "{}", town.log());
}

/// Lines without end, and a line without end.
#[test]
fn a_child_that_floods_holds_up_nothing() {
    let _alone = alone();
    for flood in [
        "exec yes '{\"type\":\"status\",\"issue_id\":\"a\",\"new_status\":\"closed\"}'",
        "exec cat /dev/zero",
    ] {
        let town = town(json!({"heartbeat": {"interval": "500ms"}}));
        database(&town);
        town.program(
            "bd",
            &format!("case $1 in\nactivity) {flood} ;;\nversion) echo 'bd version 0.47.2' ;;\nesac"),
        );
        let mut supervisor = town.start_and_beat();
        town.wait_beats(4);
        let resident = process::resident_kib(supervisor.pid());
        assert!(resident < 100 << 10, "{flood}: {resident} KiB");
        let (status, took) = supervisor.stop(Signal::TERM);
        assert!(status.success() && took < Duration::from_millis(400), "{flood}: {status}, {took:?}");
        town.wait("nothing to be left behind", || town.stray().is_empty());
    }
}
