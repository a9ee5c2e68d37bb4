//! Convoys from outside: the bead databases, and `gt convoy check`.

use std::{fs, time::Duration};

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    alone, among_others,
    support::{supervisor::as_asked, town::Town},
};

/// A town in which no agent is started, with these settings.
fn town(settings: Value) -> Town {
    let town = Town::new(&["alpha"]);
    town.patrols(&[]);
    town.settings(settings);
    town
}

/// A bead database of the town or of its rig, with these rows.
fn database(town: &Town, of: &str, rows: &str) {
    let beads = town.path(of).join(".beads");
    fs::create_dir_all(&beads).unwrap();
    let database = Connection::open(beads.join("beads.db")).unwrap();
    database.execute_batch(include_str!("../fixtures/convoy/beads_0.47.sql")).unwrap();
    database.execute_batch(rows).unwrap();
}

const RIG: &str = "alpha/mayor/rig";

/// The databases of both, with an open convoy that tracks two beads of the rig.
fn databases(town: &Town) {
    database(
        town,
        ".",
        "INSERT INTO issues (id, title, issue_type) VALUES ('hq-cv-n2nfc', 'Lab convoy', 'convoy');
        INSERT INTO dependencies (issue_id, depends_on_id, type) VALUES
            ('hq-cv-n2nfc', 'external:alpha:alpha-1', 'tracks'),
            ('hq-cv-n2nfc', 'external:alpha:alpha-2', 'tracks')",
    );
    let beads = "INSERT INTO issues (id, title) VALUES ('alpha-1', 'A'), ('alpha-2', 'B'), ('alpha-9', 'C')";
    database(town, RIG, beads);
    town.put(".beads/routes.jsonl", format!("{{\"prefix\":\"alpha-\",\"path\":\"{RIG}\"}}\n"));
}

/// Somebody closes a bead of the rig, with or without a daemon.
fn close(town: &Town, id: &str) {
    let database = Connection::open(town.path(RIG).join(".beads/beads.db")).unwrap();
    let changed = database.execute("UPDATE issues SET status = 'closed' WHERE id = ?1", [id]);
    assert_eq!(changed.unwrap(), 1, "{id}");
}

/// How often a program was run with arguments that begin so.
fn ran(town: &Town, line: &str) -> usize {
    town.text("demo/commands.log").lines().filter(|it| it.starts_with(line)).count()
}

#[test]
fn a_convoy_is_closed_soon_after_its_last_bead() {
    let _alone = alone();
    let town = town(json!({"convoy": {"retry_after": "200ms"}}));
    databases(&town);
    town.put("demo/convoy-check", include_str!("../fixtures/convoy/convoy_check_closed.stdout"));
    let mut supervisor = town.start_and_beat();
    let convoys = |key: &str| town.ask(&["status", "--json"]).json()["convoys"][key].clone();
    close(&town, "alpha-1");
    close(&town, "alpha-9");
    town.wait("the first close", || convoys("closes_seen") == 1);
    assert_eq!((ran(&town, "gt convoy check"), convoys("open_convoys")), (0, json!(true)));
    close(&town, "alpha-2");
    town.wait_logged("convoys checked: ✓ Auto-closed 1 convoy(s): 🚚 hq-cv-n2nfc: Lab convoy");
    assert_eq!(ran(&town, "gt convoy check"), 1);
    assert_eq!((ran(&town, "bd list"), ran(&town, "bd activity")), (0, 0), "the databases answer");
    let (status, took) = supervisor.stop(Signal::TERM);
    assert!(as_asked(status) && took < Duration::from_millis(400), "{status}, {took:?}");
    town.wait("nothing to be left behind", || town.stray().is_empty());
}

#[test]
fn without_a_database_time_does_it() {
    let _among = among_others();
    let town = town(json!({"convoy": {"check_every": "300ms"}}));
    town.put("demo/convoys.json", r#"[{"id":"hq-cv-n2nfc","status":"open","issue_type":"convoy"}]"#);
    let _supervisor = town.start_and_beat();
    town.wait("three checks", || ran(&town, "gt convoy check") >= 3);
    assert_eq!(town.logged("Warning: "), 0, "{}", town.log());
    assert!(!town.path(".beads/beads.db").exists(), "no database was made");
    town.put("demo/convoys.json", "[]");
    let list = || ran(&town, "bd list");
    let (checks, lists) = (ran(&town, "gt convoy check"), list());
    town.wait("more questions", || list() >= lists + 4);
    assert!(ran(&town, "gt convoy check") <= checks + 1, "none is open");
}

#[test]
fn a_bd_of_its_own_kind_is_asked_as_well() {
    let _among = among_others();
    let town = town(json!({"convoy": {"check_every": "300ms"}}));
    let root = town.root().display();
    town.program(
        "bd",
        &format!(
            "echo \"bd $*\" >> {root}/demo/commands.log\ncase $1 in\n\
             list) echo '{{\"schema_version\":1,\"data\":[{{\"id\":\"hq-cv-1\"}}]}}' ;;\n\
             version) sleep 2; echo 'bd version 1.0.2' ;;\nesac"
        ),
    );
    let _supervisor = town.start_and_beat();
    town.wait("checks by time alone", || ran(&town, "gt convoy check") >= 4);
    assert_eq!(ran(&town, "bd activity"), 0, "{}", town.text("demo/commands.log"));
}
