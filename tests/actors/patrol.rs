//! The actor of a witness or refinery.

use std::sync::Arc;

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        role::Plain,
    },
    deps::Deps,
    supervision::{child::ask, messages::Broadcast},
    town::identity::Identity,
};
use ractor::{Actor, ActorRef};

use crate::{Told, beat, look, spec, town, world::*};

async fn spawn(deps: &Arc<Deps>, told: &Told) -> ActorRef<AgentMsg> {
    let spec = spec(Identity::Witness("r".parse().unwrap()));
    let plan = AgentPlan { deps: deps.clone(), spec, answers: told.answers(), role: Box::new(Plain) };
    Actor::spawn(None, AgentActor, plan).await.unwrap().0
}

async fn state(patrol: &ActorRef<AgentMsg>) -> &'static str {
    ask(patrol, AgentMsg::Status, millis(1)).await.unwrap().state
}

#[test]
fn answers_a_heartbeat_when_it_has_begun_what_it_decided() {
    simulate(100, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let patrol = spawn(&deps, &told).await;
        world.hang("create");
        for number in 1..=3 {
            let beat = beat(&deps, number).await;
            patrol.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat))).unwrap();
            world.pass(secs(1)).await;
            assert_eq!(told.probed().last(), Some(&(number, "r/witness".to_owned())));
            assert_eq!(state(&patrol).await, "starting");
        }
        world.release("create");
        world.pass(secs(10)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1, "asked three times, started once");
        assert_eq!(state(&patrol).await, "alive");
    });
}

#[test]
fn probes_only_when_a_scan_shows_news() {
    simulate(101, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        world.start_agent(&witness("r"));
        world.pass(secs(2)).await;
        let patrol = spawn(&deps, &told).await;
        let calls =
            |world: &World| world.state().trace.iter().filter(|line| line.what.starts_with("exists")).count();
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
        world.pass(secs(1)).await;
        assert_eq!(state(&patrol).await, "alive");
        let before = calls(&world);
        for _ in 0..20 {
            patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
            world.pass(secs(1)).await;
        }
        assert_eq!(calls(&world), before, "nothing new");
        world.crash_agent(&witness("r"), false);
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
        world.pass(millis(1)).await;
        assert!(calls(&world) > before);
        assert_eq!(state(&patrol).await, "confirming");
    });
}

#[test]
fn its_work_ends_with_it() {
    simulate(102, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let patrol = spawn(&deps, &told).await;
        world.hang("is dir");
        patrol.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(secs(1)).await;
        patrol.kill();
        world.pass(secs(1)).await;
        world.release("is dir");
        world.pass(mins(5)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 0, "no start outlives whoever wanted it");
    });
}

#[test]
fn a_probe_older_than_the_start_says_nothing() {
    simulate(103, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let patrol = spawn(&deps, &told).await;
        let before = look(&deps).await; // shows no session
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(before.clone()))).unwrap();
        world.pass(secs(10)).await;
        assert_eq!(state(&patrol).await, "alive");
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(before))).unwrap();
        world.pass(millis(1)).await;
        assert_eq!(state(&patrol).await, "alive");
        world.pass(mins(5)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1);
    });
}

#[test]
fn a_probe_that_was_overtaken_is_ignored() {
    simulate(104, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        world.start_agent(&witness("r"));
        world.pass(secs(2)).await;
        let patrol = spawn(&deps, &told).await;
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
        world.pass(secs(1)).await;
        let overtaken = beat(&deps, 1).await;
        world.stop_agent(&witness("r"), millis(0), millis(1));
        world.pass(millis(5)).await;
        patrol.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
        world.pass(millis(5)).await;
        assert_eq!(state(&patrol).await, "confirming");
        patrol.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(overtaken))).unwrap(); // which shows it alive
        world.pass(millis(5)).await;
        assert_eq!(state(&patrol).await, "confirming");
        assert_eq!(told.probed().len(), 1, "answered all the same");
        world.pass(secs(2)).await;
        assert_eq!(state(&patrol).await, "held");
    });
}
