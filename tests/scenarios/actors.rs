//! Actors crash: no agent notices.

use crate::{deeds, town, world::*};

#[test]
fn the_crash_of_any_actor_touches_no_agent() {
    for name in ["sessions", "deacon", "boot", "rig r", "r/witness", "r/refinery", "r/census", "root"] {
        simulate(70, |world| async move {
            let supervisor = town(&world, &["r", "s"]).await;
            world.pass(mins(4)).await;
            let before = deeds(&world);
            let typed = |world: &World| -> usize {
                world.state().sessions.values().map(|session| session.typed.len()).sum()
            };
            let typed_before = typed(&world);
            supervisor.crash(name).await;
            world.pass(mins(10)).await;
            assert_eq!(deeds(&world), before, "{name}");
            assert_eq!(typed(&world), typed_before, "{name}");
            let town = supervisor.snapshot().await;
            assert!(town.actors.iter().all(|actor| actor.running), "{name}: {:#?}", town.actors);
            let alive = town.agents.iter().filter(|agent| agent.state == "alive").count();
            assert!(alive >= 5, "{name}: {:#?}", town.agents);
            // And it does its work again.
            world.crash_agent(&refinery("r"), false);
            world.until(name, secs(5), |state| state.created(&refinery("r")).len() == 2).await;
        });
    }
}

#[test]
fn a_panic_inside_any_handler_touches_no_agent() {
    for readings in 0..40 {
        simulate(71, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(1)).await;
            let before = deeds(&world);
            world.state().clock_panics_in = Some(readings);
            world.until("the panic", mins(15), |state| state.clock_panics_in.is_none()).await;
            world.pass(mins(4)).await;
            assert_eq!(deeds(&world), before, "after {readings} readings");
            assert!(!supervisor.ended());
            world.crash_agent(&witness("r"), false);
            world.until("a restart", mins(4), |state| state.lives(&witness("r"))).await;
        });
    }
}

#[test]
fn an_owner_that_crashes_while_it_makes_sure_starts_nobody_sooner() {
    simulate(72, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let before = deeds(&world);
        // The kill of a park is noticed at once, its word comes after the crash.
        world.park("r", 10);
        supervisor.until_agent("r/witness", "confirming", secs(2)).await;
        supervisor.crash("r/witness").await;
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), before);
    });
}

#[test]
fn what_was_stopped_by_hand_stays_so_when_its_owner_crashes() {
    for name in ["r/witness", "rig r", "root"] {
        simulate(73, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.stop_agent(&witness("r"), millis(0), millis(5));
            supervisor.until_agent("r/witness", "held", secs(3)).await;
            supervisor.crash(name).await;
            world.pass(mins(9)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{name}");
            world.pass(mins(5)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 2, "{name}: and no longer than that");
        });
    }
}

#[test]
fn an_owner_that_crashes_during_a_start_starts_nobody_twice() {
    // At each of these moments: before the session, while the agent comes up, while it is told.
    for after in [0, 100, 1_000, 2_000, 3_500, 6_000] {
        simulate(74, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.state().git_takes = millis(400);
            world.crash_agent(&refinery("r"), false);
            world.pass(millis(1_100 + after)).await;
            supervisor.crash("r/refinery").await;
            world.pass(mins(10)).await;
            let state = world.state();
            assert_eq!(state.created(&refinery("r")).len(), 2, "{after} ms into it");
            assert!(state.lives(&refinery("r")));
        });
    }
}

#[test]
fn one_that_crashes_too_often_is_parked_and_tried_again_later() {
    simulate(75, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        let before = deeds(&world);
        for _ in 0..6 {
            supervisor.crash("r/witness").await;
            world.pass(secs(1)).await;
        }
        let town = supervisor.snapshot().await;
        let parked: Vec<&str> =
            town.actors.iter().filter(|it| it.parked.is_some()).map(|it| it.name.as_str()).collect();
        assert_eq!(parked, ["r/witness"]);
        assert!(town.problems["rig/r/actor/witness"].contains("crashed too often"), "{:?}", town.problems);
        assert_eq!(deeds(&world), before, "its agent does not notice");
        // Others go on, heartbeats too.
        world.crash_agent(&refinery("r"), false);
        world.until("the others' restarts", secs(5), |state| state.created(&refinery("r")).len() == 2).await;
        world.crash_agent(&witness("r"), false);
        world.pass(mins(8)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1, "nobody looks after this one");
        assert_eq!(supervisor.snapshot().await.late, Vec::<String>::new());
        world.until("its next trial", mins(3), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(secs(5)).await;
        let town = supervisor.snapshot().await;
        assert!(town.actors.iter().all(|actor| actor.running), "{:#?}", town.actors);
        assert_eq!(town.problems, Default::default());
    });
}

#[test]
fn probes_are_answered_while_starts_and_looks_hang() {
    simulate(76, |world| async move {
        world.set_rigs(&["a", "b", "c"]);
        world.hang("create");
        let supervisor = world.supervisor().await;
        world.pass(secs(5)).await;
        for call in ["list", "find", "trees", "read", "replace"] {
            world.hang(call);
        }
        for _ in 0..20 {
            let begun = world.time();
            let town = supervisor.snapshot().await;
            assert_eq!(world.time(), begun, "at once");
            assert_eq!(town.agents.len(), 8);
            world.pass(secs(20)).await;
        }
    });
}

#[test]
fn a_part_that_is_late_is_named_in_the_heartbeat() {
    simulate(77, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(4)).await;
        let beats = supervisor.snapshot().await.heartbeats;
        world.hang("read");
        world
            .until("lateness", mins(5), |state| {
                state.trace.iter().any(|line| line.what.contains("late in the heartbeat"))
            })
            .await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.heartbeats, beats + 1, "it is complete all the same");
        assert!(!town.late.is_empty());
        world.release("read");
        world.pass(mins(4)).await;
        let town = supervisor.snapshot().await;
        assert_eq!((town.late, town.problems), (Vec::new(), Default::default()));
    });
}
