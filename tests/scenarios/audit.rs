//! Work without progress is mailed once for each incident, whichever actor reports it and however often the
//! supervisor restarts.

use crate::{town, world::*};

const NAME: &str = "Toast";

fn mails(world: &World) -> Vec<String> {
    world.state().mails.iter().map(|(_, _, subject)| subject.clone()).collect()
}

/// A polecat crashes and its program is gone: it cannot be brought back.
fn crash_for_good(world: &World) {
    world.state().programs.remove("claude");
    world.crash_agent(&polecat("r", NAME), false);
}

#[test]
fn a_crash_that_was_mailed_is_not_mailed_by_the_next_supervisor() {
    let crashed = "CRASHED_POLECAT: r/Toast restart failed";
    for stopped_in_order in [true, false] {
        simulate(740, |world| async move {
            world.state().git_takes = millis(10);
            let mut supervisor = town(&world, &["r"]).await;
            world.polecat_at_work("r", NAME);
            world.pass(mins(5)).await;
            crash_for_good(&world);
            world.pass(mins(1)).await;
            assert_eq!(mails(&world), [crashed], "{stopped_in_order}");
            for _ in 0..2 {
                if stopped_in_order {
                    supervisor.stop().await;
                } else {
                    supervisor.vanish().await;
                }
                supervisor = world.supervisor().await;
                world.pass(mins(20)).await;
                assert_eq!(mails(&world), [crashed], "{stopped_in_order}: the same incident");
            }
            world.state().programs.insert("claude".to_owned());
            supervisor.until_agent("r/polecats/Toast", "alive", mins(2)).await;
            world.pass(mins(5)).await;
            crash_for_good(&world);
            world.pass(mins(5)).await;
            assert_eq!(mails(&world), [crashed; 2], "{stopped_in_order}: it was well in between");
        });
    }
}

/// The mails about stalled work.
fn gupps(world: &World) -> usize {
    mails(world)
        .iter()
        .filter(|subject| subject.starts_with("GUPP_VIOLATION: r-r-polecat-Toast stuck for "))
        .count()
}

#[test]
fn a_polecat_that_stalls_is_mailed_once_until_it_makes_progress_with_any_supervisor() {
    simulate(741, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.polecat_at_work("r", NAME);
        world.pass(mins(29)).await;
        assert_eq!(gupps(&world), 0);
        world.pass(mins(6)).await;
        assert_eq!(gupps(&world), 1);
        supervisor.vanish().await;
        let supervisor = world.supervisor().await;
        world.pass(mins(30)).await;
        assert_eq!(gupps(&world), 1, "nothing has changed");
        world.edit_bead(&agent_bead("r", NAME), |_| {});
        world.pass(mins(29)).await;
        assert_eq!(gupps(&world), 1, "it gets on");
        world.pass(mins(6)).await;
        assert_eq!((gupps(&world), mails(&world).len()), (2, 2), "it stalls again");
        let problems = supervisor.snapshot().await.problems;
        assert_eq!(problems.keys().collect::<Vec<_>>(), ["rig/r/r/polecats/Toast/stalled"], "{problems:?}");
        world.edit_bead(&agent_bead("r", NAME), |_| {});
        world.pass(mins(6)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn no_mail_about_a_rig_that_is_parked_or_while_nothing_is_known() {
    type Act = fn(&World);
    let cases: [(&str, Act); 3] = [
        ("parked", |world| world.write_wisp("r", r#""status":"parked""#)),
        ("bd fails", |world| world.fail("bd", true)),
        ("bd hangs", |world| world.hang("bd")),
    ];
    for (name, act) in cases {
        simulate(742, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.polecat_at_work("r", NAME);
            world.pass(mins(20)).await;
            act(&world);
            world.pass(mins(60)).await;
            assert_eq!(mails(&world), [""; 0], "{name}");
        });
    }
}

#[test]
fn while_the_machine_sleeps_no_polecat_stalls() {
    for (name, hours, expected) in [("it slept", 5, 0), ("it did not", 0, 1)] {
        simulate(745, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.polecat_at_work("r", NAME);
            // Its bead was changed just before, and is changed a while after.
            world.edit_bead(&agent_bead("r", NAME), |_| {});
            world.pass(mins(20)).await;
            world.jump(jiff::SignedDuration::from_hours(hours));
            world.pass(mins(25)).await;
            assert_eq!(gupps(&world), expected, "{name}");
            world.edit_bead(&agent_bead("r", NAME), |_| {});
            world.pass(mins(25)).await;
            assert_eq!(gupps(&world), expected, "{name}, and it gets on");
            world.pass(mins(15)).await;
            assert_eq!(gupps(&world), expected + 1, "{name}, and then it stalls");
        });
    }
}

#[test]
fn a_gt_that_hangs_after_its_work_makes_no_storm_of_mails() {
    simulate(746, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.polecat_at_work("r", NAME);
        world.hang("send");
        world.pass(mins(31) + mins(40)).await;
        let sends = world.trace().iter().filter(|line| line.contains("run `gt mail send")).count();
        assert_eq!(sends, 1, "perhaps it went out, so it is not sent again");
        assert!(supervisor.snapshot().await.problems["mail/send"].contains("was perhaps not sent"));
    });
}
