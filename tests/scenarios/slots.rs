//! Start slots: which start is next, and that no start waits for another one's remote.

use std::time::Duration;

use crate::{town, world::*};

/// When a line of the log first said this.
fn said(world: &World, text: &str) -> Option<Duration> {
    world.logged(text).first().copied()
}

#[test]
fn fifty_polecats_found_dead_are_back_soon() {
    simulate(720, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.state().git_takes = millis(200);
        let names: Vec<String> = (0..50).map(|n| format!("p{n:02}")).collect();
        for name in &names {
            world.add_polecat("r", name, &work_of("r", name));
        }
        let up = |name: &String| said(&world, &format!("r/polecats/{name}: started in"));
        let begun = world.time();
        while names.iter().any(|name| up(name).is_none()) {
            assert!(world.time() - begun < mins(10), "all are back");
            world.pass(secs(1)).await;
        }
        // They were not seen alive, so no crash is reported: the next heartbeat finds them dead, and
        // `polecats.confirm` is 5 s.
        let beat = world.logged("Heartbeat starting").into_iter().find(|at| *at >= begun).unwrap();
        for name in &names {
            let took = up(name).unwrap().saturating_sub(beat + secs(5));
            assert!(took <= secs(12), "{name} is back {took:?} after its confirmation");
        }
        assert_eq!(most_starting(&world, &names), 4, "start.max_concurrent");
    });
}

/// How many sessions were made and had no agent in them yet, at most.
fn most_starting(world: &World, names: &[String]) -> usize {
    let state = world.state();
    let appears = millis(state.nature.appears.start);
    let made: Vec<Duration> = names.iter().flat_map(|name| state.created(&polecat("r", name))).collect();
    let at = |now: Duration| made.iter().filter(|at| **at <= now && now < **at + appears).count();
    made.iter().map(|now| at(*now)).max().unwrap_or_default()
}

#[test]
fn a_remote_that_does_not_answer_delays_no_other_start() {
    simulate(721, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        let polecats: Vec<String> = (0..6).map(|n| world.polecat_at_work("r", &format!("p{n}"))).collect();
        world.pass(mins(5)).await;
        world.state().git_takes = mins(10);
        for session in &polecats {
            world.crash_agent(session, false);
        }
        world.pass(secs(15)).await;
        assert!(
            polecats.iter().all(|session| world.state().created(session).is_empty()),
            "they wait for the remote"
        );
        for session in [DEACON.to_owned(), witness("r")] {
            world.crash_agent(&session, false);
            world.until(&session, secs(8), |state| state.created(&session).len() == 2).await;
        }
        world.until("the polecats", mins(10), |state| polecats.iter().all(|it| state.lives(it))).await;
    });
}

#[test]
fn what_the_town_depends_on_is_started_first() {
    simulate(722, |world| async move {
        world.write(
            "settings/supervisor.json",
            r#"{"start":{"max_concurrent":1},"deaths":{"threshold":100}}"#,
        );
        let _supervisor = town(&world, &["r"]).await;
        let polecats: Vec<String> = (0..3).map(|n| world.polecat_at_work("r", &format!("p{n}"))).collect();
        world.pass(mins(5)).await;
        world.state().nature.appears = 15_000..15_001;
        world.state().git_takes = millis(10);
        for session in &polecats {
            world.crash_agent(session, false);
        }
        world
            .until("a polecat's start", secs(8), |state| {
                polecats.iter().any(|it| state.sessions.contains_key(it))
            })
            .await;
        let (witness, refinery) = (witness("r"), refinery("r"));
        for session in [&*refinery, &*witness, DEACON] {
            world.crash_agent(session, false);
            world.pass(secs(2)).await;
        }
        world.until("all", mins(3), |state| polecats.iter().all(|it| state.lives(it))).await;
        let state = world.state();
        let last = |session: &str| state.created(session).last().copied().unwrap();
        let others = polecats.iter().map(|it| last(it)).collect::<Vec<_>>();
        assert!(last(DEACON) < last(&witness) && last(&witness) < last(&refinery));
        // While the refinery's worktree is brought up to date it holds no slot, so that no start waits for a
        // remote; the first of the polecats takes the slot, and has its agent before the refinery has a slot again.
        // The others come last.
        let refinery_is_next = state.created(&witness)[1] + secs(15);
        let mut others: Vec<Duration> = others;
        others.sort();
        assert!(others[0] < last(DEACON), "it had a place before the others died: {others:?}");
        assert!(
            others[1] > refinery_is_next && others[1] < refinery_is_next + secs(2),
            "it takes the refinery's place: {others:?} {refinery_is_next:?}"
        );
        assert!(others[2] > last(&refinery), "whoever had no place yet comes last: {others:?}");
    });
}
