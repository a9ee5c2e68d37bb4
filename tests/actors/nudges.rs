//! Nudges where other programs type into sessions, too.

use std::sync::Arc;

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        kill,
        nudge::{self, NotDelivered, Why},
        role::Plain,
    },
    supervision::messages::{Broadcast, Nudge, Nudged},
    town::{dialect::Dialect, identity::Identity},
};
use parking_lot::Mutex;
use ractor::{Actor, ActorRef};

use crate::{Told, spec, town, world::*};

/// What was typed, and how often a lock was taken and Enter was pressed.
fn done(world: &World) -> (Vec<String>, usize, usize) {
    let state = world.state();
    let typed = state.sessions[&witness("r")].typed.iter().map(|(_, text)| text.clone()).collect();
    let count = |call: &str| state.trace.iter().filter(|line| line.what.starts_with(call)).count();
    (typed, count("lock "), count("press "))
}

#[test]
fn are_typed_under_the_lock_of_the_session() {
    for (dialect, locks, enters) in [(Dialect::January, 0, 1), (Dialect::V1, 1, 3)] {
        simulate(130, |world| async move {
            world.is_of(dialect);
            let deps = town(&world).await;
            world.start_agent(&witness("r"));
            world.pass(mins(2)).await;
            let spec = spec(Identity::Witness("r".parse().unwrap()));
            let session = deps.sessions.find(&spec.session).await.unwrap().unwrap();
            nudge::nudge(&deps, &spec, &kill::key(&session), "wake up").await.unwrap();
            // A screen that never changes does not show that Enter was taken.
            assert_eq!(done(&world), (vec!["wake up".to_owned()], locks, enters), "{dialect}");
        });
    }
}

#[test]
fn are_not_begun_without_the_lock() {
    simulate(131, |world| async move {
        world.is_v1();
        let deps = town(&world).await;
        world.start_agent(&witness("r"));
        world.pass(mins(2)).await;
        let spec = spec(Identity::Witness("r".parse().unwrap()));
        let session = deps.sessions.find(&spec.session).await.unwrap().unwrap();
        world.fail("lock", true);
        let told = nudge::nudge(&deps, &spec, &kill::key(&session), "wake up").await;
        let Err(NotDelivered { why: Why::Locked(..), begun: false }) = told else { panic!("{told:?}") };
        assert_eq!(done(&world), (Vec::new(), 1, 0));
    });
}

/// What comes of a person's text for an agent.
async fn asked(world: &World, actor: &ActorRef<AgentMsg>, text: &str, now: bool) -> Nudged {
    let (sender, told) = tokio::sync::oneshot::channel();
    let answer = Mutex::new(Some(sender));
    let nudge = Nudge { text: text.to_owned(), now, by: "`nudge` by anna (uid 7)".to_owned(), answer };
    actor.cast(AgentMsg::Broadcast(Broadcast::Nudge(Arc::new(nudge)))).unwrap();
    let told = tokio::time::timeout(mins(1), told).await.expect("an answer").unwrap();
    world.pass(secs(1)).await;
    told
}

fn code(nudged: &Nudged) -> &'static str {
    nudged.as_ref().err().map_or("typed", |not_nudged| not_nudged.code)
}

#[test]
fn a_person_s_text_is_typed_once_or_refused() {
    for dialect in [Dialect::January, Dialect::V1] {
        simulate(132, move |world| async move {
            world.is_of(dialect);
            let deps = town(&world).await;
            let spec = spec(Identity::Deacon);
            let session = spec.session.clone();
            let plan = AgentPlan {
                deps: deps.clone(),
                spec: spec.clone(),
                answers: Told::default().answers(),
                role: Box::new(Plain),
            };
            world.start_agent(&session);
            world.pass(mins(2)).await;
            let actor = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
            assert_eq!(code(&asked(&world, &actor, "too early", true).await), "unclear", "not observed yet");
            actor.cast(AgentMsg::Probe).unwrap();
            world.pass(secs(1)).await;
            let typed = || world.state().sessions[&session].typed.len();
            assert_eq!(code(&asked(&world, &actor, "go\non", true).await), "typed");
            assert_eq!(world.state().sessions[&session].typed[0].1, "go\non");
            let entries = deps.records.history(&spec.identity).entries;
            let told = entries.iter().find(|it| it.reason == "nudged").unwrap();
            assert_eq!(told.seen, "nudge requested (`nudge` by anna (uid 7))");
            assert_eq!(told.done, "typed \"go on\"");
            // `--now` types into nothing of these.
            world.draft(&session, "half a sent");
            assert_eq!(code(&asked(&world, &actor, "b", true).await), "prompt_holds_text");
            world.draft(&session, "");
            world.write("ESTOP", "");
            assert_eq!(code(&asked(&world, &actor, "c", true).await), "emergency_stop");
            world.remove("ESTOP");
            world.ask_in(&session, Asks::trust());
            assert_eq!(code(&asked(&world, &actor, "d", true).await), "question");
            assert_eq!(typed(), 1);
            world.crash_agent(&session, true);
            assert_ne!(code(&asked(&world, &actor, "e", true).await), "typed", "only a shell is left");
            assert_eq!(
                deps.records
                    .history(&spec.identity)
                    .entries
                    .iter()
                    .filter(|it| it.reason == "nudged")
                    .count(),
                1
            );
        });
    }
}
