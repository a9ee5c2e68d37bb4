//! The state of every agent in `status`: in one word, since when, until when, and why.

use jiff::Timestamp;

use crate::{town, world::*};

const WITNESS: &str = "r/witness";

/// How many seconds before now.
fn ago(world: &World, time: Timestamp) -> i64 {
    world.wall().duration_since(time).as_secs()
}

/// What it is like some time after something happened to the witness.
struct Case {
    name: &'static str,
    act: fn(&World),
    after: u64,
    state: &'static str,
    reason: Option<&'static str>,
    /// The seconds since then.
    since: std::ops::RangeInclusive<i64>,
    /// The seconds until the next try.
    next: Option<std::ops::RangeInclusive<i64>>,
    restarts: u32,
}

fn crash(world: &World) {
    world.crash_agent(&witness("r"), false);
}

fn crash_again_later(world: &World) {
    crash(world);
    world.after(secs(30), crash);
}

fn cases() -> Vec<Case> {
    let usual = |name, act, after, state, reason| {
        let (since, next, restarts) = (after as i64 - 2..=after as i64, None, 0);
        Case { name, act, after, state, reason, since, next, restarts }
    };
    let parked = |world: &World| world.park("r", 1);
    vec![
        Case { since: 60..=400, ..usual("nothing happened", |_| {}, 60, "alive", None) },
        Case { since: 0..=0, ..usual("it dies", crash, 0, "confirming", Some("session is gone")) },
        Case { since: 0..=1, restarts: 1, ..usual("back soon", crash, 2, "starting", Some("restart 1")) },
        Case { since: 40..=60, restarts: 1, ..usual("and up", crash, 60, "alive", None) },
        Case {
            since: 9..=10,
            next: Some(19..=24),
            restarts: 1,
            ..usual("a backoff", crash_again_later, 41, "waiting", Some("restart 2 waits"))
        },
        Case {
            since: 58..=60,
            next: Some(539..=541),
            ..usual(
                "stopped by hand",
                |world| world.stop_agent(&witness("r"), millis(0), millis(9)),
                60,
                "held",
                Some("stopped by hand: `gt witness stop r`"),
            )
        },
        usual("parked", parked, 60, "paused", Some("rig is parked")),
        usual(
            "emergency stop",
            |world| {
                world.write("ESTOP", "");
                crash(world);
            },
            60,
            "paused",
            Some("emergency stop of the town (ESTOP)"),
        ),
        Case {
            since: 55..=60,
            ..usual(
                "gt down",
                |world| world.take_down(mins(5)),
                60,
                "paused",
                Some("gt down is taking the town down"),
            )
        },
        Case {
            since: 50..=60,
            ..usual(
                "its patrol is switched off",
                |world| {
                    world.write("mayor/daemon.json", r#"{"patrols":{"witness":{"enabled":false}}}"#);
                    world.after(secs(5), crash);
                },
                60,
                "paused",
                Some("the witness patrol is switched off in mayor/daemon.json"),
            )
        },
        Case {
            since: 58..=60,
            next: Some(838..=842),
            ..usual(
                "a usage limit",
                |world| {
                    world.show(&witness("r"), &["Claude usage limit reached."]);
                    world.crash_agent(&witness("r"), true);
                    world.hint();
                },
                60,
                "waiting",
                Some("ended at a usage limit (Claude usage limit reached.)"),
            )
        },
    ]
}

#[test]
fn every_state_with_since_and_until() {
    for case in cases() {
        simulate(830, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await;
            (case.act)(&world);
            world.pass(secs(case.after) + millis(50)).await;
            let agent = supervisor.agent(WITNESS).await;
            let name = case.name;
            assert_eq!(
                (agent.state.as_str(), agent.reason.as_deref()),
                (case.state, case.reason),
                "{name}: {agent:#?}"
            );
            assert!(
                case.since.contains(&ago(&world, agent.since.unwrap())),
                "{name}: {agent:#?} at {}",
                world.wall()
            );
            let next = agent.backoff_until.map(|next| -ago(&world, next));
            let as_expected = match (&case.next, next) {
                (Some(range), Some(next)) => range.contains(&next),
                (None, None) => true,
                _ => false,
            };
            assert!(as_expected, "{name}: {agent:#?} at {}", world.wall());
            assert_eq!(agent.restarts, case.restarts, "{name}: {agent:#?}");
        });
    }
}

#[test]
fn a_crash_loop_has_its_trial_as_next_try() {
    simulate(831, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.doomed = vec![witness("r")];
        crash(&world);
        supervisor.until_agent(WITNESS, "crash_loop", mins(15)).await;
        world.pass(mins(1)).await;
        let agent = supervisor.agent(WITNESS).await;
        assert_eq!(agent.reason.as_deref(), Some("held after 5 restarts"));
        assert!((59..=63).contains(&ago(&world, agent.since.unwrap())), "{agent:#?}");
        let next = -ago(&world, agent.backoff_until.unwrap());
        assert!((29 * 60 - 3..=29 * 60 + 1).contains(&next), "{agent:#?}");
    });
}

#[test]
fn a_town_found_parked_and_paused_says_so_of_everybody() {
    simulate(832, |world| async move {
        world.set_rigs(&["r", "s"]);
        world.write_wisp("r", r#""status":"parked""#);
        world.pause_deacon(true);
        world.polecat_at_work("r", "Toast");
        world.crash_agent(&polecat("r", "Toast"), false);
        world.add_polecat("r", "idle", "r-1");
        world.unhook("r", "idle");
        let supervisor = world.supervisor().await;
        world.pass(mins(4)).await;
        let paused = Some("deacon is paused: maintenance");
        let parked = Some("rig is parked");
        for (identity, state, reason) in [
            ("deacon", "paused", paused),
            ("deacon-boot", "paused", paused),
            ("r/witness", "paused", parked),
            ("r/refinery", "paused", parked),
            ("r/polecats/Toast", "paused", parked),
            ("r/polecats/idle", "paused", parked),
            ("s/witness", "alive", None),
        ] {
            let agent = supervisor.agent(identity).await;
            assert_eq!((agent.state.as_str(), agent.reason.as_deref()), (state, reason), "{identity}");
        }
    });
}

#[test]
fn one_found_running_is_alive_since_its_session_was_made() {
    simulate(833, |world| async move {
        world.set_rigs(&["r"]);
        world.start_agent(&witness("r"));
        world.pass(mins(30)).await;
        let supervisor = world.supervisor().await;
        world.pass(mins(1)).await;
        let agent = supervisor.agent(WITNESS).await;
        assert!((30 * 60..=31 * 60).contains(&ago(&world, agent.since.unwrap())), "{agent:#?}");
        // Another life, which nothing reported.
        world.state().weather.hints = 1.0;
        world.end_session(&witness("r"), "somebody ends it");
        world.start_agent(&witness("r"));
        world.pass(mins(2)).await;
        let agent = supervisor.agent(WITNESS).await;
        assert!((100..=121).contains(&ago(&world, agent.since.unwrap())), "{agent:#?}");
    });
}
