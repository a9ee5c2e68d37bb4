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
    ledger::{answer::Answer, snapshot::AgentSnapshot},
    supervision::messages::Broadcast,
    town::{bead::Bead, identity::Identity, settings::Naming},
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

/// A 1.x town whose rig is operational, as its bead says.
async fn town_of_1_x(world: &World) -> Arc<Deps> {
    world.is_v1();
    let deps = town(world).await;
    let (rig, begun) = ("r".parse().unwrap(), deps.now());
    let rig_bead = Answer::Found(Bead { labels: vec!["gt:rig".to_owned()], ..Bead::default() });
    let (agents, hooked) = Default::default();
    deps.keep_snapshot(Arc::new(AgentSnapshot { rig, begun, agents, hooked, rig_bead }));
    deps
}

/// Makes the check of a heartbeat; returns who is reported to have no poller.
async fn checked(deps: &Deps) -> Vec<String> {
    pollers::check(deps, &*look(deps).await).await;
    let open = deps.problems.open();
    open.into_keys().filter_map(|key| key.strip_suffix("/nudge_poller").map(str::to_owned)).collect()
}

/// Why the witness is reported to have none.
fn why(deps: &Deps) -> String {
    let text = deps.problems.open().remove("rig/r/r/witness/nudge_poller").unwrap_or_default();
    text.replace("r/witness: queued nudges do not reach it, as its poller does not run: ", "")
}

/// The sessions for which the supervisor started one, in order.
fn started(world: &World) -> Vec<String> {
    let commands = world.state().gt_starts.in_background.clone();
    commands.into_iter().filter_map(|words| words.last().cloned()).collect()
}

const WITNESS: &str = "rig/r/r/witness";
const FILE: &str = ".runtime/nudge_poller/gt-r-witness.pid";
const NONE: [&str; 0] = [];

#[test]
fn are_started_where_no_process_is_the_session_s() {
    simulate(140, |world| async move {
        let deps = town_of_1_x(&world).await;
        for agent in ["r/witness", "r/refinery", "r/crew/max", "deacon", "r/polecats/nux"] {
            keep(&world, &deps, agent).await;
        }
        world.gt(&format!("gt nudge-poller {}", refinery("r")), TOWN, mins(10));
        world.gt(&format!("gt nudge {} nudge-poller", witness("r")), TOWN, mins(60));
        world.gt(&format!("gt nudge-poller {}", witness("r")), "/another/town", mins(60));
        assert_eq!((checked(&deps).await, started(&world)), (vec![], vec![]), "gt may be about to start one");
        world.pass(mins(2)).await;
        assert_eq!(
            (checked(&deps).await, started(&world)),
            (vec![], vec![witness("r")]),
            "claude's crew needs none"
        );
        let pid = world.text(FILE).unwrap();
        let its = |pid: &str| {
            let state = world.state();
            let it = state.invocations.iter().find(|it| it.invocation.pid.to_string() == pid);
            it.is_some_and(|it| it.invocation.arguments == ["gt", "nudge-poller", "gt-r-witness"])
        };
        assert!(its(&pid), "gt finds it by its PID: {pid}");
        world.pass(mins(6)).await;
        assert_eq!((checked(&deps).await, started(&world).len()), (vec![], 1), "it runs");
        world.pass(mins(5)).await; // that of the refinery ends
        assert_eq!((checked(&deps).await, started(&world)), (vec![], vec![witness("r"), refinery("r")]));
    });
}

#[test]
fn are_not_started_while_one_may_run() {
    simulate(142, |world| async move {
        let deps = town_of_1_x(&world).await;
        keep(&world, &deps, "r/witness").await;
        world.pass(mins(2)).await;
        world.fail("invocations", true);
        assert_eq!(checked(&deps).await, NONE, "nothing is known");
        world.fail("invocations", false);
        let pid = world.state().session(&witness("r")).pid;
        for (content, expected) in [
            ("x", format!("{FILE} holds no process id: x; remove it")),
            (
                &*pid.to_string(),
                format!("process {pid} is named in {FILE}; if that is no poller, remove the file"),
            ),
        ] {
            world.write(FILE, content);
            assert_eq!(checked(&deps).await, [WITNESS]);
            assert_eq!(why(&deps), expected);
        }
        world.fail("trees", true);
        checked(&deps).await;
        assert_eq!(started(&world), NONE, "whether it lives is unknown");
        world.fail("trees", false);
        world.write("ESTOP", "x");
        world.write(FILE, "4000000");
        checked(&deps).await;
        assert_eq!(started(&world), NONE, "the town is stopped");
        world.remove("ESTOP");
        assert_eq!((checked(&deps).await, started(&world).len()), (vec![], 1), "that process is gone");
        assert_ne!(world.text(FILE).unwrap(), "4000000");
    });
}

#[test]
fn that_do_not_stay_or_cannot_be_started_are_reported() {
    simulate(143, |world| async move {
        let deps = town_of_1_x(&world).await;
        keep(&world, &deps, "r/witness").await;
        world.pass(mins(2)).await;
        world.state().programs.remove("gt");
        assert_eq!(checked(&deps).await, [WITNESS]);
        assert_eq!(why(&deps), "gt is not installed or not on PATH");
        world.state().programs.insert("gt".to_owned());
        world.pass(mins(5)).await;
        world.fail("run_in_background", true);
        checked(&deps).await;
        assert!(why(&deps).starts_with("it could not be started: "), "{}", why(&deps));
        world.fail("run_in_background", false);
        world.state().gt_starts.pollers_end = true;
        let begun = world.time();
        let mut at = Vec::new();
        for _ in 0..30 {
            world.pass(mins(3)).await;
            let before = started(&world).len();
            assert_eq!(checked(&deps).await, [WITNESS]);
            if started(&world).len() > before {
                at.push((world.time() - begun).as_secs() / 60);
                let not_seen = "it was started and not seen within 5s; run `gt nudge-poller gt-r-witness` in the town's \
                                directory to see why";
                assert_eq!(why(&deps), not_seen);
            } else {
                assert!(why(&deps).starts_with("it was started and did not stay; it is tried again later"));
            }
        }
        assert!((3..=5).contains(&at.len()), "later and later: {at:?}");
        assert!(at.windows(3).all(|it| it[2] - it[1] > it[1] - it[0]), "{at:?}");
        world.state().gt_starts.pollers_end = false;
        world.pass(mins(60)).await;
        assert_eq!(checked(&deps).await, NONE);
        world.end_session(&witness("r"), "it ends");
        assert_eq!(checked(&deps).await, NONE);
    });
}

#[test]
fn are_no_concern_of_january_s_towns() {
    simulate(141, |world| async move {
        let deps = town(&world).await;
        keep(&world, &deps, "r/witness").await;
        world.pass(mins(2)).await;
        assert_eq!((checked(&deps).await, started(&world)), (vec![], vec![]));
    });
}
