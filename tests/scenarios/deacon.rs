//! The deacon's progress, and boot.

use jiff::SignedDuration;

use crate::{town, world::*};

fn nudges(world: &World) -> usize {
    let state = world.state();
    let typed = &state.session(DEACON).typed;
    typed.iter().filter(|(_, text)| text.starts_with("HEALTH_CHECK")).count()
}

#[test]
fn a_deacon_that_hangs_is_nudged_and_then_replaced_in_one_step() {
    simulate(40, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(10)).await;
        world.hang_agent(DEACON, true);
        let beat = world.state().beat_at.unwrap();
        world.pass(beat + mins(14) - world.time()).await;
        assert_eq!(nudges(&world), 0, "not stale yet");
        world.pass(mins(2)).await;
        assert_eq!(nudges(&world), 1, "stale");
        world.pass(mins(5)).await;
        assert_eq!(nudges(&world), 2, "every five minutes");
        world.until("its end", mins(11), |state| !state.ended(DEACON).is_empty()).await;
        let ended = world.time();
        assert!(ended - beat >= mins(30) && ended - beat < mins(31), "{:?}", ended - beat);
        world.until("its start", secs(5), |state| state.created(DEACON).len() == 2).await;
        assert!((3..=4).contains(&world.logged("nudging it").len()));
        world.pass(mins(60)).await;
        assert_eq!(world.state().created(DEACON).len(), 2, "and all is well");
        assert_eq!(supervisor.agent("deacon").await.state, "alive");
    });
}

#[test]
fn a_deacon_started_by_others_while_it_is_being_replaced_stays() {
    simulate(54, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.hang_agent(DEACON, true);
        world.until("its end", mins(35), |state| !state.ended(DEACON).is_empty()).await;
        world.pass(millis(500)).await; // its processes get two seconds
        world.start_agent(DEACON);
        world.pass(mins(30)).await;
        assert_eq!(world.state().session(DEACON).by, By::Operator);
        assert_eq!(world.state().created(DEACON).len(), 1);
        assert_eq!(supervisor.agent("deacon").await.state, "alive");
    });
}

#[test]
fn a_deacon_paused_or_awake_at_the_last_moment_is_not_ended() {
    type Act = fn(&World);
    let acts: [(&str, Act); 3] = [
        ("paused", |world| world.pause_deacon(true)),
        ("lock", |world| world.hold_lock(true)),
        ("awake", |world| world.beat()),
    ];
    for (name, act) in acts {
        simulate(55, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(2)).await;
            world.hang_agent(DEACON, true);
            let stuck = world.state().beat_at.unwrap() + mins(30) - world.time();
            world.pass(stuck - secs(20)).await;
            world.hang_after(1, "find"); // it was decided, and is probed once more
            world.pass(mins(1)).await;
            assert_eq!(
                supervisor.agent("deacon").await.state,
                "starting",
                "{name}: it is about to be replaced"
            );
            act(&world);
            world.pass(millis(1)).await;
            world.release("find");
            world.pass(mins(10)).await;
            assert_eq!(world.state().ended(DEACON).len(), 0, "{name}");
        });
    }
}

#[test]
fn a_deacon_that_answers_a_nudge_lives() {
    simulate(41, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.state().nature.wakes_on_nudge = 1.0;
        world.hang_agent(DEACON, true);
        world.pass(mins(60)).await;
        assert_eq!(nudges(&world), 1);
        assert_eq!(world.state().created(DEACON).len(), 1);
    });
}

#[test]
fn a_heartbeat_older_than_the_start_does_not_kill() {
    simulate(42, |world| async move {
        world.beat();
        world.pass(mins(120)).await;
        world.state().nature.beats = 240_000..240_001; // a slow first round
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(60)).await;
        assert_eq!(world.state().ended(DEACON).len(), 0);
        assert_eq!(world.state().created(DEACON).len(), 1);
        assert_eq!(nudges(&world), 0);
    });
}

#[test]
fn a_deacon_somebody_else_started_has_its_grace_too() {
    simulate(43, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pause_deacon(true);
        world.crash_agent(DEACON, false);
        world.pass(mins(60)).await;
        world.state().nature.beats = 240_000..240_001;
        world.start_agent(DEACON);
        world.pass(mins(1)).await;
        world.pause_deacon(false);
        world.pass(mins(30)).await;
        assert_eq!(world.state().ended(DEACON).len(), 0);
    });
}

