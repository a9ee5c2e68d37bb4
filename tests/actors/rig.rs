//! The supervisor of a rig's actors.

use std::sync::Arc;

use gastown_supervisor::{
    agent::requests::{Action, Request, Stage},
    deps::Deps,
    supervision::{
        child::{ActorReport, ask},
        messages::{Broadcast, Report},
    },
    town::{identity::Identity, rig_plan::RigPlan},
    tree::rig::{RigMsg, RigSupervisor},
};
use ractor::{Actor, ActorCell, ActorRef};

use crate::{Told, beat, town, world::*};

async fn spawn(deps: &Arc<Deps>, told: &Told) -> ActorRef<RigMsg> {
    let plan = RigPlan { name: "r".parse().unwrap(), prefix: "r".into() };
    Actor::spawn(None, RigSupervisor, (deps.clone(), plan, told.answers())).await.unwrap().0
}

async fn probe(rig: &ActorRef<RigMsg>) -> Vec<ActorReport> {
    ask(rig, RigMsg::Status, millis(1)).await.unwrap()
}

/// The actors of its agents: the refinery's and the witness's.
fn cells(deps: &Deps) -> Vec<ActorCell> {
    let actors = deps.directory.actors().into_iter();
    let of_rig = actors.filter(|(identity, _)| identity.rig().is_some());
    let mut of_rig: Vec<_> =
        of_rig.map(|(identity, actor)| (identity.role().to_string(), actor.cell)).collect();
    of_rig.sort_by(|a, b| a.0.cmp(&b.0));
    of_rig.into_iter().map(|(_, cell)| cell).collect()
}

fn child<'a>(rig: &'a [ActorReport], name: &str) -> &'a ActorReport {
    rig.iter().find(|child| child.name == name).unwrap()
}

#[test]
fn passes_a_heartbeat_on_and_says_to_whom() {
    simulate(130, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        rig.cast(RigMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 7).await))).unwrap();
        world.pass(millis(10)).await;
        let first = told.0.lock().unwrap()[0].clone();
        let Report::Probed { number: 7, part, delegated, missed } = first else { panic!("{first:?}") };
        assert!(missed.is_empty(), "{missed:?}");
        assert_eq!((part.as_str(), delegated), ("rig r", vec!["r/polecats".to_owned()]));
        let probed = told.probed();
        assert_eq!(probed.len(), 2, "agents are asked by the root: {probed:?}");
    });
}

#[test]
fn restarts_a_crashed_owner_and_suspends_it_in_the_end() {
    simulate(131, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        for crashes in 1..=5 {
            let before = cells(&deps);
            before[0].kill();
            world.pass(secs(1)).await;
            let after = probe(&rig).await;
            assert_eq!(child(&after, "r/refinery").restarts, crashes);
            assert_ne!(cells(&deps)[0].get_id(), before[0].get_id(), "a new one");
            assert_eq!(cells(&deps)[1].get_id(), before[1].get_id(), "its sibling does not notice");
        }
        cells(&deps)[0].kill();
        world.pass(secs(1)).await;
        let suspended = probe(&rig).await;
        assert!(
            !child(&suspended, "r/refinery").running && child(&suspended, "r/witness").running,
            "{suspended:?}"
        );
        assert!(deps.problems.open().contains_key("rig/r/actor/refinery"));
        world.pass(secs(30)).await;
        assert!(child(&probe(&rig).await, "r/refinery").running, "tried again");
        assert!(deps.problems.open().is_empty());
    });
}

#[test]
fn stops_its_children_in_order() {
    simulate(132, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        let agents = cells(&deps);
        world.hang("create");
        deps.directory.broadcast(&Broadcast::Heartbeat(beat(&deps, 1).await), |_| true);
        world.pass(secs(1)).await;
        rig.stop(None);
        rig.wait(Some(millis(100))).await.expect("in time");
        for patrol in agents {
            assert_eq!(patrol.get_status(), ractor::ActorStatus::Stopped);
        }
        world.release("create");
        world.pass(mins(5)).await;
        assert!(world.state().deeds.is_empty());
    });
}

/// Polecat nux, which is listed, and what is to be done about it.
async fn nux(world: &World) -> (Arc<Deps>, ActorRef<RigMsg>, Identity) {
    world.add_polecat("r", "nux", "r-1");
    let deps = town(world).await;
    let rig = spawn(&deps, &Told::default()).await;
    world.pass(secs(1)).await;
    (deps, rig, Identity::Polecat("r".parse().unwrap(), "nux".parse().unwrap()))
}

async fn ask_for_a_restart(deps: &Deps, identity: &Identity) {
    let request =
        Request { id: "hq-1".into(), identity: identity.clone(), action: Action::Restart, by: None };
    deps.records.note_request(deps, &request).await.unwrap();
    deps.records.set_stage(&request, Stage::Due);
}

fn running(deps: &Deps, whose: &Identity) -> Option<ActorCell> {
    let mut actors = deps.directory.actors().into_iter();
    actors.find(|(identity, actor)| identity == whose && actor.is_running()).map(|(_, actor)| actor.cell)
}

#[test]
fn a_polecat_that_somebody_asks_for_is_not_let_go() {
    simulate(133, |world| async move {
        let (deps, rig, identity) = nux(&world).await;
        let before = running(&deps, &identity).unwrap().get_id();
        // Its actor reported that no action is in progress, and then the request came.
        ask_for_a_restart(&deps, &identity).await;
        rig.cast(RigMsg::Idle("nux".parse().unwrap())).unwrap();
        world.pass(millis(1)).await;
        assert_eq!(running(&deps, &identity).unwrap().get_id(), before);
    });
}

#[test]
fn a_polecat_that_is_asked_for_while_its_actor_ends_gets_one_after_that() {
    simulate(134, |world| async move {
        let (deps, rig, identity) = nux(&world).await;
        let before = running(&deps, &identity).unwrap();
        rig.cast(RigMsg::Idle("nux".parse().unwrap())).unwrap();
        let released = async {
            while running(&deps, &identity).is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(secs(1), released).await.expect("it is let go");
        ask_for_a_restart(&deps, &identity).await;
        rig.cast(RigMsg::Broadcast(Broadcast::Asked(identity.clone()))).unwrap();
        world.pass(secs(1)).await;
        assert_eq!(before.get_status(), ractor::ActorStatus::Stopped);
        assert_ne!(running(&deps, &identity).expect("another one").get_id(), before.get_id());
    });
}
