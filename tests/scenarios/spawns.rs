//! Polecats that `gt` just started get their first instruction when they are ready, once, by any supervisor.

use crate::{town, world::*};

/// A polecat's session as `gt sling` creates it, and the message about it.
fn spawned(world: &World, name: &str) -> (String, String) {
    let session = world.polecat_at_work("r", name);
    let body = format!("Polecat: {name}\nSession: {session}\nIssue: {}", work_of("r", name));
    let id = world.mail("r/witness", &format!("POLECAT_STARTED r/{name}"), &body);
    (session, id)
}

fn told(world: &World, session: &str) -> usize {
    let state = world.state();
    state.sessions.get(session).map_or(0, |it| it.typed.iter().filter(|(_, text)| text == "Begin.").count())
}

#[test]
fn each_is_instructed_once_when_it_is_ready() {
    simulate(760, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        // Longer than a readiness is waited for at once.
        world.state().nature.prompts = 100_000..100_001;
        let all: Vec<_> = ["ace", "nux", "Toast"].map(|name| spawned(&world, name)).to_vec();
        world.ledger_changes();
        world.pass(mins(1)).await;
        for (session, id) in &all {
            assert_eq!(told(&world, session), 0, "{session} is not ready");
            assert!(world.state().mailbox.holds(id), "{session}: left for next time");
        }
        world.pass(mins(6)).await;
        for (session, id) in &all {
            assert_eq!(told(&world, session), 1, "{session}");
            assert_eq!(world.state().mailbox.left(id, Left::Archived), 1, "{session}");
        }
        world.pass(mins(10)).await;
        supervisor.stop().await;
        let _next = world.supervisor().await;
        world.pass(mins(10)).await;
        assert!(all.iter().all(|(session, _)| told(&world, session) == 1), "once");
    });
}

#[test]
fn those_that_are_gone_or_parked_are_not_instructed() {
    simulate(761, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.write_wisp("r", r#""status":"parked""#);
        world.pass(secs(5)).await;
        let (session, id) = spawned(&world, "nux");
        let gone = world.mail("r/witness", "POLECAT_STARTED r/gone", "Session: gt-r-gone");
        let nowhere = world.mail("x/witness", "POLECAT_STARTED nowhere/nux", "Session: gt-nowhere-nux");
        world.pass(mins(4)).await;
        assert_eq!(told(&world, &session), 0, "its rig is parked");
        assert!(world.state().mailbox.holds(&id) && world.state().mailbox.holds(&gone), "left as they are");
        assert_eq!(world.logged("rig nowhere, which does not exist").len(), 1);
        world.write_wisp("r", "");
        world.pass(mins(4)).await;
        assert!(!world.state().mailbox.holds(&gone), "archived, as nobody is there");
        assert!(!world.state().mailbox.holds(&nowhere), "nobody waits for that rig");
    });
}
