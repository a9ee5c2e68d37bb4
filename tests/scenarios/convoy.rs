//! Convoys, beside everything else that a supervisor does.

use std::time::Duration;

use crate::world::*;

#[test]
fn a_convoy_is_closed_a_moment_after_its_last_bead() {
    simulate(840, |world| async move {
        let supervisor = crate::town(&world, &["alpha"]).await;
        world.convoy("hq-cv-1", &["alpha-1", "alpha-2"]);
        world.close("alpha-1");
        world.pass(secs(10)).await;
        assert_eq!(world.state().convoys.open.len(), 1);
        world.close("alpha-2");
        world.until("its end", secs(3), |state| state.convoys.open.is_empty()).await;
        let took = supervisor.stop().await;
        assert!(took < millis(400), "{took:?}");
    });
}

#[test]
fn a_gt_that_hangs_on_convoys_holds_up_nothing() {
    simulate(841, |world| async move {
        let supervisor = crate::town(&world, &["alpha"]).await;
        world.hang("convoy");
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.close("alpha-1");
        world.until("the check", secs(7), |state| !state.convoys.checks.is_empty()).await;
        world.crash_agent(&witness("alpha"), false);
        let crashed = world.time();
        world
            .until("the witness", secs(10), |state| state.appeared(&witness("alpha"), crashed + secs(10)))
            .await;
        supervisor.snapshot().await;
        let took = supervisor.stop().await;
        assert!(took < millis(400), "{took:?}");
    });
}

#[test]
fn the_watcher_crashes_and_nothing_is_doubled() {
    simulate(842, |world| async move {
        let supervisor = crate::town(&world, &["alpha"]).await;
        world.convoy("hq-cv-1", &["alpha-1", "alpha-2"]);
        world.close("alpha-1");
        world.pass(secs(30)).await;
        let checks = world.state().convoys.checks.len();
        world.hang("convoy");
        world.close("alpha-2");
        world.until("another check", secs(10), |state| state.convoys.checks.len() > checks).await;
        supervisor.crash("convoy").await;
        world.release("convoy");
        // Its successor sees both again.
        world.until("the end of the convoy", secs(10), |state| state.convoys.open.is_empty()).await;
        let town = supervisor.snapshot().await;
        assert_eq!(town.convoys["closes_seen"], 2);
    });
}

#[test]
fn killed_and_started_again_what_was_missed_is_made_up_for() {
    simulate(843, |world| async move {
        let supervisor = crate::town(&world, &["alpha"]).await;
        world.convoy("hq-cv-1", &["alpha-1"]);
        supervisor.vanish().await;
        world.close("alpha-1");
        world.pass(mins(1)).await;
        let _supervisor = world.supervisor().await;
        world.until("its end", secs(10), |state| state.convoys.open.is_empty()).await;
    });
}

#[test]
fn the_settings_switch_it_off() {
    simulate(844, |world| async move {
        let _supervisor = crate::town(&world, &["alpha"]).await;
        world.write("settings/supervisor.json", r#"{"convoy": {"enabled": false}}"#);
        world.pass(secs(5)).await;
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.close("alpha-1");
        world.pass(mins(10)).await;
        assert!(world.state().convoys.checks.is_empty());
        world.write("settings/supervisor.json", r#"{"convoy": {"enabled": true}}"#);
        world.until("its end", secs(10), |state| state.convoys.open.is_empty()).await;
    });
}

/// Everything goes wrong for a while, and every convoy whose beads are closed is closed in the end.
#[test]
fn storms() {
    for seed in 850..862 {
        simulate(seed, |world| async move {
            let supervisor = world.supervisor().await;
            for number in 0..60 {
                mischief(&world, &supervisor, number).await;
                let pause = world.state().rng.u64(100..40_000);
                world.pass(millis(pause)).await;
            }
            calm(&world);
            world.pass(mins(7)).await;
            let state = world.state();
            let open: Vec<_> = state
                .convoys
                .open
                .iter()
                .filter(|(_, tracks)| tracks.is_subset(&state.convoys.closed))
                .collect();
            assert!(open.is_empty(), "complete and not closed: {open:?}");
            let busiest = state.convoys.checks.windows(2).map(|two| two[1] - two[0]).min();
            assert!(busiest.is_none_or(|apart| apart >= Duration::from_millis(900)), "{busiest:?}");
        });
    }
}

async fn mischief(world: &World, supervisor: &Supervisor, number: u32) {
    let (jitter, bead) = {
        let mut state = world.state();
        (state.rng.u32(..20), state.rng.u32(..number + 1))
    };
    let id = |number: u32| format!("gt-{number}");
    match jitter {
        0..5 => world.convoy(&format!("hq-cv-{number}"), &[&id(number), &id(bead)]),
        5..13 => world.close(&id(bead)),
        13 | 14 => supervisor.crash(if bead % 3 == 0 { "root" } else { "convoy" }).await,
        15 => world.state().bead_files = [BeadFiles::None, BeadFiles::Opaque][bead as usize % 2],
        16 => {
            let database = [Database::Missing, Database::Unreadable("it is locked")][bead as usize % 2];
            world.state().convoys.database = database;
        }
        17 => world.hang(["convoy", "bd list"][bead as usize % 2]),
        18 => world.fail(["convoy", "bd list"][bead as usize % 2], true),
        _ => calm(world),
    }
}

fn calm(world: &World) {
    for call in ["convoy", "bd list"] {
        world.release(call);
        world.fail(call, false);
    }
    let mut state = world.state();
    state.convoys.database = Database::default();
    state.bead_files = BeadFiles::Readable;
}
