//! People and their `gt`: the supervisor is faster than they are, and must not work against them.

use crate::{all_up, deeds, town, world::*};

#[test]
fn stopped_by_hand_is_left_alone_for_ten_minutes() {
    for (name, before, after) in [
        ("noted before the kill", millis(8), millis(0)),
        ("noted with the kill", millis(0), millis(0)),
        ("noted after the kill", millis(0), millis(9)),
        ("noted long after the kill", millis(0), millis(900)),
    ] {
        simulate(20, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            let stopped = world.time();
            world.stop_agent(&witness("r"), before, after);
            supervisor.until_agent("r/witness", "held", secs(3)).await;
            world.pass(mins(9)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{name}");
            let again = |state: &State| state.created(&witness("r")).len() == 2;
            world.until("the end of the hold", mins(2), again).await;
            assert!(world.time() - stopped >= mins(10), "{name}");
            assert_eq!(supervisor.agent("r/witness").await.restarts, 0, "{name}: it was no death");
        });
    }
}

#[test]
fn a_hold_ends_early_when_gas_town_says_so() {
    type Act = fn(&World);
    let acts: [(&str, Act, usize); 3] = [
        ("state file says running", |world| world.write_agent_state(&witness("r"), "running"), 2),
        ("started by hand", |world| world.start_agent(&witness("r")), 1),
        (
            "rig parked and unparked",
            |world| {
                world.park("r", 1);
                world.after(mins(1), |world| world.unpark("r"));
            },
            2,
        ),
    ];
    for (name, act, starts) in acts {
        simulate(21, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.stop_agent(&witness("r"), millis(0), millis(5));
            supervisor.until_agent("r/witness", "held", secs(3)).await;
            act(&world);
            world.until(name, mins(5), |state| state.lives(&witness("r"))).await;
            supervisor.until_agent("r/witness", "alive", mins(1)).await;
            assert_eq!(world.state().created(&witness("r")).len(), starts, "{name}");
        });
    }
}

#[test]
fn a_parked_rig_stays_down_and_comes_up_when_it_is_unparked() {
    for (name, hints) in [("with hints", 0.0), ("at a heartbeat", 1.0)] {
        simulate(22, |world| async move {
            let supervisor = town(&world, &["r", "s"]).await;
            let before = deeds(&world);
            world.park("r", 1);
            world.pass(mins(20)).await;
            assert_eq!(deeds(&world), before, "{name}");
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(
                (agent.state.as_str(), agent.reason.as_deref()),
                ("paused", Some("rig is parked")),
                "{name}"
            );
            world.state().weather.hints = hints;
            let unparked = world.time();
            world.unpark("r");
            all_up(&world, &["r", "s"], secs(185)).await;
            let took = world.time() - unparked;
            assert!(hints > 0.0 || took < secs(2), "{name}: {took:?}");
            world.pass(mins(2)).await;
            assert_eq!(supervisor.agent("r/witness").await.restarts, 0, "{name}: it was no death");
        });
    }
}

#[test]
fn parking_a_slow_town_is_still_not_a_death() {
    simulate(23, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        let before = deeds(&world);
        world.park("r", 12); // `parked` is written 0.3 s after the witness's end
        world.pass(mins(20)).await;
        assert_eq!(deeds(&world), before);
    });
}

#[test]
fn a_lock_taken_while_a_start_waits_for_its_turn_stops_it() {
    simulate(24, |world| async move {
        world.set_rigs(&["a", "b", "c", "d"]);
        world.state().nature.appears = 5_000..5_001;
        let supervisor = world.supervisor().await;
        world.until("four starts", secs(5), |state| state.sessions.len() == 4).await;
        world.pass(secs(1)).await;
        world.hold_lock(true);
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), 4, "and no more");
        let town = supervisor.snapshot().await;
        let paused = town.agents.iter().filter(|agent| agent.state == "paused").count();
        assert_eq!(paused, 6, "the others, and boot: {:#?}", town.agents);
        world.hold_lock(false);
        all_up(&world, &["a", "b", "c", "d"], mins(4)).await;
    });
}

