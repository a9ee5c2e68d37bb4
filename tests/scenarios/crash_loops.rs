//! Agents that die repeatedly: held, reported once, tried again, never given up.

use crate::{town, world::*};

/// A town whose witness dies as soon as it gets its instruction, until it is held.
async fn looping(world: &World) -> Supervisor {
    let supervisor = town(world, &["r"]).await;
    world.state().nature.doomed = vec![witness("r")];
    world.crash_agent(&witness("r"), false);
    supervisor.until_agent("r/witness", "crash_loop", mins(15)).await;
    world.pass(secs(2)).await; // it is mailed
    supervisor
}

#[test]
fn five_restarts_in_a_quarter_of_an_hour_are_held_and_reported_once() {
    simulate(60, |world| async move {
        let supervisor = looping(&world).await;
        let made = world.state().created(&witness("r"));
        assert_eq!(made.len(), 1 + 5, "{made:?}");
        let gaps: Vec<u64> = made.windows(2).skip(1).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
        for (gap, least) in gaps.iter().zip([30, 60, 120, 240]) {
            assert!((least..least + least / 10 + 15).contains(gap), "backoff: {gaps:?}");
        }
        world.pass(mins(25)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 6, "held");
        let events = world.text(".events.jsonl").unwrap();
        assert_eq!(events.matches(r#""type":"crash_loop""#).count(), 1);
        let mails: Vec<_> =
            world.state().mails.iter().map(|(_, to, about)| (to.clone(), about.clone())).collect();
        assert_eq!(mails, [("mayor/".into(), "CRASH_LOOP: r/witness held after 5 restarts".into())]);
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.contains_key("rig/r/r/witness/crash_loop"), "{problems:?}");
    });
}

#[test]
fn one_trial_after_half_an_hour_fails_and_is_held_as_long_again_in_silence() {
    simulate(61, |world| async move {
        let _supervisor = looping(&world).await;
        let held = world.time() - secs(2);
        world.until("a trial", mins(31), |state| state.created(&witness("r")).len() == 7).await;
        assert!(world.time() - held >= mins(30) - secs(1));
        world.pass(mins(29)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 7, "one trial");
        world.until("the next one", mins(3), |state| state.created(&witness("r")).len() == 8).await;
        assert_eq!(world.state().mails.len(), 1, "told once");
        assert_eq!(world.text(".events.jsonl").unwrap().matches(r#""type":"crash_loop""#).count(), 1);
    });
}

#[test]
fn a_trial_that_lives_ends_it() {
    simulate(62, |world| async move {
        let supervisor = looping(&world).await;
        world.state().nature.doomed.clear();
        supervisor.until_agent("r/witness", "alive", mins(31)).await;
        world.pass(mins(5)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        world.crash_agent(&witness("r"), false);
        world
            .until("a restart with its backoff", mins(12), |state| state.created(&witness("r")).len() == 8)
            .await;
    });
}

#[test]
fn one_started_by_hand_ends_it_too() {
    simulate(63, |world| async move {
        let supervisor = looping(&world).await;
        world.state().nature.doomed.clear();
        world.start_agent(&witness("r"));
        world.pass(mins(5)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        world.pass(mins(60)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 6, "and no trial comes");
    });
}

#[test]
fn a_new_supervisor_keeps_to_it() {
    simulate(64, |world| async move {
        looping(&world).await.stop().await;
        world.pass(mins(10)).await;
        let supervisor = world.supervisor().await;
        supervisor.until_agent("r/witness", "crash_loop", secs(5)).await;
        world.pass(mins(18)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 6);
        world.until("the trial", mins(4), |state| state.created(&witness("r")).len() == 7).await;
        assert_eq!(world.state().mails.len(), 1, "not told again");
    });
}

#[test]
fn a_deacon_in_a_crash_loop_is_not_booted() {
    simulate(65, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.doomed = vec![DEACON.to_owned()];
        world.crash_agent(DEACON, false);
        supervisor.until_agent("deacon", "crash_loop", mins(15)).await;
        world.pass(mins(2)).await;
        let booted = world.state().created(BOOT).len();
        world.pass(mins(20)).await;
        assert_eq!(world.state().created(BOOT).len(), booted);
    });
}
