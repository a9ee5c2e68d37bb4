//! Only an agent that was seen alive can die; a death is reported once, whichever owner the agent has by then.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{all_up, town, world::*};

/// How often each polecat's crash was reported: log line, event, `gt log crash`.
fn told(world: &World, name: &str) -> [usize; 3] {
    let session = polecat("r", name);
    let of_it = |event: &&Value| event["payload"]["session"] == session;
    [
        world.logged(&format!("CRASH DETECTED: polecat r/{name} ")).len(),
        world.events("session_death").iter().filter(of_it).count(),
        world.state().crashes_of(&session).len(),
    ]
}

fn nobody_died(world: &World, name: &str) {
    assert_eq!(world.events("session_death"), Vec::<Value>::new(), "{name}");
    assert_eq!(world.events("mass_death"), Vec::<Value>::new(), "{name}");
    assert_eq!(world.logged("CRASH DETECTED").len(), 0, "{name}");
    assert_eq!(world.state().crash_logs.len(), 0, "{name}");
}

/// Nobody was restarted, as far as counts go.
async fn nothing_counts(supervisor: &Supervisor, name: &str) {
    for agent in supervisor.snapshot().await.agents {
        let last_end = supervisor.last_end(&agent.identity).await;
        assert_eq!((agent.restarts, last_end), (0, None), "{name}: {agent:#?}");
    }
}

#[test]
fn what_was_never_seen_alive_is_started_and_has_not_died() {
    simulate(480, |world| async move {
        world.set_rigs(&["r"]);
        for n in 0..12 {
            world.add_polecat("r", &format!("p{n}"), &format!("r-p{n}"));
        }
        let supervisor = world.supervisor().await;
        all_up(&world, &["r"], mins(2)).await;
        let up = |state: &State| (0..12).all(|n| state.lives(&polecat("r", &format!("p{n}"))));
        world.until("all polecats", mins(5), up).await;
        world.pass(mins(1)).await;
        nobody_died(&world, "first start");
        nothing_counts(&supervisor, "first start").await;
    });
}

#[test]
fn restored_shells_are_no_agents() {
    simulate(481, |world| async move {
        world.set_rigs(&["r"]);
        let mut sessions = vec![DEACON.to_owned(), witness("r"), refinery("r")];
        for n in 0..3 {
            world.add_polecat("r", &format!("p{n}"), &format!("r-p{n}"));
            sessions.push(polecat("r", &format!("p{n}")));
        }
        world.state().nature.stillborn = sessions.clone();
        sessions.iter().for_each(|session| world.start_agent(session));
        world.state().nature.stillborn.clear();
        let supervisor = world.supervisor().await;
        world.pass(secs(30)).await;
        for agent in supervisor.snapshot().await.agents {
            if agent.role != "boot" {
                assert_eq!(agent.state, "unknown", "{agent:#?}");
            }
        }
        let up = |state: &State| sessions.iter().all(|session| state.lives(session));
        world.until("all of them", mins(6), up).await;
        world.pass(mins(1)).await;
        nobody_died(&world, "restored shells");
        nothing_counts(&supervisor, "restored shells").await;
    });
}

#[test]
fn one_supervisor_after_the_other_reports_a_death_once() {
    simulate(482, |world| async move {
        let names: Vec<String> = (0..7).map(|n| format!("p{n}")).collect();
        let mut supervisor = town(&world, &["r"]).await;
        names.iter().for_each(|name| drop(world.polecat_at_work("r", name)));
        world.pass(mins(5)).await;
        // They cannot be started again.
        world.state().nature.stillborn = names.iter().map(|name| polecat("r", name)).collect();
        names.iter().for_each(|name| world.crash_agent(&polecat("r", name), false));
        for life in 0..3 {
            world.pass(secs(8 + 40 * life)).await;
            supervisor.vanish().await;
            world.pass(secs(2)).await;
            supervisor = world.supervisor().await;
        }
        world.pass(mins(3)).await;
        for name in &names {
            assert_eq!(told(&world, name), [1, 1, 1], "{name}");
        }
        assert_eq!(world.events("session_death").len(), 7);
    });
}

