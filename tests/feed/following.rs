//! Everything that can happen to the log, one at a time, with the curator awake, asleep, or killed and restarted.

use std::fs;

use crate::{Town, append, event, run};

/// What the curator does while something becomes of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meanwhile {
    Awake,
    Asleep,
    Killed,
}

const EACH: [Meanwhile; 3] = [Meanwhile::Awake, Meanwhile::Asleep, Meanwhile::Killed];

impl Town {
    /// It has read so far, then it is awake for what comes, or is not.
    async fn meanwhile(&mut self, what: Meanwhile) {
        self.catches_up().await;
        self.saves().await;
        if what == Meanwhile::Killed {
            self.is_killed();
        }
    }

    /// The log is pruned: some of its lines are written to another file, which replaces it.
    fn prunes(&self, remove: impl Fn(&mut Vec<String>)) {
        let log = fs::read_to_string(self.log()).unwrap();
        let mut lines: Vec<String> = log.lines().map(|line| format!("{line}\n")).collect();
        remove(&mut lines);
        fs::write(self.beside(".tmp"), lines.concat()).unwrap();
        fs::rename(self.beside(".tmp"), self.log()).unwrap();
    }

    async fn looks_if_awake(&mut self, what: Meanwhile) {
        if what == Meanwhile::Awake {
            self.catches_up().await;
        }
    }

    async fn then(&mut self, what: Meanwhile) {
        if what == Meanwhile::Killed {
            self.begins().await;
        }
        self.catches_up().await;
    }
}

#[test]
fn it_begins_at_the_end_of_a_log_that_is_there() {
    for (name, before, seen) in [
        ("no log", None, vec!["x0"]),
        ("an empty one", Some(String::new()), vec!["x0"]),
        ("whole lines", Some(event("old", "feed") + "\n"), vec!["x0"]),
        (
            "a line that is being written",
            Some(event("old", "feed") + "\n" + &event("new", "feed")[..20]),
            vec!["new", "x0"],
        ),
        ("nothing but such a line", Some(event("new", "feed")[..20].to_owned()), vec!["new", "x0"]),
    ] {
        run(async {
            let mut town = Town::new().await;
            if let Some(text) = &before {
                append(&town.log(), text.as_bytes());
            }
            town.begins().await;
            town.catches_up().await;
            assert_eq!(town.feed(), "", "{name}");
            // It is known to have begun before it does anything else.
            town.is_killed();
            if seen[0] == "new" {
                append(&town.log(), &event("new", "feed").as_bytes()[20..]);
                append(&town.log(), b"\n");
            }
            town.appends(1);
            town.begins().await;
            town.catches_up().await;
            assert_eq!(town.told(), seen, "{name}");
            assert_eq!(town.progress().skipped, 0, "{name}");
        });
    }
}

