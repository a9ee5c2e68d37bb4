//! Every recorded output of `bd` and `gt` that the adapters can get, passed through the adapters. The grids name each
//! recording; a recording in the directory that is in no grid fails.

use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use gastown_supervisor::{
    agent::{confirmation::Assignment, denial::Unwanted, polecat::rules},
    commands::{Command, CommandError, Commands, Printed},
    deps::Deps,
    ledger::{
        agents::AgentBead,
        answer::Answer,
        beads,
        databases::Database,
        dock,
        inbox::{self, Removal},
        mail::{self, Sent},
        show_output::{self, Shown},
        version,
    },
    ports::Ports,
    town::{bead::Bead, wisp::Closed},
};

use crate::{town, world::*};

/// Answers every command with one recording, as the runner would.
struct Recorded {
    stdout: Vec<u8>,
    stderr: String,
    code: i32,
}

impl Recorded {
    /// What was recorded under this name; a file that is not there was empty, or 0.
    fn of(name: &str) -> Self {
        let part = |kind: &str| std::fs::read(directory().join(format!("{name}.{kind}"))).unwrap_or_default();
        let text = |kind| String::from_utf8(part(kind)).unwrap();
        let code = text("rc").trim().parse().unwrap_or(0);
        Recorded { stdout: part("stdout"), stderr: text("stderr"), code }
    }
}

#[async_trait]
impl Commands for Recorded {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        if self.code == 0 {
            return Ok(Printed { stdout, stderr: stderr.into_bytes() });
        }
        // As in the runner: its end, on one line.
        let words = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let skip = words.chars().count().saturating_sub(500);
        let stderr = words.chars().skip(skip).collect();
        let status = format!("exit code {}", self.code);
        Err(CommandError::Failed { line: command.line(), status, code: Some(self.code), stdout, stderr })
    }

    async fn locate(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn search_path(&self) -> Option<String> {
        None
    }
}

/// Answers each command with the next recording.
struct InTurn(Mutex<VecDeque<Recorded>>);

#[async_trait]
impl Commands for InTurn {
    async fn run(&self, command: Command) -> Result<Printed, CommandError> {
        let next = self.0.lock().unwrap().pop_front().unwrap();
        next.run(command).await
    }

