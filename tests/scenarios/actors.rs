//! Actors crash, and no agent is affected.

use gastown_supervisor::{StatusReport, tree::root::RootMsg};

use crate::{deeds, town, world::*};

#[test]
fn the_crash_of_any_actor_touches_no_agent() {
    for name in
        ["sessions", "deacon", "boot", "rig r", "r/witness", "r/refinery", "r/polecats", "r/census", "root"]
    {
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
fn a_panic_is_logged_with_its_place_and_its_actor() {
    for (actor, restarted) in [
        ("deacon", "actor deacon crashed"),
        ("r/witness", "actor r/witness crashed"),
        ("r/polecats/nux", "actor r/polecats/nux crashed"),
        ("root", "the root actor crashed"),
    ] {
        simulate(68, |world| async move {
            world.polecat_at_work("r", "nux");
            let supervisor = town(&world, &["r"]).await;
            world.state().clock_panics_for = Some((actor.to_owned(), 1));
            let told = || world.logged(&format!(": panic in actor {actor} at tests/")).len();
            supervisor.root().await.cast(RootMsg::ClearBackoff(None)).unwrap();
            supervisor.root().await.cast(RootMsg::BeatNow).unwrap();
            world.pass(mins(4)).await;
            assert_eq!(told(), 1, "{actor}");
            assert_eq!(world.logged("clock.rs:").len(), 1, "{actor}");
            assert_eq!(world.logged(restarted).len(), 1, "{actor}");
        });
    }
}

#[test]
fn a_panic_in_one_polecats_actor_is_its_own() {
    // A single one, and one that happens whenever it does anything.
    for panics in [1, 1_000] {
        simulate(69, |world| async move {
            for name in ["ace", "nux"] {
                world.polecat_at_work("r", name);
            }
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await;
            let (before, pool) = (deeds(&world), supervisor.actor("r/polecats").await.unwrap().get_id());
            world.state().clock_panics_for = Some(("r/polecats/nux".to_owned(), panics));
            supervisor.root().await.cast(RootMsg::ClearBackoff(None)).unwrap();
            world.pass(secs(1)).await;
            let nux = supervisor.agent("r/polecats/nux").await;
            if panics > 1 {
                assert_eq!(nux.state, "unknown");
                let why = nux.reason.unwrap();
                assert!(why.starts_with("actor r/polecats/nux is suspended; last known: "), "{why}");
                let problems = supervisor.snapshot().await.problems;
                let problem = &problems["rig/r/r/polecats/nux/actor"];
                assert!(problem.contains("crashed too often and is suspended for 30s"), "{problem}");
                supervisor.root().await.cast(RootMsg::BeatNow).unwrap();
                world.pass(secs(1)).await;
                assert_eq!(supervisor.snapshot().await.heartbeat.late, ["r/polecats/nux"]);
            }
            assert_eq!(supervisor.agent("r/polecats/ace").await.state, "alive");
            assert_eq!(supervisor.actor("r/polecats").await.unwrap().get_id(), pool, "nobody else crashed");
            assert_eq!(deeds(&world), before, "no agent notices");
            world.crash_agent(&polecat("r", "ace"), false);
            world.until("the other one", secs(10), |state| state.lives(&polecat("r", "ace"))).await;
            world.state().clock_panics_for = None;
            world.crash_agent(&polecat("r", "nux"), false);
            world.until("its own restart", secs(45), |state| state.lives(&polecat("r", "nux"))).await;
            world.pass(mins(4)).await;
            let town = supervisor.snapshot().await;
            assert_eq!((town.heartbeat.late, town.problems), (Vec::new(), Default::default()));
        });
    }
}

#[test]
fn polecats_run_on_while_what_lists_them_crashes() {
    for panics in [1, 100] {
        simulate(67, |world| async move {
            let session = world.polecat_at_work("r", "nux");
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await;
            let body = format!("Polecat: nux\nSession: {session}\nIssue: {}", work_of("r", "nux"));
            world.mail("r/witness", "POLECAT_STARTED r/nux", &body);
            let nux = supervisor.actor("r/polecats/nux").await.unwrap().get_id();
            world.state().clock_panics_for = Some(("r/polecats".to_owned(), panics));
            world.pass(mins(10)).await;
            assert!(!world.logged("actor r/polecats crashed (injected fault").is_empty(), "it happened");
            assert_eq!(supervisor.agent("r/polecats/nux").await.state, "alive");
            assert_eq!(
                supervisor.actor("r/polecats/nux").await.unwrap().get_id(),
                nux,
                "nobody else crashed"
            );
            world.crash_agent(&session, false);
            world.until("its restart", secs(10), |state| state.lives(&session)).await;
        });
    }
}

#[test]
fn an_owner_that_crashes_during_a_confirmation_starts_no_agent_sooner() {
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
fn an_owner_that_crashes_during_a_start_starts_no_agent_twice() {
    // At each of these times: before the session, while the agent comes up, while it gets its instruction.
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
fn a_dead_agent_is_back_soon_whichever_actor_is_suspended() {
    for name in [
        "sessions",
        "operator",
        "accounts",
        "activity",
        "deaths",
        "deacon",
        "boot",
        "mail",
        "feed",
        "convoy",
        "rig r",
        "r/witness",
        "r/refinery",
        "r/polecats",
        "r/polecats/nux",
        "r/census",
    ] {
        simulate(78, |world| async move {
            world.polecat_at_work("r", "nux");
            let supervisor = town(&world, &["r", "s"]).await;
            let nux = polecat("r", "nux");
            world.until(name, mins(1), |state| state.lives(&nux)).await;
            world.pass(mins(5)).await;
            let before = deeds(&world);
            let identities = |town: StatusReport| -> Vec<String> {
                town.agents.into_iter().map(|agent| agent.identity).collect()
            };
            let agents = identities(supervisor.snapshot().await);
            supervisor.suspend(name).await;
            assert_eq!(identities(supervisor.snapshot().await), agents, "{name}: none vanishes");
            world.pass(secs(1)).await;
            assert_eq!(deeds(&world), before, "{name}: no agent notices");
            let town = supervisor.snapshot().await;
            let unknown = town.agents.iter().filter(|agent| agent.state == "unknown");
            for agent in unknown {
                let why = agent.reason.as_deref().unwrap_or_default();
                assert!(why.starts_with(&format!("actor {name} is suspended; last known: ")), "{agent:#?}");
            }
            assert_eq!(identities(town), agents, "{name}: none vanishes");
            for session in [&witness("r"), &nux, DEACON] {
                world.crash_agent(session, false);
            }
            // A heartbeat, at the latest, or the end of the suspension.
            world
                .until(name, mins(3) + secs(15), |state| {
                    [&witness("r"), &nux, DEACON].iter().all(|session| state.lives(session))
                })
                .await;
            world.pass(mins(12)).await;
            let town = supervisor.snapshot().await;
            assert!(town.actors.iter().all(|actor| actor.running), "{name}: {:#?}", town.actors);
            assert_eq!((town.heartbeat.late, town.problems), (Vec::new(), Default::default()), "{name}");
            // The polecat existed at the start.
            for (session, created) in [(witness("r"), 2), (nux, 1), (DEACON.to_owned(), 2)] {
                assert_eq!(world.state().created(&session).len(), created, "{name}: {session}");
            }
        });
    }
}

#[test]
fn what_everything_depends_on_takes_the_root_with_it() {
    simulate(79, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let (before, deeds_before) = (supervisor.root().await.get_id(), deeds(&world));
        supervisor.suspend("sessions").await;
        world.pass(secs(1)).await;
        assert_ne!(supervisor.root().await.get_id(), before);
        world.crash_agent(&witness("r"), false);
        world.until("the witness", secs(5), |state| state.created(&witness("r")).len() == 2).await;
        // However often that happens: the town is supervised, if slowly, and the supervisor does not exit.
        for _ in 0..10 {
            supervisor.suspend("sessions").await;
        }
        assert!(!supervisor.ended());
        world.crash_agent(&witness("r"), false);
        world.until("the witness", mins(4), |state| state.created(&witness("r")).len() == 3).await;
        assert_eq!(deeds(&world), deeds_before + 2, "nobody else noticed");
    });
}

#[test]
fn one_that_crashes_too_often_is_suspended_and_tried_again_later() {
    simulate(75, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        let before = deeds(&world);
        for _ in 0..6 {
            supervisor.crash("r/witness").await;
            world.pass(secs(1)).await;
        }
        let town = supervisor.snapshot().await;
        let suspended: Vec<&str> =
            town.actors.iter().filter(|it| it.parked.is_some()).map(|it| it.name.as_str()).collect();
        assert_eq!(suspended, ["r/witness"]);
        assert!(town.problems["rig/r/actor/witness"].contains("crashed too often"), "{:?}", town.problems);
        assert_eq!(deeds(&world), before, "its agent does not notice");
        // Other actors continue, and heartbeats too.
        world.crash_agent(&refinery("r"), false);
        world.until("the others' restarts", secs(5), |state| state.created(&refinery("r")).len() == 2).await;
        world.crash_agent(&witness("r"), false);
        supervisor.root().await.cast(RootMsg::BeatNow).unwrap();
        world.pass(secs(10)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1, "nobody looks after this one");
        let town = supervisor.snapshot().await;
        assert_eq!(town.heartbeat.late, ["r/witness"], "and the heartbeat says so");
        assert_eq!(town.problems["heartbeat/late"], "late in the heartbeat: r/witness");
        world.until("its next trial", secs(25), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(3)).await;
        let town = supervisor.snapshot().await;
        assert!(town.actors.iter().all(|actor| actor.running), "{:#?}", town.actors);
        assert_eq!(town.problems, Default::default());
    });
}

#[test]
fn status_is_answered_while_starts_and_probes_hang() {
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
            let took = world.time() - begun;
            assert!(took <= millis(100), "a disk that hangs costs its limit: {took:?}");
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
        let beats = supervisor.snapshot().await.heartbeat.count;
        world.hang("read");
        world
            .until("lateness", mins(5), |state| {
                state.trace.iter().any(|line| line.what.contains("late in the heartbeat"))
            })
            .await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.heartbeat.count, beats + 1, "it is complete all the same");
        assert!(!town.heartbeat.late.is_empty());
        world.release("read");
        world.pass(mins(4)).await;
        let town = supervisor.snapshot().await;
        assert_eq!((town.heartbeat.late, town.problems), (Vec::new(), Default::default()));
    });
}
