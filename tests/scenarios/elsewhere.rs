//! Agents out of the supervisor's sight: none is started a second time.

use gastown_supervisor::signals::Signal;

use crate::{town, world::*};

const SESSIONS: [&str; 3] = [DEACON, "gt-r-witness", "gt-r-refinery"];

fn created(world: &World) -> Vec<usize> {
    SESSIONS.iter().map(|session| world.state().created(session).len()).collect()
}

#[test]
fn a_server_whose_socket_was_deleted_is_found_again() {
    for dies in [true, false] {
        simulate(970, |world| async move {
            let mut supervisor = town(&world, &["r"]).await;
            world.pass(mins(2)).await;
            if dies {
                supervisor.vanish().await;
                world.lose_server(true);
                supervisor = world.supervisor().await;
            } else {
                world.lose_server(true);
                world.hint();
            }
            world.pass(mins(10)).await;
            assert!(!world.state().socket_deleted, "it was asked to make its socket again: {dies}");
            assert_eq!(created(&world), [1, 1, 1], "supervisor restarted: {dies}");
            let untouched = |session: &&str| {
                let state = world.state();
                state.lives(session) && state.ended(session).is_empty()
            };
            assert!(SESSIONS.iter().all(untouched), "{dies}");
            for agent in ["deacon", "r/witness", "r/refinery"] {
                assert_eq!(supervisor.agent(agent).await.state, "alive", "{agent}");
            }
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
        });
    }
}

#[test]
fn agents_on_another_server_hold_every_agent() {
    simulate(971, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        supervisor.vanish().await;
        // One of them does not run; it is not started beside the others either.
        world.crash_agent(&witness("r"), false);
        world.lose_server(false);
        let supervisor = world.supervisor().await;
        world.pass(mins(20)).await;
        assert_eq!(created(&world), [1, 1, 1]);
        for agent in ["deacon", "r/witness", "r/refinery"] {
            let status = supervisor.agent(agent).await;
            assert_eq!(status.state, "unknown", "{status:#?}");
            let why = status.reason.clone().unwrap_or_default();
            assert!(
                why.contains("(PID ") && why.contains("/tmux/other") && why.contains("/tmux/own"),
                "{status:#?}"
            );
        }
        for told in
            ["deacon: runs where", "r/refinery: runs where", "r/witness: agents of this town run where"]
        {
            assert_eq!(world.logged(told).len(), 1, "{told}");
        }
        // The settings are mended.
        world.find_server();
        world.until("the witness", mins(5), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(mins(1)).await;
        assert_eq!(created(&world), [1, 2, 1]);
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.keys().all(|key| key.starts_with("deacon-boot/")), "{problems:#?}");
    });
}

#[test]
fn one_that_outlived_its_pane_is_waited_for() {
    simulate(972, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(5)).await;
        world.outlive(&witness("r"));
        world.pass(mins(10)).await;
        assert_eq!(created(&world), [1, 1, 1]);
        let status = supervisor.agent("r/witness").await;
        let why = status.reason.clone().unwrap_or_default();
        assert!(
            status.state == "confirming"
                && why.contains("where the supervisor cannot reach")
                && why.contains("(PID "),
            "{status:#?}"
        );
        assert_eq!(
            world.logged("r/witness: runs where the supervisor cannot reach it").len(),
            1,
            "told once"
        );
        world.hidden_ends(&witness("r"));
        world.until("its restart", secs(30), |state| state.created(&witness("r")).len() == 2).await;
    });
}

#[test]
fn a_request_neither_doubles_one_that_outlived_its_pane_nor_takes_it_for_ended() {
    for action in ["cycle", "shutdown"] {
        simulate(975, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await;
            world.outlive(&witness("r"));
            world.pass(mins(1)).await;
            world.ask(&witness("r"), "r/witness", &format!("{{\"action\": \"{action}\"}}"));
            supervisor.signals.tell(Signal::HeartbeatNow);
            world.pass(mins(2)).await;
            assert_eq!(created(&world), [1, 1, 1], "{action}");
            assert!(!world.logged("postponed").is_empty(), "{action}");
            assert!(world.logged("not running already").is_empty(), "{action}: it is not taken for ended");
            world.hidden_ends(&witness("r"));
            world.pass(mins(1)).await;
            let again = if action == "cycle" { 2 } else { 1 };
            assert_eq!(created(&world), [1, again, 1], "{action}: carried out then");
        });
    }
}

#[test]
fn what_cannot_be_searched_starts_nothing() {
    simulate(973, |world| async move {
        world.set_rigs(&["r"]);
        world.fail("residents", true);
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        assert_eq!(created(&world), [0, 0, 0]);
        for agent in ["deacon", "r/witness", "r/refinery"] {
            let status = supervisor.agent(agent).await;
            let why = status.reason.as_deref().unwrap_or_default();
            assert!(status.state == "unknown" && why.contains("process table"), "{status:#?}");
        }
        world.fail("residents", false);
        world
            .until("all of them", mins(5), |state| SESSIONS.iter().all(|it| state.created(it).len() == 1))
            .await;
    });
}