    async fn locate(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn search_path(&self) -> Option<String> {
        None
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The names of the recordings in this directory with this prefix.
fn all(folder: &str, beginning: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory().join(folder)).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = files.filter(|file| file.starts_with(beginning));
    names.map(|file| file.rsplit_once('.').unwrap().0.to_owned()).collect()
}

fn names<T>(grid: &[(&str, T)]) -> BTreeSet<String> {
    grid.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// The same with other commands.
fn with(deps: &Deps, commands: Arc<dyn Commands>) -> Deps {
    Deps::new(Ports { commands, ..deps.ports.clone() })
}

/// A town whose programs answer with this recording.
async fn answering(world: &World, name: &str) -> Arc<Deps> {
    let deps = town(world).await;
    Arc::new(with(&deps, Arc::new(Recorded::of(name))))
}

/// What comes of asking for one thing.
#[derive(Debug, PartialEq)]
enum Outcome {
    Found,
    Missing,
    Unknown(&'static str),
}
use Outcome::*;

#[test]
fn every_show() {
    let grid = [
        ("show_agent_autocreated", ("gt-gastown-polecat-auto", Found)),
        ("show_closed_agent", ("gt-gastown-polecat-nux", Found)),
        ("show_convoy", ("hq-cv-n2nfc", Found)),
        ("show_hq_mayor", ("hq-mayor", Found)),
        ("show_missing_daemon", ("hq-nope", Missing)),
        ("show_missing_direct", ("gt-gastown-polecat-ghost", Missing)),
        ("show_missing_direct_noprefix", ("zz-nope", Missing)),
        ("show_multi_one_missing", ("hq-nope", Missing)),
        ("show_no_beads_dir", ("gt-x", Unknown("no beads database found"))),
        ("show_non_agent", ("gt-o78", Found)),
        ("show_partial", ("gt-gastown-polecat-n", Missing)),
        ("show_partial_ambiguous", ("gastown", Missing)),
        ("show_polecat_hooked", ("gt-gastown-polecat-Toast", Found)),
        ("show_polecat_no_hook", ("gt-gastown-polecat-nux", Found)),
        ("show_role_bead", ("hq-polecat-role", Found)),
        ("show_stale_jsonl", ("gt-gastown-witness", Found)),
        ("show_stale_noimport", ("gt-gastown-witness", Unknown("Database out of sync with JSONL"))),
    ];
    assert_eq!(names(&grid), all("bd", "show_"));
    let made =
        [("v1.0_show_missing", ("gt-x", Missing)), ("v1.0_show_agent", ("gt-gastown-polecat-Toast", Found))];
    for (name, (id, expected)) in grid.into_iter().chain(made) {
        simulate(260, |world| async move {
            let mut recorded = Recorded::of(&format!("bd/{name}"));
            if name == "v1.0_show_agent" {
                recorded.stdout = std::fs::read(directory().join("bd/v1.0_show_agent.json")).unwrap();
            }
            let deps = with(&*town(&world).await, Arc::new(recorded));
            for answer in
                [beads::one(&deps, id).await, beads::read(&deps, &[id.to_owned()]).await[id].clone()]
            {
                match (&answer, &expected) {
                    (Answer::Found(bead), Found) => assert_eq!(bead.id, id, "{name}"),
                    (Answer::Missing, Missing) => {}
                    (Answer::Unknown(why), Unknown(text)) if why.contains(text) => {}
                    _ => panic!("{name}: {answer:?}, expected {expected:?}"),
                }
            }
        });
    }
}

#[test]
fn one_of_two_is_missing() {
    simulate(261, |world| async move {
        let deps = answering(&world, "bd/show_multi_one_missing").await;
        let ids = ["hq-mayor", "hq-nope"].map(str::to_owned);
        let answers = beads::read(&deps, &ids).await;
        assert!(matches!(&answers["hq-mayor"], Answer::Found(bead) if bead.id == "hq-mayor"), "{answers:?}");
        assert_eq!(answers["hq-nope"], Answer::Missing);
    });
}

#[test]
fn every_list() {
    let agents =
        ["gt-gastown-polecat-nux", "gt-gastown-polecat-Toast", "gt-gastown-refinery", "gt-gastown-witness"];
    let with_auto = || [&["gt-gastown-polecat-auto"][..], &agents].concat();
    let grid = [
        ("list_agent_after_autocreate", agents.to_vec()),
        ("list_agent_rig_beads", vec!["bd-beads-polecat-pearl", "bd-beads-refinery", "bd-beads-witness"]),
        ("list_agent_rig_gastown", agents.to_vec()),
        ("list_agent_town", vec!["hq-deacon", "hq-mayor"]),
        ("list_empty", vec![]),
        ("list_label_gt_agent", with_auto()),
        ("list_type_unknown", vec![]),
    ];
    assert_eq!(names(&grid), all("bd", "list_"));
    for (name, expected) in grid {
        let recorded = Recorded::of(&format!("bd/{name}"));
        match show_output::parse(&recorded.stdout, &recorded.stderr) {
            Ok(Shown::Beads { beads, troubles }) if troubles.is_empty() => {
                let ids: Vec<&str> = beads.iter().map(|bead| bead.id.as_str()).collect();
                assert_eq!(ids, expected, "{name}");
                assert!(beads.iter().all(|bead| bead.is_agent() && bead.hook_bead.is_none()), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // A later version prints the columns.
    let later = std::fs::read(directory().join("bd/v0.49_list_agent_rig_gastown.json")).unwrap();
    let Ok(Shown::Beads { beads, .. }) = show_output::parse(&later, "") else { panic!("it does not parse") };
    assert!(beads.iter().any(|bead| bead.hook_bead.is_some()));
}

#[test]
fn the_version() {
    assert_eq!(all("bd", "bd_version").len(), 1);
    simulate(262, |world| async move {
        let deps = answering(&world, "bd/bd_version").await;
        version::probe(&deps).await;
        let version = deps.bd_version().unwrap();
        assert_eq!((version.major, version.minor, version.has_daemon()), (0, 47, true));
    });
}

#[test]
fn every_inbox() {
    let grid = [
        ("mail_inbox", Ok(12)),
        ("mail_inbox_empty", Ok(0)),
        ("mail_inbox_outside", Err("not in a Gas Town workspace")),
    ];
    assert_eq!(names(&grid), all("mail", "mail_inbox"));
    for (name, expected) in grid {
        simulate(263, |world| async move {
            let deps = answering(&world, &format!("mail/{name}")).await;
            match (inbox::read(&deps).await, expected) {
                (Ok(messages), Ok(count)) => assert_eq!(messages.len(), count, "{name}"),
                (Err(why), Err(text)) => assert!(why.contains(text), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
            assert!(deps.problems.open().is_empty(), "{name}");
        });
    }
    let made = [
        ("inbox_all_forms", Ok(25)),
        ("inbox_empty_array", Ok(0)),
        ("inbox_not_json", Err("printed no JSON: \"Error: not in a Gas Town workspace")),
        ("inbox_null", Ok(0)),
    ];
    assert_eq!(names(&made), all("mail", "inbox_"));
    for (name, expected) in made {
        simulate(264, |world| async move {
            let stdout = std::fs::read(directory().join(format!("mail/{name}.json"))).unwrap();
            let recorded = Recorded { stdout, stderr: String::new(), code: 0 };
            let deps = with(&*town(&world).await, Arc::new(recorded));
            match (inbox::read(&deps).await, expected) {
                (Ok(messages), Ok(count)) => {
                    assert_eq!(messages.len(), count, "{name}");
                    let ids: BTreeSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
                    assert_eq!(ids.len(), count, "{name}: each once");
                }
                (Err(why), Err(text)) => assert!(why.contains(text), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        });
    }
}

#[test]
fn every_removal() {
    type Remove = for<'a> fn(&'a Deps) -> futures::future::BoxFuture<'a, Removal>;
    let delete: Remove = |deps| Box::pin(inbox::delete(deps, "hq-nope"));
    let archive: Remove = |deps| Box::pin(inbox::archive(deps, "hq-nope"));
    let grid = [
        // `gt` 0.3 deletes what is deleted already without a word.
        ("mail_delete_again", (delete, Some(Removal::Done))),
        ("mail_delete_missing", (delete, Some(Removal::NotFound))),
        ("mail_delete_ok", (delete, Some(Removal::Done))),
        ("mail_archive_missing", (archive, Some(Removal::NotFound))),
        // Any other failure is one.
        ("mail_inbox_outside", (delete, None)),
    ];
    let recorded: BTreeSet<String> =
        all("mail", "mail_delete").union(&all("mail", "mail_archive")).cloned().collect();
    assert_eq!(names(&grid[..4]), recorded);
    for (name, (remove, expected)) in grid {
        simulate(265, |world| async move {
            let deps = answering(&world, &format!("mail/{name}")).await;
            match (remove(&deps).await, expected) {
                (Removal::Failed(why), None) => assert!(why.contains("not in a Gas Town workspace"), "{why}"),
                (got, expected) => assert_eq!(Some(got), expected, "{name}"),
            }
        });
    }
    simulate(266, |world| async move {
        let deps = town(&world).await;
        for id in ["--all", "", "a b", "a\0b"] {
            for got in [inbox::delete(&deps, id).await, inbox::archive(&deps, id).await] {
                assert!(
                    matches!(&got, Removal::Failed(why) if why.ends_with("is not a message id")),
                    "{got:?}"
                );
            }
        }
        assert!(!world.trace().iter().any(|line| line.contains("run `gt")), "never run");
    });
}

#[test]
fn every_send() {
    let grid = [("mail_send_bad", Sent::Yes), ("mail_send_noaddr", Sent::Yes), ("mail_send_ok", Sent::Yes)];
    assert_eq!(names(&grid), all("mail", "mail_send"));
    for (name, expected) in grid {
        simulate(267, |world| async move {
            let deps = answering(&world, &format!("mail/{name}")).await;
            assert_eq!(mail::send(&deps, "gastown/witness", "S", "B").await, expected, "{name}");
        });
    }
}

#[test]
fn messages_that_cannot_be_used_are_reported_once() {
    simulate(268, |world| async move {
        let inbox = |stdout: &[u8]| Recorded { stdout: stdout.to_vec(), stderr: String::new(), code: 0 };
        let town = town(&world).await;
        for (stdout, left, told) in [
            (&br#"[{"id":"a"},{"id":7},{"body":"b"}]"#[..], 1, true),
            (br#"[{"id":"a"},{"id":7},{"body":"b"}]"#, 1, true),
            (br#"[{"id":"a"}]"#, 1, false),
        ] {
            let deps = with(&town, Arc::new(inbox(stdout)));
            assert_eq!(inbox::read(&deps).await.unwrap().len(), left);
            assert_eq!(deps.problems.any("ledger/inbox/messages"), told);
        }
        assert_eq!(
            world.logged("2 messages in the deacon's inbox cannot be used").len(),
            1 + 1,
            "told, resolved"
        );
    });
}

/// A 1.x town whose programs answer with this recording.
async fn answering_v1(world: &World, name: &str) -> Arc<Deps> {
    world.is_v1();
    answering(world, &format!("v1/{name}")).await
}

#[test]
fn every_show_of_1_x() {
    for (name, id, expected) in [
        ("show_agent_mayor", "hq-mayor", Found),
        ("show_agent_witness", "al-alpha-witness", Found),
        ("show_agent_in_rig", "al-alpha-witness", Missing),
        ("show_missing", "hq-nope", Missing),
        ("show_multi_one_missing", "hq-mayor", Found),
        ("show_multi_one_missing", "al-rig-alpha", Missing),
        ("show_polecat_hooked_town", "al-alpha-polecat-furiosa", Found),
        ("show_polecat_hooked_rig", "al-alpha-polecat-furiosa", Missing),
        ("show_rig_bead", "al-rig-alpha", Missing),
        ("show_rig_bead_in_rig", "al-rig-alpha", Found),
        ("show_work_from_town", "al-nlw", Missing),
        ("show_work_hooked_rig", "al-nlw", Found),
        ("bd105_show_missing", "hq-nope", Missing),
        ("bd105_show_polecat_town", "al-alpha-polecat-nux", Found),
        ("bd105_show_polecat_rig", "al-alpha-polecat-nux", Missing),
        ("bd105_show_rig_bead_from_town", "al-rig-alpha", Found),
        ("dolt_down_bd_show", "hq-mayor", Unknown("Dolt server unreachable at 127.0.0.1:3307")),
        ("activity_unknown", "hq-mayor", Unknown("unknown command")),
    ] {
        simulate(270, |world| async move {
            let deps = answering_v1(&world, name).await;
            let answer = beads::one(&deps, id).await;
            match (&answer, &expected) {
                (Answer::Found(bead), Found) => assert_eq!(bead.id, id, "{name}"),
                (Answer::Missing, Missing) => {}
                (Answer::Unknown(why), Unknown(text)) if why.contains(text) => {}
                _ => panic!("{name}: {answer:?}, expected {expected:?}"),
            }
            let down = deps.problems.any("ledger/bd_server");
            assert_eq!(down, name.starts_with("dolt_down"), "{name}");
        });
    }
}

#[test]
fn a_server_that_answers_one_subcommand_answers_all() {
    simulate(272, |world| async move {
        world.is_v1();
        let answers = ["v1/dolt_down_bd_show", "v1/show_agent_mayor"].map(Recorded::of);
        let deps = with(&*town(&world).await, Arc::new(InTurn(Mutex::new(answers.into_iter().collect()))));
        assert!(beads::at_work(&deps, &Database::town(), None).await.is_err());
        assert!(deps.problems.any("ledger/bd_server"));
        assert!(matches!(beads::one(&deps, "hq-mayor").await, Answer::Found(_)));
        assert!(!deps.problems.any("ledger/bd_server"));
    });
}

#[test]
fn every_list_of_1_x() {
    for (name, expected) in [
        ("list_hooked_in_rig", Ok(vec![("al-nlw", Some("alpha/polecats/furiosa"))])),
        ("list_type_agent_town", Ok(vec![])),
        ("list_all_in_rig", Ok(vec![("al-3c3", None), ("al-nmh", None), ("al-zkr", None)])),
        ("list_rig_flag", Err("")),
        ("dolt_down_bd_show", Err("Dolt server unreachable")),
    ] {
        simulate(271, |world| async move {
            let deps = answering_v1(&world, name).await;
            let listed = beads::at_work(&deps, &Database::town(), None).await;
            let rows = |beads: &[Bead]| -> Vec<_> {
                beads.iter().map(|bead| (bead.id.clone(), bead.assignee.clone())).collect()
            };
            match (listed, expected) {
                (Ok(beads), Ok(expected)) => {
                    let expected: Vec<_> = expected
                        .into_iter()
                        .map(|(id, whose)| (id.to_owned(), whose.map(str::to_owned)))
                        .collect();
                    assert_eq!(rows(&beads), expected, "{name}");
                }
                (Err(why), Err(text)) => assert!(why.contains(text), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        });
    }
    for name in ["list_label_agent_town", "bd105_list_agents"] {
        let recorded = Recorded::of(&format!("v1/{name}"));
        let Ok(Shown::Beads { beads, .. }) = show_output::parse(&recorded.stdout, "") else {
            panic!("{name}")
        };
        assert!(!beads.is_empty() && beads.iter().all(Bead::is_agent), "{name}");
    }
}

#[test]
fn a_hook_of_1_x_is_the_work_bead_that_names_its_polecat() {
    let bead = |name: &str| {
        let recorded = Recorded::of(&format!("v1/{name}"));
        match show_output::parse(&recorded.stdout, "") {
            Ok(Shown::Beads { mut beads, .. }) => beads.remove(0),
            other => panic!("{name}: {other:?}"),
        }
    };
    let work = Answer::Found(bead("show_work_hooked_rig"));
    let now = "2026-11-28T18:00:00Z".parse().unwrap();
    for (name, assignee, expected) in [
        ("show_polecat_hooked_town", "alpha/polecats/furiosa", Assignment::Hooked { hook: "al-nlw".into() }),
        // After a crash and a new sling, both name it.
        (
            "bd105_show_polecat_town",
            "alpha/polecats/nux",
            Assignment::None(Unwanted::WorkNotIts("al-nlw".into())),
        ),
    ] {
        let agent = Answer::Found(AgentBead::of(bead(name)).unwrap());
        let got = rules::by_work_bead(&agent, &work, assignee, now, None, secs(300));
        assert_eq!(got, expected, "{name}");
    }
    let docked = Recorded::of("v1/rig_dock");
    let line = docked.stdout.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"[")).unwrap();
    let labels = serde_json::from_slice(line).unwrap();
    let rig_bead = Answer::Found(Bead { labels, ..Bead::default() });
    assert_eq!(dock::label(&rig_bead), Some(Some(Closed::Docked)));
    assert_eq!(dock::label(&Answer::Found(bead("show_rig_bead_in_rig"))), Some(None));
}