#[test]
fn after_the_machine_slept_no_agent_is_killed() {
    simulate(44, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(7)).await;
        world.jump(SignedDuration::from_hours(9));
        world.pass(mins(60)).await;
        let state = world.state();
        let ours = [DEACON.to_owned(), witness("r"), refinery("r")];
        assert!(
            ours.iter().all(|session| state.ended(session).is_empty() && state.created(session).len() == 1)
        );
    });
}

#[test]
fn a_deacon_that_overslept_is_still_found_out() {
    simulate(45, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.hang_agent(DEACON, true);
        world.jump(SignedDuration::from_hours(9));
        world.pass(mins(4)).await;
        assert_eq!(world.state().ended(DEACON).len(), 0, "grace");
        world.until("its end", mins(6), |state| state.ended(DEACON).len() == 1).await;
    });
}

#[test]
fn a_heartbeat_that_cannot_be_read_kills_no_agent() {
    for content in ["{\"timest", "[]", "{\"timestamp\":\"yesterday\"}"] {
        simulate(46, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.hang_agent(DEACON, true);
            world.write("deacon/heartbeat.json", content);
            world.pass(mins(90)).await;
            assert_eq!(world.state().ended(DEACON).len(), 0);
            assert_eq!(nudges(&world), 0);
            let problems = supervisor.snapshot().await.problems;
            assert!(problems.contains_key("deacon/heartbeat"), "{content}: {problems:?}");
        });
    }
}

#[test]
fn a_paused_deacon_is_left_alone_in_every_way() {
    simulate(47, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(5)).await;
        world.pause_deacon(true);
        world.hang_agent(DEACON, true);
        world.pass(mins(90)).await;
        assert_eq!(world.state().ended(DEACON).len(), 0);
        assert_eq!(nudges(&world), 0);
        let booted = world.state().created(BOOT).len();
        world.crash_agent(DEACON, false);
        world.pass(mins(60)).await;
        assert_eq!(world.state().created(DEACON).len(), 1, "not started");
        assert_eq!(world.state().created(BOOT).len(), booted, "no boot");
        let agent = supervisor.agent("deacon").await;
        assert_eq!(agent.reason.as_deref(), Some("deacon is paused: maintenance"));
        world.pause_deacon(false);
        world.until("its start", secs(5), |state| state.lives(DEACON)).await;
    });
}

#[test]
fn a_pause_file_that_cannot_be_read_may_say_paused() {
    simulate(48, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.write(".runtime/deacon/paused.json", "{\"pau");
        world.crash_agent(DEACON, false);
        world.pass(mins(30)).await;
        assert_eq!(world.state().created(DEACON).len(), 1);
        world.remove(".runtime/deacon/paused.json");
        world.until("its start", mins(4), |state| state.lives(DEACON)).await;
    });
}

#[test]
fn boot_is_not_made_while_the_deacon_is_well() {
    simulate(50, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(240)).await;
        assert_eq!(world.state().created(BOOT).len(), 1, "only before the deacon's first heartbeat");
    });
}

#[test]
fn boot_checks_a_quiet_deacon_every_heartbeat_but_no_more() {
    simulate(51, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        world.hang_agent(DEACON, true);
        world.pass(mins(25)).await;
        let made = world.state().created(BOOT);
        assert!((6..=9).contains(&made.len()), "{made:?}");
        assert!(made.windows(2).all(|pair| pair[1] - pair[0] >= mins(2)), "cooldown: {made:?}");
    });
}

#[test]
fn a_running_boot_is_left_alone_until_it_is_too_old() {
    simulate(52, |world| async move {
        world.state().nature.boot_works = 3_600_000..3_600_001;
        let _supervisor = town(&world, &["r"]).await;
        world.hang_agent(DEACON, true);
        world.until("its replacement", mins(20), |state| state.created(BOOT).len() == 2).await;
        let state = world.state();
        let made = state.created(BOOT);
        assert!(made[1] - made[0] >= mins(10), "{made:?}");
        assert_eq!(state.ended(BOOT).len(), 1);
    });
}

#[test]
fn boot_can_be_disabled() {
    simulate(53, |world| async move {
        world.write("settings/supervisor.json", r#"{"boot":{"enabled":false}}"#);
        let _supervisor = town(&world, &["r"]).await;
        world.hang_agent(DEACON, true);
        world.pass(mins(25)).await;
        assert_eq!(world.state().created(BOOT).len(), 0);
    });
}
