//! The supervisor itself stops, vanishes and starts again; agents live on.

use gastown_supervisor::signals::Signal;

use crate::{all_up, deeds, town, world::*};

#[test]
fn it_stops_in_time_whatever_hangs_and_leaves_agents_alive() {
    for hanging in [&[][..], &["create"], &["list"], &["create", "list", "find", "trees", "read", "replace"]]
    {
        simulate(80, |world| async move {
            world.write("settings/supervisor.json", r#"{"start":{"max_concurrent":6}}"#);
            let supervisor = town(&world, &["a", "b", "c", "d"]).await;
            world.hang("create");
            for session in
                [witness("a"), refinery("a"), witness("b"), refinery("b"), witness("c"), refinery("c")]
            {
                world.crash_agent(&session, false);
            }
            world.pass(secs(5)).await; // six starts hang
            if hanging.is_empty() {
                world.release("create");
                world.pass(millis(400)).await; // six agents are just coming up
            }
            for call in hanging {
                world.hang(call);
            }
            world.hint();
            world.pass(millis(100)).await;
            let before: Vec<String> = world.state().sessions.keys().cloned().collect();
            let took = supervisor.stop().await;
            assert!(took <= millis(400), "{hanging:?}: {took:?}");
            for call in hanging {
                world.release(call);
            }
            world.release("create");
            world.pass(mins(10)).await;
            let state = world.state();
            for session in before.iter().filter(|name| *name != BOOT) {
                assert!(state.lives(session), "{hanging:?}: {session} is left alive");
            }
        });
    }
}

#[test]
fn nothing_is_done_after_the_end() {
    simulate(81, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        supervisor.stop().await;
        let before = deeds(&world);
        world.state().trace.clear();
        world.crash_agent(&witness("r"), false);
        world.hang_agent(DEACON, true);
        world.pass(mins(120)).await;
        assert_eq!(deeds(&world), before);
        let calls: Vec<String> = world.trace().into_iter().filter(|line| line.contains(" -> ")).collect();
        assert_eq!(calls, Vec::<String>::new(), "no call crosses a port any more");
    });
}

#[test]
fn a_new_supervisor_takes_over_and_starts_no_agent() {
    for (name, in_order) in [("stopped", true), ("killed", false)] {
        simulate(82, |world| async move {
            let supervisor = town(&world, &["r", "s"]).await;
            world.pass(mins(5)).await;
            let before = deeds(&world);
            if in_order {
                supervisor.stop().await;
            } else {
                supervisor.vanish().await;
            }
            world.pass(mins(3)).await;
            let supervisor = world.supervisor().await;
            world.pass(mins(30)).await;
            assert_eq!(deeds(&world), before, "{name}");
            let town = supervisor.snapshot().await;
            let alive = town.agents.iter().filter(|agent| agent.state == "alive").count();
            assert_eq!(alive, 5, "{name}: {:#?}", town.agents);
        });
    }
}

#[test]
fn a_new_supervisor_keeps_to_a_backoff() {
    for (name, in_order) in [("stopped", true), ("killed", false)] {
        simulate(83, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            for restarts in 2..=4 {
                world.crash_agent(&witness("r"), false);
                world
                    .until("a restart", mins(3), |state| state.created(&witness("r")).len() == restarts)
                    .await;
                world.pass(secs(10)).await;
            }
            world.crash_agent(&witness("r"), false); // its restart waits for two minutes
            supervisor.until_agent("r/witness", "waiting", secs(5)).await;
            let died = world.time();
            world.pass(secs(10)).await;
            if in_order {
                supervisor.stop().await;
            } else {
                supervisor.vanish().await;
            }
            let supervisor = world.supervisor().await;
            supervisor.until_agent("r/witness", "waiting", secs(5)).await;
            world.until("its restart", mins(4), |state| state.lives(&witness("r"))).await;
            assert!(world.time() - died >= mins(2), "{name}: after {:?}", world.time() - died);
        });
    }
}

#[test]
fn what_died_while_no_supervisor_ran_is_started() {
    simulate(84, |world| async move {
        town(&world, &["r"]).await.stop().await;
        world.crash_agent(&witness("r"), false);
        world.crash_agent(&refinery("r"), true);
        world.pass(mins(2)).await;
        let supervisor = world.supervisor().await;
        all_up(&world, &["r"], secs(10)).await;
        world.pass(mins(1)).await;
        for identity in ["r/witness", "r/refinery"] {
            assert_eq!(supervisor.agent(identity).await.restarts, 0, "{identity}: not counted");
        }
    });
}

#[test]
fn a_stop_is_heard_while_it_begins_behind_any_number_of_other_signals() {
    for (phase, hangs) in [("it reads what it remembers", true), ("its tree is there", false)] {
        simulate(87, |world| async move {
            world.set_rigs(&["r"]);
            let supervisor = world.supervisor().await;
            if hangs {
                world.hang("read");
            }
            world.pass(secs(1)).await;
            for _ in 0..100 {
                for signal in [Signal::HeartbeatNow, Signal::Reload, Signal::RereadRestartState] {
                    supervisor.signals.tell(signal);
                }
            }
            let took = supervisor.stop().await;
            assert!(took <= millis(50), "{phase}: {took:?}");
        });
    }
}

#[test]
fn signals_are_heard() {
    simulate(85, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().weather.hints = 1.0;
        world.crash_agent(&witness("r"), false);
        supervisor.signals.tell(Signal::HeartbeatNow);
        world.until("a restart", secs(2), |state| state.created(&witness("r")).len() == 2).await;
        world.write("settings/supervisor.json", r#"{"boot":{"enabled":false}}"#);
        supervisor.signals.tell(Signal::Reload);
        world.pass(secs(1)).await;
        assert!(!supervisor.deps.settings().boot.enabled);
    });
}

#[test]
fn a_restart_state_that_somebody_cleared_ends_a_backoff() {
    simulate(86, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        for restarts in 2..=3 {
            world.crash_agent(&witness("r"), false);
            world.until("a restart", mins(3), |state| state.created(&witness("r")).len() == restarts).await;
            world.pass(secs(10)).await;
        }
        world.crash_agent(&witness("r"), false);
        supervisor.until_agent("r/witness", "waiting", secs(5)).await;
        world.pass(secs(1)).await;
        world.write("daemon/restart_state.json", r#"{"agents":{}}"#);
        supervisor.signals.tell(Signal::RereadRestartState);
        world.until("its restart at once", secs(2), |state| state.created(&witness("r")).len() == 4).await;
    });
}
