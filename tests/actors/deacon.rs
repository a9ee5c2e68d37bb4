//! The actor of the deacon.

use std::sync::Arc;

use gastown_supervisor::{
    agent::actor::{AgentActor, AgentMsg, AgentPlan},
    deps::Deps,
    roles::deacon::role::Deacon,
    supervision::{child::ask, messages::Broadcast},
    town::identity::Identity,
};
use ractor::{Actor, ActorRef};

use crate::{Told, beat, spec, town, world::*};

async fn spawn(deps: &Arc<Deps>, told: &Told) -> ActorRef<AgentMsg> {
    let role = Box::<Deacon>::default();
    let plan = AgentPlan { deps: deps.clone(), spec: spec(Identity::Deacon), answers: told.answers(), role };
    Actor::spawn(None, AgentActor, plan).await.unwrap().0
}

#[test]
fn probes_at_once_when_boot_cannot() {
    simulate(110, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let deacon = spawn(&deps, &told).await;
        deacon.cast(AgentMsg::Probe).unwrap();
        world.until("the deacon", secs(5), |state| state.lives(DEACON)).await;
        assert!(told.probed().is_empty(), "no heartbeat asked");
    });
}

#[test]
fn reports_when_it_is_held_and_when_no_more() {
    simulate(111, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let held = format!(r#"{{"agents":{{"deacon":{{"crash_loop_since":"{}"}}}}}}"#, world.wall());
        world.write("daemon/restart_state.json", &held);
        assert!(deps.records.read_restarts(&deps).await);
        let deacon = spawn(&deps, &told).await;
        deacon.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(secs(1)).await;
        assert_eq!(told.held(), [false, true]);
        world.write("daemon/restart_state.json", r#"{"agents":{}}"#);
        assert!(deps.records.read_restarts(&deps).await);
        deacon.cast(AgentMsg::Broadcast(Broadcast::RestartStateChanged)).unwrap();
        world.until("its start", secs(1), |state| state.lives(DEACON)).await;
        assert_eq!(told.held(), [false, true, false]);
    });
}

#[test]
fn a_probe_is_answered_while_it_nudges() {
    simulate(112, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        world.start_agent(DEACON);
        let deacon = spawn(&deps, &told).await;
        deacon.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(mins(3)).await;
        world.hang_agent(DEACON, true);
        world.hang("paste");
        world.pass(mins(20)).await; // long stale by now
        let agent = ask(&deacon, AgentMsg::Status, millis(1)).await.unwrap();
        assert_eq!(agent.state, "alive");
        deacon.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 2).await))).unwrap();
        world.pass(millis(10)).await;
        assert_eq!(told.probed().len(), 2, "and a heartbeat too");
    });
}