#[test]
fn a_gate_that_closes_while_the_worktree_is_brought_up_to_date_stops_the_start() {
    type Act = fn(&World);
    let acts: [(&str, Act, Act); 4] = [
        ("lock", |world| world.hold_lock(true), |world| world.hold_lock(false)),
        ("parked", |world| world.park("r", 1), |world| world.unpark("r")),
        ("estop", |world| world.write("ESTOP", ""), |world| world.remove("ESTOP")),
        ("unreadable", |world| world.write(".beads-wisp/config/r.json", "{\"va"), |world| world.unpark("r")),
    ];
    for (name, close, open) in acts {
        simulate(25, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.state().git_takes = secs(20);
            world.crash_agent(&refinery("r"), false);
            world.pass(secs(10)).await; // in the middle of `git fetch`
            close(&world);
            world.pass(mins(5)).await;
            assert_eq!(world.state().created(&refinery("r")).len(), 1, "{name}");
            open(&world);
            world.until(name, mins(5), |state| state.lives(&refinery("r"))).await;
        });
    }
}

#[test]
fn what_is_left_of_an_agent_is_not_cleared_away_after_the_gate_closed() {
    simulate(33, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.crash_agent(&witness("r"), true);
        world.hang_after(1, "find"); // the second probe is the last that gets through
        world.hint();
        world.pass(secs(5)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "starting");
        world.write_wisp("r", r#""status":"parked""#);
        world.pass(millis(1)).await;
        world.release("find");
        world.pass(mins(10)).await;
        assert_eq!(world.state().ended(&witness("r")).len(), 0);
        assert_eq!(supervisor.agent("r/witness").await.reason.as_deref(), Some("rig is parked"));
    });
}

#[test]
fn what_took_the_place_of_a_dead_agent_is_not_cleared_away() {
    simulate(35, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.crash_agent(&witness("r"), true);
        world.hang_after(2, "find"); // the second probe and the start's probe get through, the one at the end does not
        world.hint();
        world.pass(secs(5)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "starting");
        world.end_session(&witness("r"), "somebody clears it away");
        world.start_agent(&witness("r"));
        world.pass(secs(2)).await;
        world.release("find");
        world.pass(mins(10)).await;
        assert_eq!(world.state().ended(&witness("r")).len(), 0);
        assert_eq!(world.state().session(&witness("r")).by, By::Operator);
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
    });
}

#[test]
fn a_gate_that_closes_during_a_start_silences_it_and_leaves_what_runs() {
    simulate(26, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.prompts = 20_000..20_001;
        world.crash_agent(&witness("r"), false);
        world.until("a restart", secs(5), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(secs(5)).await;
        world.hold_lock(true);
        world.pass(mins(3)).await;
        assert!(world.state().lives(&witness("r")), "left running");
        assert_eq!(world.state().session(&witness("r")).typed.len(), 0, "and not typed to");
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
    });
}

#[test]
fn a_town_taken_down_stays_down_while_the_lock_is_held() {
    simulate(27, |world| async move {
        let _supervisor = town(&world, &["r", "s"]).await;
        let before = deeds(&world);
        world.take_down(mins(10));
        world.pass(mins(10) - secs(1)).await;
        assert_eq!(deeds(&world), before);
        assert_eq!(world.state().sessions.len(), 0);
        all_up(&world, &["r", "s"], mins(4)).await;
    });
}

#[test]
fn a_restart_by_hand_is_left_to_the_operator() {
    simulate(28, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let before = deeds(&world);
        world.restart_agent(&witness("r"));
        world.pass(mins(15)).await;
        assert_eq!(deeds(&world), before);
        assert_eq!(supervisor.agent("r/witness").await.restarts, 0);
    });
}

#[test]
fn stopped_by_hand_soon_after_a_restart_by_hand() {
    simulate(34, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.restart_agent(&witness("r"));
        world.pass(secs(20)).await;
        world.stop_agent(&witness("r"), millis(0), millis(9));
        supervisor.until_agent("r/witness", "held", secs(3)).await;
        world.pass(mins(9)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1);
    });
}

#[test]
fn somebody_else_is_faster_at_the_very_last_moment() {
    simulate(29, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().git_takes = secs(20);
        world.crash_agent(&refinery("r"), false);
        world.pass(secs(10)).await;
        world.start_agent(&refinery("r"));
        world.pass(mins(5)).await;
        let agent = supervisor.agent("r/refinery").await;
        assert_eq!(agent.state, "alive");
        let state = world.state();
        assert_eq!(state.session(&refinery("r")).by, By::Operator);
        assert_eq!(state.session(&refinery("r")).typed.len(), 0, "it is not ours to tell");
    });
}

