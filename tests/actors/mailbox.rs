//! The simulated inbox behaves as the recorded one.

use gastown_supervisor::commands::{Command, CommandError, Commands};
use serde_json::Value;

use crate::world::*;

async fn gt(world: &World, words: &[&str]) -> Result<String, CommandError> {
    let command = Command {
        program: "gt".to_owned(),
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        directory: TOWN.into(),
        environment: Default::default(),
        input: None,
        limit: secs(30),
    };
    Ok(String::from_utf8(world.run(command).await?.stdout).unwrap())
}

const INBOX: [&str; 5] = ["mail", "inbox", "--identity", "deacon/", "--json"];

async fn ids(world: &World) -> Vec<String> {
    let inbox: Option<Vec<Value>> = serde_json::from_str(&gt(world, &INBOX).await.unwrap()).unwrap();
    inbox.unwrap_or_default().iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_is_printed_as_recorded() {
    simulate(220, |world| async move {
        assert_eq!(gt(&world, &INBOX).await.unwrap(), "null\n");
        let recorded: Vec<Value> =
            serde_json::from_str(include_str!("../fixtures/mail/mail_inbox.stdout")).unwrap();
        for message in recorded.iter().rev() {
            world.mail_with("", "", "", |it| *it = message.clone());
        }
        assert_eq!(gt(&world, &INBOX).await.unwrap(), include_str!("../fixtures/mail/mail_inbox.stdout"));
    });
}

#[test]
fn the_newest_comes_first() {
    simulate(221, |world| async move {
        let first = world.mail("mayor/", "one", "");
        world.pass(secs(1)).await;
        let second = world.mail("mayor/", "two", "");
        let old = world.mail_with("mayor/", "old", "", |it| it["timestamp"] = "2026-01-01T00:00:00Z".into());
        let odd = world.mail_with("mayor/", "odd", "", |it| it["timestamp"] = "yesterday".into());
        assert_eq!(ids(&world).await, [second, first, old, odd]);
    });
}

#[test]
fn what_leaves_it_leaves_it_once() {
    simulate(222, |world| async move {
        let id = world.mail("mayor/", "LIFECYCLE: x", "restart");
        world.mail_doubles(&id);
        for word in ["delete", "archive"] {
            let error = gt(&world, &["mail", word, "hq-nope"]).await.unwrap_err();
            let CommandError::Failed { stdout, stderr, .. } = error else { panic!("{error}") };
            let told = String::from_utf8(stdout).unwrap() + &stderr;
            assert!(told.contains("no issue found matching \"hq-nope\""), "{word}: {told}");
        }
        for again in [false, true] {
            assert_eq!(gt(&world, &["mail", "delete", &id]).await.unwrap(), "✓ Message deleted\n", "{again}");
        }
        assert_eq!(world.state().mailbox.left(&id, Left::Deleted), 1);
        let taken = world.mail("mayor/", "LIFECYCLE: y", "restart");
        world.deacon_takes(&taken);
        assert!(gt(&world, &["mail", "delete", &taken]).await.is_err(), "nothing is left of it");
        let deleted = world.mail("mayor/", "LIFECYCLE: z", "restart");
        world.deacon_deletes(&deleted);
        assert!(gt(&world, &["mail", "delete", &deleted]).await.is_ok(), "its bead is still there");
        assert_eq!(ids(&world).await, Vec::<String>::new());
    });
}

#[test]
fn every_part_of_it_breaks_alone() {
    simulate(223, |world| async move {
        let id = world.mail("mayor/", "LIFECYCLE: x", "restart");
        let delete = ["mail", "delete", &id];
        for kind in ["delete", "gt", "command"] {
            world.fail(kind, true);
            assert!(gt(&world, &delete).await.is_err(), "{kind}");
            world.fail(kind, false);
            world.hang(kind);
            let error = gt(&world, &delete).await.unwrap_err();
            assert!(matches!(error, CommandError::TimedOut { .. }), "{kind}: {error}");
            world.release(kind);
        }
        assert_eq!(ids(&world).await, std::slice::from_ref(&id));
        world.state().prints.insert("inbox", "garbage".to_owned());
        assert_eq!(gt(&world, &INBOX).await.unwrap(), "garbage");
        world.state().prints.clear();
        world.fail("inbox", true);
        assert!(gt(&world, &INBOX).await.is_err());
        world.fail("inbox", false);
        world.state().breaks_late = true;
        world.fail("delete", true);
        assert!(gt(&world, &delete).await.is_err(), "and it is deleted all the same");
        assert_eq!(ids(&world).await, Vec::<String>::new());
        world.state().programs.remove("gt");
        let error = gt(&world, &INBOX).await.unwrap_err();
        assert!(matches!(error, CommandError::NotFound { .. }), "{error}");
    });
}
