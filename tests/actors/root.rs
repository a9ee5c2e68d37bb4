//! The root of the tree.

use gastown_supervisor::{
    agent::identity::Identity,
    tree::{
        root::{Root, RootMsg, RootPlan, RootSnapshot},
        snapshot::ask,
    },
};
use ractor::{Actor, ActorCell, ActorRef};

use crate::world::*;

async fn spawn(world: &World) -> (ActorRef<RootMsg>, RootPlan) {
    world.set_rigs(&["r"]);
    let plan = world.plan().await;
    (Actor::spawn(None, Root, plan.clone()).await.unwrap().0, plan)
}

async fn probe(root: &ActorRef<RootMsg>) -> RootSnapshot {
    ask(root, RootMsg::Probe, millis(1)).await.unwrap()
}

/// The actor of an agent.
fn cell(root: &RootSnapshot, whose: Identity) -> ActorCell {
    let found = root.agents.iter().find(|(identity, _)| *identity == whose);
    found.map(|(_, actor)| actor.cell.clone()).unwrap()
}

#[test]
fn a_heartbeat_at_once_and_every_three_minutes() {
    simulate(150, |world| async move {
        let (root, _plan) = spawn(&world).await;
        for beats in 1..=5 {
            world.pass(secs(1)).await;
            assert_eq!(probe(&root).await.heartbeats, beats);
            let state = world.text("daemon/state.json").unwrap();
            assert!(state.contains(&format!("\"heartbeat_count\": {beats}")), "{state}");
            world.pass(mins(3) - secs(1)).await;
        }
    });
}

#[test]
fn never_two_heartbeats_at_a_time() {
    simulate(151, |world| async move {
        let (root, _plan) = spawn(&world).await;
        world.pass(secs(10)).await;
        world.hang("list");
        world.pass(mins(3)).await;
        assert_eq!(probe(&root).await.waiting_for, ["sessions"]);
        world.pass(mins(1)).await;
        let town = probe(&root).await;
        assert_eq!(town.heartbeats, 2, "complete: a look that hangs is unknown after a while");
        assert!(town.problems.contains_key("sessions"));
    });
}

#[test]
fn a_pid_file_that_somebody_deleted_is_back_within_five_seconds() {
    simulate(152, |world| async move {
        let (_root, plan) = spawn(&world).await;
        world.pass(secs(7)).await;
        for act in [None, Some("1"), Some("4242\n")] {
            match act {
                None => world.remove("daemon/daemon.pid"),
                Some(content) => world.write("daemon/daemon.pid", content),
            }
            world.pass(millis(5_100)).await;
            assert_eq!(world.text("daemon/daemon.pid"), Some(plan.process.pid.to_string()), "{act:?}");
        }
    });
}

#[test]
fn children_follow_the_rigs() {
    simulate(153, |world| async move {
        let (root, _plan) = spawn(&world).await;
        world.pass(secs(1)).await;
        for rigs in [&["r", "s"][..], &["s"], &[], &["r"]] {
            world.set_rigs(rigs);
            world.pass(secs(1)).await;
            let town = probe(&root).await;
            let names: Vec<&str> = town.actors.iter().map(|actor| actor.name.as_str()).collect();
            let mut expected: Vec<String> =
                ["boot", "control", "convoy", "deacon", "deaths", "feed", "mail", "operator", "sessions"]
                    .map(str::to_owned)
                    .to_vec();
            expected.extend(rigs.iter().map(|rig| format!("rig {rig}")));
            let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            names.sort();
            expected.sort();
            assert_eq!(names, expected);
        }
    });
}

#[test]
fn a_heartbeat_reaches_everybody_without_the_session_watch() {
    simulate(155, |world| async move {
        world.set_rigs(&["r"]);
        // The last root there may be.
        let plan = RootPlan { may_fail: false, ..world.plan().await };
        let root = Actor::spawn(None, Root, plan).await.unwrap().0;
        world.pass(mins(2)).await;
        world.write("settings/supervisor.json", r#"{"heartbeat":{"interval":"10s"}}"#);
        world.pass(secs(5)).await;
        for _ in 0..6 {
            probe(&root).await.session_watch.unwrap().kill();
            world.pass(millis(10)).await;
        }
        let town = probe(&root).await;
        assert!(town.session_watch.is_none(), "{:?}", town.actors);
        assert!(town.problems["actor/sessions"].contains("suspended for 30s"), "{:?}", town.problems);
        world.crash_agent(&witness("r"), false);
        world.until("the witness", secs(15), |state| state.created(&witness("r")).len() == 2).await;
        let town = probe(&root).await;
        assert_eq!(town.late, ["sessions"], "the watch was not asked, everybody else was");
        assert_eq!(town.problems["heartbeat/late"], "late in the heartbeat: sessions");
        world.pass(mins(1)).await;
        let town = probe(&root).await;
        assert!(
            town.session_watch.is_some() && town.late.is_empty() && town.problems.is_empty(),
            "{town:#?}"
        );
    });
}

#[test]
fn a_heartbeat_reaches_everybody_while_the_town_cannot_be_read() {
    simulate(156, |world| async move {
        let (root, _plan) = spawn(&world).await;
        world.pass(mins(2)).await;
        world.hang("read");
        world.pass(mins(1) + secs(39)).await;
        let mut asked = probe(&root).await.waiting_for;
        asked.retain(|part| part != "sessions");
        assert!(asked.iter().any(|part| part == "r/witness"), "{asked:?}");
    });
}

#[test]
fn a_child_that_crashes_is_restarted_alone() {
    simulate(154, |world| async move {
        let (root, _plan) = spawn(&world).await;
        world.pass(secs(1)).await;
        let before = probe(&root).await;
        cell(&before, Identity::Deacon).kill();
        world.pass(millis(10)).await;
        let after = probe(&root).await;
        assert_ne!(cell(&after, Identity::Deacon).get_id(), cell(&before, Identity::Deacon).get_id());
        assert_eq!(cell(&after, Identity::Boot).get_id(), cell(&before, Identity::Boot).get_id());
        let restarts: Vec<u32> = after.actors.iter().map(|actor| actor.restarts).collect();
        assert_eq!(restarts.iter().sum::<u32>(), 1);
    });
}
