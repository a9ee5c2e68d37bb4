//! The actor that spawns boot.

use std::sync::Arc;

use gastown_supervisor::{
    agent::actor::{AgentActor, AgentMsg, AgentPlan},
    deps::Deps,
    ports::Ports,
    roles::boot::role::Boot,
    supervision::{child::ask, messages::Broadcast},
    town::identity::Identity,
};
use ractor::{Actor, ActorRef};

use crate::{Told, beat, spec, town, world::*};

async fn spawn(deps: &Arc<Deps>, told: &Told) -> ActorRef<AgentMsg> {
    let (spec, role) = (spec(Identity::Boot), Box::<Boot>::default());
    let plan = AgentPlan { deps: deps.clone(), spec, answers: told.answers(), role };
    Actor::spawn(None, AgentActor, plan).await.unwrap().0
}

async fn heartbeat(world: &World, deps: &Deps, boot: &ActorRef<AgentMsg>, number: u64) {
    boot.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(deps, number).await))).unwrap();
    world.pass(secs(1)).await;
}

fn status(world: &World) -> serde_json::Value {
    let text = world.text("deacon/dogs/boot/.boot-status.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_held_deacon_is_not_booted() {
    simulate(120, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let boot = spawn(&deps, &told).await;
        boot.cast(AgentMsg::Broadcast(Broadcast::DeaconHeld(true))).unwrap();
        heartbeat(&world, &deps, &boot, 1).await;
        assert_eq!(world.state().created(BOOT).len(), 0);
        let agent = ask(&boot, AgentMsg::Status, millis(1)).await.unwrap();
        assert_eq!((agent.state, agent.reason_code), ("absent", Some("on_demand")));
        boot.cast(AgentMsg::Broadcast(Broadcast::DeaconHeld(false))).unwrap();
        heartbeat(&world, &deps, &boot, 2).await;
        assert_eq!(world.state().created(BOOT).len(), 1);
        assert!(world.state().session(BOOT).typed.is_empty(), "boot's command line says it all");
        assert_eq!(told.probed().len(), 2);
    });
}

#[test]
fn a_spawn_that_fails_has_the_deacon_probed_directly() {
    simulate(121, |world| async move {
        let (deps, told) = (town(&world).await, Told::default());
        let boot = spawn(&deps, &told).await;
        world.state().programs.clear();
        heartbeat(&world, &deps, &boot, 1).await;
        assert_eq!(told.check_deacon(), 1);
        assert!(deps.problems.open().contains_key("deacon-boot/start"));
    });
}

#[test]
fn a_degraded_town_is_supervised_by_rule() {
    type Prepare = fn(&World);
    let cases: [(&str, Prepare, serde_json::Value, usize); 3] = [
        ("deacon missing", |_| (), serde_json::json!(["start", "deacon", null]), 1),
        ("deacon there", |world| world.start_agent(DEACON), serde_json::json!(["nothing", null, null]), 0),
        (
            "no tmux",
            |world| world.fail("list", true),
            serde_json::json!(["error", null, "list: the server did not answer"]),
            0,
        ),
    ];
    for (name, prepare, expected, checks) in cases {
        simulate(122, |world| async move {
            let (deps, told) = (town(&world).await, Told::default());
            let ports = Ports { degraded: true, ..deps.ports.clone() };
            let deps = Arc::new(Deps::new(ports));
            let boot = spawn(&deps, &told).await;
            prepare(&world);
            heartbeat(&world, &deps, &boot, 1).await;
            let status = status(&world);
            let got = serde_json::json!([status["last_action"], status["target"], status["error"]]);
            assert_eq!(got, expected, "{name}: {status}");
            assert_eq!(status["running"], false, "{name}");
            assert_eq!(told.check_deacon(), checks, "{name}");
            assert_eq!(world.state().created(BOOT).len(), 0, "{name}");
        });
    }
}