#[test]
fn it_follows_the_log_whatever_becomes_of_it() {
    type Act = fn(&mut Town);
    let acts: [(&str, Act); 12] = [
        ("growth", |_| ()),
        ("a line in two pieces", |town| {
            let (line, log) = (event("torn", "feed") + "\n", town.log());
            append(&log, &line.as_bytes()[..30]);
            append(&log, &line.as_bytes()[30..]);
        }),
        ("renamed", |town| fs::rename(town.log(), town.beside(".1")).unwrap()),
        ("renamed with a date", |town| fs::rename(town.log(), town.beside("-20261125")).unwrap()),
        ("renamed twice", |town| {
            fs::rename(town.log(), town.beside(".2")).unwrap();
            town.appends(2);
            fs::rename(town.log(), town.beside(".1")).unwrap();
        }),
        ("copied and emptied", |town| {
            fs::copy(town.log(), town.beside(".1")).unwrap();
            fs::File::create(town.log()).unwrap();
        }),
        ("copied and emptied twice", |town| {
            fs::copy(town.log(), town.beside(".2")).unwrap();
            fs::File::create(town.log()).unwrap();
            town.appends(1);
            fs::copy(town.log(), town.beside(".1")).unwrap();
            fs::File::create(town.log()).unwrap();
        }),
        ("a person's copy", |town| {
            fs::copy(town.log(), town.beside(".bak")).unwrap();
        }),
        ("pruned", |town| town.prunes(|lines| drop(lines.drain(..2)))),
        ("pruned twice, and nothing to prune", |town| {
            town.prunes(|_| ());
            town.appends(1);
            town.prunes(|lines| drop(lines.drain(..3)));
        }),
        ("pruned, with a pruner that was killed before", |town| {
            town.prunes(|lines| drop(lines.drain(..1)));
            fs::write(town.beside(".tmp"), event("x2", "feed") + "\n").unwrap();
        }),
        ("a person's copy, then renamed", |town| {
            fs::copy(town.log(), town.beside(".bak")).unwrap();
            fs::rename(town.log(), town.beside(".1")).unwrap();
        }),
    ];
    for (name, act) in acts {
        for meanwhile in EACH {
            run(async {
                let mut town = Town::new().await;
                town.begins().await;
                town.appends(3);
                town.meanwhile(meanwhile).await;
                town.appends(2);
                town.looks_if_awake(meanwhile).await;
                act(&mut town);
                town.looks_if_awake(meanwhile).await;
                town.appends(3);
                town.then(meanwhile).await;
                town.appends(1);
                town.catches_up().await;
                let mut expected: Vec<String> = (0..town.lines).map(|n| format!("x{n}")).collect();
                if name == "a line in two pieces" {
                    expected.insert(5, "torn".to_owned());
                }
                assert_eq!(town.told(), expected, "{name}, {meanwhile:?}");
                assert_eq!(town.progress().skipped, 0, "{name}, {meanwhile:?}");
            });
        }
    }
}

#[test]
fn a_line_that_a_pruner_loses_is_read_if_it_can_be_and_costs_no_other() {
    for meanwhile in EACH {
        run(async {
            let mut town = Town::new().await;
            town.begins().await;
            town.appends(4);
            town.meanwhile(meanwhile).await;
            // The last line read came after the pruner had read the log.
            town.prunes(|lines| {
                lines.pop();
                lines.remove(0);
            });
            town.appends(2);
            town.then(meanwhile).await;
            assert_eq!(town.told(), ["x0", "x1", "x2", "x3", "x4", "x5"], "{meanwhile:?}");
        });
    }
}

#[test]
fn a_deleted_log_is_read_to_its_end_and_begun_anew() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        town.appends(1);
        town.catches_up().await;
        town.appends(2);
        fs::remove_file(town.log()).unwrap();
        town.catches_up().await;
        assert_eq!(town.told(), ["x0", "x1", "x2"], "it was open");
        town.appends(1);
        town.catches_up().await;
        assert_eq!(town.told().last().unwrap(), "x3");
    });
}

#[test]
fn emptied_and_written_again_to_the_same_length() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        town.appends(3);
        town.catches_up().await;
        let length = fs::metadata(town.log()).unwrap().len();
        fs::File::create(town.log()).unwrap();
        town.appends(3);
        assert_eq!(fs::metadata(town.log()).unwrap().len(), length);
        town.catches_up().await;
        assert_eq!(town.told(), ["x0", "x1", "x2", "x3", "x4", "x5"]);
    });
}

#[test]
fn a_line_that_was_never_ended_is_counted() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        town.appends(1);
        append(&town.log(), b"{\"ts\":\"2026");
        town.catches_up().await;
        assert_eq!(town.progress().skipped, 0, "it may still be ended");
        fs::rename(town.log(), town.beside(".1")).unwrap();
        town.appends(1);
        town.catches_up().await;
        assert_eq!((town.told(), town.progress().skipped), (vec!["x0".to_owned(), "x1".to_owned()], 1));
    });
}

#[test]
fn what_is_in_the_place_of_the_log_and_is_none_is_reported_and_passes() {
    run(async {
        let mut town = Town::new().await;
        town.begins().await;
        fs::create_dir(town.log()).unwrap();
        let mut follower = gastown_supervisor::watchers::feed::follow::Follower::default();
        let error =
            gastown_supervisor::watchers::feed::curate::carry_over(&town.deps, &town.known, &mut follower)
                .await
                .unwrap_err();
        assert!(error.starts_with(".events.jsonl cannot be read: "), "{error}");
        fs::remove_dir(town.log()).unwrap();
        town.appends(1);
        town.catches_up().await;
        assert_eq!(town.told(), ["x0"]);
    });
}
