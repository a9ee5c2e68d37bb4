//! Nudges where other programs type into sessions, too.

use gastown_supervisor::{
    agent::{
        kill,
        nudge::{self, NotDelivered, Why},
    },
    town::{dialect::Dialect, identity::Identity},
};

use crate::{spec, town, world::*};

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
