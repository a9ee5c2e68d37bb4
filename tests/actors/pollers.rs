//! The nudge pollers of agents of Gas Town 1.x.

use std::sync::Arc;

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        pollers,
        role::Plain,
        spec::AgentSpec,
    },
    deps::Deps,
    supervision::messages::Broadcast,
    town::{identity::Identity, settings::Naming},
};
use ractor::Actor;

use crate::{Told, beat, look, town, world::*};

fn of(identity: &str) -> AgentSpec {
    let identity: Identity = identity.parse().unwrap();
    let session = identity.session(Naming::Rig, "");
    AgentSpec { identity, session, prefix: String::new() }
}

/// Starts this agent, and an actor that has seen it alive.
async fn keep(world: &World, deps: &Arc<Deps>, agent: &str) {
    let told = Told::default();
    world.start_agent(&of(agent).session);
    world.pass(secs(2)).await;
    let plan =
        AgentPlan { deps: deps.clone(), spec: of(agent), answers: told.answers(), role: Box::new(Plain) };
    let actor = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
    actor.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(deps, 1).await))).unwrap();
    world.pass(secs(1)).await;
}

/// Who is reported to have no poller.
async fn reported(deps: &Deps) -> Vec<String> {
    pollers::check(deps, &*look(deps).await).await;
    let open = deps.problems.open();
    open.into_keys().filter_map(|key| key.strip_suffix("/nudge_poller").map(str::to_owned)).collect()
}

const WITNESS: &str = "rig/r/r/witness";
const REFINERY: &str = "rig/r/r/refinery";

#[test]
fn are_missed_where_no_process_is_the_session_s() {
    simulate(140, |world| async move {
        world.is_v1();
        let deps = town(&world).await;
        for agent in ["r/witness", "r/refinery", "r/crew/max", "deacon", "r/polecats/nux"] {
            keep(&world, &deps, agent).await;
        }
        world.gt(&format!("gt nudge-poller {}", refinery("r")), TOWN, mins(10));
        world.gt(&format!("gt nudge {} nudge-poller", witness("r")), TOWN, mins(60));
        assert_eq!(reported(&deps).await, [""; 0], "gt may still be about to start one");
        world.pass(mins(2)).await;
        assert_eq!(reported(&deps).await, [WITNESS], "a crew member of claude needs none");
        world.pass(mins(10)).await;
        assert_eq!(reported(&deps).await, [REFINERY, WITNESS]);
        world.fail("invocations", true);
        world.gt(&format!("gt nudge-poller {}", witness("r")), TOWN, mins(10));
        assert_eq!(reported(&deps).await, [REFINERY, WITNESS], "nothing is known");
        world.fail("invocations", false);
        assert_eq!(reported(&deps).await, [REFINERY]);
        world.end_session(&refinery("r"), "it ends");
        assert_eq!(reported(&deps).await, [""; 0]);
    });
}

#[test]
fn are_no_concern_of_january_s_towns() {
    simulate(141, |world| async move {
        let deps = town(&world).await;
        keep(&world, &deps, "r/witness").await;
        world.pass(mins(2)).await;
        assert_eq!(reported(&deps).await, [""; 0]);
    });
}
