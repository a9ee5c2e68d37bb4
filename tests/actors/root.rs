//! The root of the tree.

use gastown_supervisor::{
    supervision::child::ask,
    tree::root::{Root, RootMsg, RootPlan, RootSnapshot},
};
use ractor::{Actor, ActorCell, ActorRef};

use crate::world::*;

async fn spawn(world: &World) -> (ActorRef<RootMsg>, RootPlan) {
    world.set_rigs(&["r"]);
    let plan = world.plan().await;
    (Actor::spawn(None, Root, plan.clone()).await.unwrap().0, plan)
}

async fn probe(root: &ActorRef<RootMsg>) -> RootSnapshot {
    ask(root, RootMsg::Status, millis(1)).await.unwrap()
}

/// The actor of this name, if it runs.
fn cell(plan: &RootPlan, name: &str) -> Option<ActorCell> {
    let actor = plan.deps.directory.by_name().remove(name)?;
    actor.is_running().then_some(actor.cell)
}

#[test]
fn a_heartbeat_at_once_and_every_three_minutes() {
    simulate(150, |world| async move {
        let (root, _plan) = spawn(&world).await;
        for beats in 1..=5 {
            world.pass(secs(1)).await;
            assert_eq!(probe(&root).await.heartbeat.count, beats);
            let state = world.text("daemon/state.json").unwrap();
            assert!(state.contains(&format!("\"heartbeat_count\": {beats}")), "{state}");
            world.pass(mins(3) - secs(1)).await;
        }
    });
}

#[test]
fn never_two_heartbeats_at_a_time() {
    simulate(151, |world| async move {
        let (root, plan) = spawn(&world).await;
        world.pass(secs(10)).await;
        world.hang("list");
        world.pass(mins(3)).await;
        assert_eq!(probe(&root).await.waiting_for, ["sessions"]);
        world.pass(mins(1)).await;
        let town = probe(&root).await;
        assert_eq!(town.heartbeat.count, 2, "complete: a look that hangs is unknown after a while");
        assert!(plan.deps.problems.open().contains_key("sessions"));
    });
}

#[test]
fn a_pid_file_that_somebody_deleted_is_back_within_ten_seconds() {
    simulate(152, |world| async move {
        let (_root, plan) = spawn(&world).await;
        world.pass(secs(7)).await;
        for act in [None, Some("1"), Some("4242\n")] {
            match act {
                None => world.remove("daemon/daemon.pid"),
                Some(content) => world.write("daemon/daemon.pid", content),
            }
            world.pass(millis(10_100)).await;
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
            let mut expected: Vec<String> = [
                "accounts", "activity", "alerts", "boot", "control", "convoy", "deacon", "deaths", "feed",
                "mail", "operator", "sessions",
            ]
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
        let root = Actor::spawn(None, Root, plan.clone()).await.unwrap().0;
        let problems = || plan.deps.problems.open();
        world.pass(mins(2)).await;
        world.write("settings/supervisor.json", r#"{"heartbeat":{"interval":"10s"}}"#);
        world.pass(secs(5)).await;
        for _ in 0..6 {
            cell(&plan, "sessions").unwrap().kill();
            world.pass(millis(10)).await;
        }
        assert!(cell(&plan, "sessions").is_none(), "{:?}", probe(&root).await.actors);
        assert!(problems()["actor/sessions"].contains("suspended for 30s"), "{:?}", problems());
        world.crash_agent(&witness("r"), false);
        world.until("the witness", secs(15), |state| state.created(&witness("r")).len() == 2).await;
        let town = probe(&root).await;
        assert_eq!(town.heartbeat.late, ["sessions"], "the watch was not asked, everybody else was");
        assert_eq!(problems()["heartbeat/late"], "late in the heartbeat: sessions");
        world.pass(mins(1)).await;
        let town = probe(&root).await;
        assert!(cell(&plan, "sessions").is_some() && town.heartbeat.late.is_empty(), "{town:#?}");
        assert_eq!(problems(), Default::default());
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
        let (root, plan) = spawn(&world).await;
        world.pass(secs(1)).await;
        let id = |name: &str| cell(&plan, name).unwrap().get_id();
        let (deacon, boot) = (id("deacon"), id("boot"));
        cell(&plan, "deacon").unwrap().kill();
        world.pass(millis(10)).await;
        assert_ne!(id("deacon"), deacon);
        assert_eq!(id("boot"), boot);
        let restarts: Vec<u32> = probe(&root).await.actors.iter().map(|actor| actor.restarts).collect();
        assert_eq!(restarts.iter().sum::<u32>(), 1);
    });
}