#[test]
fn a_half_written_list_of_rigs_is_not_a_town_without_rigs() {
    simulate(30, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        let before = deeds(&world);
        world.write_rigs_slowly(mins(7));
        world.pass(mins(6)).await;
        let town = supervisor.snapshot().await;
        assert!(town.problems["rigs"].contains("mayor/rigs.json:1:"), "{:?}", town.problems);
        assert_eq!(town.agents.len(), 6, "everybody is still looked after");
        world.crash_agent(&witness("s"), false);
        world.until("a restart all the same", secs(3), |state| state.created(&witness("s")).len() == 2).await;
        world.pass(mins(5)).await;
        assert_eq!(deeds(&world), before + 1);
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn rigs_come_and_go() {
    for (name, hints, limit) in [("with hints", 0.0, secs(10)), ("at a heartbeat", 1.0, secs(190))] {
        simulate(31, |world| async move {
            let supervisor = town(&world, &["r", "s"]).await;
            let before = deeds(&world);
            world.state().weather.hints = hints;
            world.set_rigs(&["r"]);
            world.pass(secs(190)).await;
            assert_eq!(supervisor.snapshot().await.agents.len(), 4, "{name}: supervision of s ended");
            let survivors = world.state().sessions.values().filter(|it| it.live()).count();
            assert!(survivors >= 5, "{name}: its sessions are left alone");
            world.crash_agent(&witness("s"), false);
            world.pass(mins(5)).await;
            assert_eq!(deeds(&world), before, "{name}: nor restarted");
            world.set_rigs(&["r", "s", "t"]);
            all_up(&world, &["r", "s", "t"], limit).await;
            world.pass(mins(1)).await;
            assert_eq!(
                world.state().created(&refinery("s")).len(),
                1,
                "{name}: the one that ran was taken over"
            );
        });
    }
}

#[test]
fn patrols_are_switched_off_and_on_in_the_shared_settings() {
    simulate(32, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        world.write(
            "mayor/daemon.json",
            r#"{"patrols":{"witness":{"enabled":true,"rigs":["s"]},"refinery":{"enabled":false}}}"#,
        );
        world.pass(secs(5)).await;
        for session in [witness("r"), witness("s"), refinery("s")] {
            world.crash_agent(&session, false);
        }
        world.pass(mins(10)).await;
        let made = |session: &str| world.state().created(session).len();
        assert_eq!((made(&witness("r")), made(&witness("s")), made(&refinery("s"))), (1, 2, 1));
        world.write("mayor/daemon.json", "{}");
        all_up(&world, &["r", "s"], secs(10)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn what_was_stopped_by_hand_comes_back_when_the_hold_is_over_and_nothing_is_reported() {
    for line in ["gt rig stop r --force", "gt rig shutdown r --force", "gt session stop r/p0 r/p1 r/p2"] {
        simulate(36, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            let mut stopped: Vec<String> =
                (0..3).map(|n| world.polecat_at_work("r", &format!("p{n}"))).collect();
            world.pass(mins(5)).await;
            if line.contains(" rig ") {
                stopped.extend([witness("r"), refinery("r")]);
            }
            world.gt(line, TOWN, millis(500));
            for (session, at) in stopped.clone().into_iter().zip((300..).step_by(13)) {
                world.after(millis(at), move |world| world.end_session(&session, line));
            }
            world.pass(mins(9)).await;
            assert!(stopped.iter().all(|session| !world.state().lives(session)), "{line}: left alone");
            let back = |state: &State| stopped.iter().all(|session| state.lives(session));
            world.until("the end of the hold", mins(2), back).await;
            world.pass(mins(1)).await;
            assert_eq!(world.events("session_death").len() + world.events("mass_death").len(), 0, "{line}");
            assert_eq!(world.logged("CRASH DETECTED").len(), 0, "{line}");
            assert_eq!(world.state().crash_logs.len(), 0, "{line}");
            assert_eq!(world.logged(": hold over").len(), stopped.len(), "{line}");
            for agent in supervisor.snapshot().await.agents {
                let last_end = supervisor.last_end(&agent.identity).await;
                assert_eq!((agent.restarts, last_end), (0, None), "{line}: {agent:#?}");
            }
        });
    }
}

#[test]
fn a_rig_that_is_undocked_comes_up_at_once() {
    simulate(37, |world| async move {
        let supervisor = town(&world, &["r", "s"]).await;
        world.replay(&Timeline::read("t20_dock").about("r", "nobody", ["no-work", "no-work"]), 1);
        world.pass(mins(20)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!((agent.state.as_str(), agent.reason.as_deref()), ("paused", Some("rig is docked")));
        let undocked = world.time();
        world.replay(&Timeline::read("t21_undock").about("r", "nobody", ["no-work", "no-work"]), 1);
        all_up(&world, &["r", "s"], secs(185)).await;
        let took = world.time() - undocked;
        assert!(took < secs(4), "{took:?}");
    });
}