#[test]
fn killed_at_any_moment_between_report_and_repair() {
    let mut counts: BTreeMap<[usize; 3], usize> = BTreeMap::new();
    let moments = (4_900..5_400).step_by(20).chain((0..40).map(|n| 5_000 + n));
    let report = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for (seed, at) in (4_830..).zip(moments) {
        let report = report.clone();
        simulate(seed, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.state().git_takes = millis(300);
            world.polecat_at_work("r", "Toast");
            world.pass(mins(5)).await;
            // So that a write is in progress now and then.
            world.state().weather = Weather { slow: 0.2, was_bad: true, ..Weather::default() };
            world.crash_agent(&polecat("r", "Toast"), false);
            world.pass(Duration::from_millis(at)).await;
            supervisor.vanish().await;
            world.state().weather.slow = 0.0;
            let supervisor = world.supervisor().await;
            world.until("its restart", mins(4), |state| state.lives(&polecat("r", "Toast"))).await;
            world.pass(mins(5)).await;
            assert_eq!(supervisor.agent("r/polecats/Toast").await.state, "alive");
            let told = told(&world, "Toast");
            assert!(told.iter().all(|times| *times <= 1), "killed after {at} ms: {told:?}");
            report.lock().unwrap().push(told);
        });
    }
    for told in report.lock().unwrap().iter() {
        *counts.entry(*told).or_default() += 1;
    }
    assert!(counts[&[1, 1, 1]] * 2 > counts.values().sum::<usize>(), "it is also reported: {counts:?}");
}

#[test]
fn one_that_died_while_no_supervisor_ran_died() {
    simulate(484, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.polecat_at_work("r", "Toast");
        world.polecat_at_work("r", "Nux");
        world.pass(mins(1)).await;
        supervisor.stop().await;
        world.crash_agent(&polecat("r", "Toast"), false);
        world.pass(mins(1)).await;
        let _supervisor = world.supervisor().await;
        world.pass(mins(5)).await;
        assert_eq!(told(&world, "Toast"), [1, 1, 1], "it was seen alive");
        assert_eq!(told(&world, "Nux"), [0, 0, 0], "taken over");
    });
}

#[test]
fn a_polecat_that_dies_soon_after_its_sling_is_back_in_seconds() {
    // The last change of its bead is 23 s after the sling, and nothing reads it after that.
    for (name, dies) in [("while it is slung", 10), ("right after", 24), ("soon after", 40), ("later", 90)] {
        simulate(485, |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            world.sling("r", "Toast", "r-77", 1);
            world.pass(secs(dies)).await;
            let died = world.time();
            world.crash_agent(&polecat("r", "Toast"), false);
            world.until("its restart", mins(6), |state| state.lives(&polecat("r", "Toast"))).await;
            let took = world.time() - died;
            // One that dies while it is slung has a bead that changes after its end: a command may still be
            // running.
            assert!(dies == 10 || took < secs(8), "{name}: {took:?}");
            world.pass(mins(1)).await;
            let once = [1, 1, 1];
            assert!(dies == 10 || told(&world, "Toast") == once, "{name}: {:?}", told(&world, "Toast"));
        });
    }
}

#[test]
fn a_tmux_server_that_dies_while_agents_start_is_one_cause_for_all_and_counts_as_no_restart() {
    let reported = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    // From right after the first session was created until all had their instructions.
    for at in [1, 20, 90, 150, 350, 600, 1_100, 2_000, 3_500] {
        for appears in [300, 3_000] {
            let reported = reported.clone();
            simulate(486, |world| async move {
                world.set_rigs(&["a", "b"]);
                world.state().nature.appears = appears..appears + 1;
                let supervisor = world.supervisor().await;
                world.until("the first", secs(5), |state| !state.sessions.is_empty()).await;
                world.pass(millis(at)).await;
                world.kill_server();
                all_up(&world, &["a", "b"], mins(2)).await;
                world.pass(mins(2)).await;
                let name = format!("killed after {at} ms, agents appear after {appears} ms");
                let deaths = world.events("session_death");
                reported.fetch_add(deaths.len(), std::sync::atomic::Ordering::Relaxed);
                for event in deaths {
                    assert_eq!(event["payload"]["reason"], "tmux server died", "{name}");
                }
                for event in world.events("mass_death") {
                    assert_eq!(event["payload"]["possible_cause"], "tmux server died", "{name}");
                }
                for agent in supervisor.snapshot().await.agents {
                    assert_eq!(agent.restarts, 0, "{name}: {agent:#?}");
                }
                assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{name}");
            });
        }
    }
    assert!(reported.load(std::sync::atomic::Ordering::Relaxed) > 0, "no death was reported at all");
}
