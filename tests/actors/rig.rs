//! The supervisor of a rig's actors.

use std::sync::Arc;

use gastown_supervisor::{
    deps::Deps,
    rig::{
        plan::RigPlan,
        supervisor::{RigMsg, RigSnapshot, RigSupervisor},
    },
    tree::{
        children::ChildStatus,
        part::{Report, Word},
        snapshot::ask,
    },
};
use ractor::{Actor, ActorRef};

use crate::{Told, beat, town, world::*};

async fn spawn(deps: &Arc<Deps>, told: &Told) -> ActorRef<RigMsg> {
    let plan = RigPlan { name: "r".parse().unwrap(), prefix: "r".to_owned() };
    Actor::spawn(None, RigSupervisor, (deps.clone(), plan, told.answers())).await.unwrap().0
}

async fn probe(rig: &ActorRef<RigMsg>) -> RigSnapshot {
    ask(rig, RigMsg::Probe, millis(1)).await.unwrap()
}

fn child<'a>(rig: &'a RigSnapshot, name: &str) -> &'a ChildStatus {
    rig.actors.iter().find(|child| child.name == name).unwrap()
}

#[test]
fn passes_a_heartbeat_on_and_says_to_whom() {
    simulate(130, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        rig.cast(RigMsg::Word(Word::Heartbeat(beat(&deps, 7).await))).unwrap();
        world.pass(millis(10)).await;
        let first = told.0.lock().unwrap()[0].clone();
        let Report::Looked { number: 7, part, mut delegated, missed } = first else { panic!("{first:?}") };
        delegated.sort();
        assert!(missed.is_empty(), "{missed:?}");
        assert_eq!(
            (part.as_str(), delegated.as_slice()),
            ("rig r", &["r/polecats".to_owned(), "r/refinery".to_owned(), "r/witness".to_owned()][..])
        );
        assert_eq!(told.looked().len(), 4, "each answers for itself: {:?}", told.looked());
    });
}

#[test]
fn restarts_a_crashed_owner_and_suspends_it_in_the_end() {
    simulate(131, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        for crashes in 1..=5 {
            let before = probe(&rig).await.agents;
            before[0].1.kill();
            world.pass(secs(1)).await;
            let after = probe(&rig).await;
            assert_eq!(child(&after, "refinery").restarts, crashes);
            assert_ne!(after.agents[0].1.get_id(), before[0].1.get_id(), "a new one");
            assert_eq!(after.agents[1].1.get_id(), before[1].1.get_id(), "its sibling does not notice");
        }
        probe(&rig).await.agents[0].1.kill();
        world.pass(secs(1)).await;
        let suspended = probe(&rig).await;
        assert!(
            !child(&suspended, "refinery").running && child(&suspended, "witness").running,
            "{:?}",
            suspended.actors
        );
        assert!(deps.problems.open().contains_key("rig/r/actor/refinery"));
        rig.cast(RigMsg::Word(Word::Heartbeat(beat(&deps, 7).await))).unwrap();
        world.pass(millis(10)).await;
        let missed = told.0.lock().unwrap().iter().find_map(|report| match report {
            Report::Looked { missed, .. } => Some(missed.clone()),
            _ => None,
        });
        assert_eq!(missed, Some(vec!["r/refinery".to_owned()]), "who was not asked is named");
        world.pass(secs(30)).await;
        assert_eq!(probe(&rig).await.agents.len(), 2, "tried again");
        assert!(deps.problems.open().is_empty());
    });
}

#[test]
fn stops_its_children_in_order() {
    simulate(132, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let rig = spawn(&deps, &told).await;
        let agents = probe(&rig).await.agents;
        world.hang("create");
        rig.cast(RigMsg::Word(Word::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(secs(1)).await;
        rig.stop(None);
        rig.wait(Some(millis(100))).await.expect("in time");
        for (_, patrol) in agents {
            assert_eq!(patrol.get_status(), ractor::ActorStatus::Stopped);
        }
        world.release("create");
        world.pass(mins(5)).await;
        assert!(world.state().deeds.is_empty());
    });
}
