//! Mass deaths: one alert and one follow-up, and paced restarts; and what is no mass death.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{all_up, town, world::*};

/// The `mass_death` events: the sessions each names, in its order, and its cause.
fn alerts(world: &World) -> Vec<(Vec<String>, Value)> {
    let events = world.events("mass_death");
    let names = |event: &Value| {
        let sessions = event["payload"]["sessions"].as_array().unwrap();
        let sessions: Vec<String> = sessions.iter().map(|it| it.as_str().unwrap().to_owned()).collect();
        assert_eq!(event["payload"]["count"], sessions.len(), "{event}");
        sessions
    };
    events.iter().map(|event| (names(event), event["payload"]["possible_cause"].clone())).collect()
}

/// All that the alerts name, each once.
fn named(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (sessions, _) in alerts(world) {
        for session in sessions {
            assert!(all.insert(session.clone()), "{session} is named twice");
        }
    }
    all
}

/// No alert and no death was reported.
fn nothing_reported(world: &World, name: &str) {
    assert_eq!(world.events("mass_death"), Vec::<Value>::new(), "{name}");
    assert_eq!(world.events("session_death"), Vec::<Value>::new(), "{name}");
    assert_eq!(world.logged("MASS DEATH").len(), 0, "{name}");
}

/// A town of these rigs, each with this many working polecats; returns all supervised sessions except boot's.
async fn working_town(world: &World, rigs: &[&str], polecats: usize) -> (Supervisor, BTreeSet<String>) {
    world.state().git_takes = millis(10);
    let supervisor = town(world, rigs).await;
    for rig in rigs {
        for n in 0..polecats {
            world.polecat_at_work(rig, &format!("p{n}"));
        }
    }
    world.pass(mins(5)).await;
    let all = world.state().sessions.keys().filter(|name| *name != BOOT).cloned().collect();
    (supervisor, all)
}

#[test]
fn the_tmux_server_dies_and_the_alert_has_its_cause() {
    simulate(460, |world| async move {
        let (supervisor, all) = working_town(&world, &["a", "b"], 2).await;
        assert_eq!(all.len(), 9);
        let died = world.time();
        world.kill_server();
        world.pass(millis(1_500)).await;
        assert_eq!(alerts(&world), [], "it settles");
        assert_eq!(supervisor.snapshot().await.deaths["paced"], true);
        world.pass(secs(2)).await;
        let first = alerts(&world);
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(first[0].0.len(), 5, "all but the polecats, which are confirmed later: {first:?}");
        assert_eq!(first[0].1, "tmux server died");
        let back = |state: &State| all.iter().all(|session| state.lives(session));
        world.until("all of them", secs(25), back).await;
        all_up(&world, &["a", "b"], secs(1)).await;
        world.pass(mins(5)).await;
        let told = alerts(&world);
        assert_eq!(told.len(), 2, "one follow-up: {told:?}");
        assert_eq!(told[1].1, "tmux server died");
        assert_eq!(named(&world), all, "together they name everybody");
        assert_eq!(world.logged("MASS DEATH DETECTED").len(), 2);
        assert_eq!(world.events("session_death").len(), 9, "each death is told");
        let gaps = gaps(&world, &all, died);
        assert_eq!(gaps.len(), 8, "each came back once");
        // The first two deaths are no mass death yet.
        assert!(gaps[2..].iter().all(|gap| *gap >= secs(2) - millis(150)), "{gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= secs(6)), "{gaps:?}");
        let deaths = supervisor.snapshot().await.deaths;
        assert_eq!(deaths["last"]["sessions"].as_array().unwrap().len(), 9);
    });
}

/// The times between the restarts of these sessions.
fn gaps(world: &World, sessions: &BTreeSet<String>, since: Duration) -> Vec<Duration> {
    let state = world.state();
    let mut made: Vec<Duration> = sessions.iter().flat_map(|session| state.created(session)).collect();
    made.retain(|at| *at > since);
    made.sort_unstable();
    made.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn a_hundred_that_die_at_once_are_all_named() {
    // A call of `bd` in a town that is not small takes a while, and there is one at a time.
    for bd in [50, 150] {
        simulate(461, |world| async move {
            world.state().bd_takes = millis(bd);
            let rigs: Vec<String> = (0..11).map(|n| format!("r{n:02}")).collect();
            let rigs: Vec<&str> = rigs.iter().map(String::as_str).collect();
            let (supervisor, all) = working_town(&world, &rigs, 7).await;
            assert_eq!(all.len(), 100);
            for session in &all {
                world.crash_agent(session, false);
            }
            world.pass(millis(3_500)).await;
            let first = alerts(&world);
            assert_eq!(first.len(), 1, "{first:?}");
            assert!(first[0].0.len() >= 23, "all but the polecats: {first:?}");
            world.pass(secs(60)).await;
            assert_eq!(alerts(&world).len(), 2, "bd takes {bd} ms: {:?}", alerts(&world));
            assert_eq!(named(&world), all, "bd takes {bd} ms");
            let back = |state: &State| all.iter().all(|session| state.lives(session));
            world.until("all of them", mins(5), back).await;
            world.pass(mins(5)).await;
            assert_eq!(alerts(&world).len(), 2, "and no more");
            assert_eq!(supervisor.snapshot().await.deaths["paced"], false);
        });
    }
}

#[test]
fn what_an_operator_takes_down_is_no_mass_death() {
    let rigs = ["a", "b"];
    for (name, line) in
        [("the lock is held", None), ("rig stop", Some("gt rig stop a b")), ("stop", Some("gt stop --all"))]
    {
        simulate(462, |world| async move {
            let (_supervisor, all) = working_town(&world, &rigs, 3).await;
            let made = |world: &World| -> usize {
                let state = world.state();
                all.iter().map(|session| state.created(session).len()).sum()
            };
            let before = made(&world);
            match line {
                None => world.take_down(mins(9)),
                Some(line) => {
                    world.gt(line, TOWN, millis(900));
                    let theirs = all.iter().filter(|session| *session != DEACON || line.contains("--all"));
                    for (session, at) in theirs.cloned().zip((300..).step_by(13)) {
                        world.after(millis(at), move |world| world.end_session(&session, line));
                    }
                }
            }
            world.pass(mins(9) - secs(10)).await;
            nothing_reported(&world, name);
            assert_eq!(made(&world), before, "{name}: nobody was started");
        });
    }
}

#[test]
fn two_and_boot_are_two() {
    simulate(463, |world| async move {
        let (supervisor, _) = working_town(&world, &["a"], 0).await;
        world.state().nature.boot_works = 600_000..600_001;
        world.hang_agent(DEACON, true); // one that beats needs no boot
        world.until("boot", mins(12), |state| state.lives(BOOT)).await;
        for session in [BOOT.to_owned(), witness("a"), refinery("a")] {
            world.crash_agent(&session, false);
        }
        world.pass(mins(1)).await;
        assert_eq!(alerts(&world), []);
        assert_eq!(world.events("session_death").len(), 2);
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        assert_eq!(supervisor.snapshot().await.deaths["paced"], false);
    });
}

#[test]
fn those_a_new_supervisor_finds_missing_died_at_an_unknown_time() {
    for (name, leaves_shell) in [("sessions gone", false), ("shells left", true)] {
        simulate(464, |world| async move {
            let (supervisor, all) = working_town(&world, &["a", "b"], 1).await;
            supervisor.vanish().await;
            for session in &all {
                world.crash_agent(session, leaves_shell);
            }
            world.pass(secs(1)).await;
            let supervisor = world.supervisor().await;
            let back = |state: &State| all.iter().all(|session| state.lives(session));
            world.until(name, secs(20), back).await;
            world.pass(mins(2)).await;
            assert_eq!(alerts(&world), [], "{name}");
            assert_eq!(supervisor.snapshot().await.deaths["in_window"], 0, "{name}");
        });
    }
}

#[test]
fn one_that_we_replace_does_not_count() {
    simulate(465, |world| async move {
        let (_supervisor, _) = working_town(&world, &["a"], 0).await;
        world.hang_agent(DEACON, true);
        world.until("the deacon's end", mins(40), |state| !state.ended(DEACON).is_empty()).await;
        for session in [witness("a"), refinery("a")] {
            world.crash_agent(&session, false);
        }
        world.pass(mins(1)).await;
        assert_eq!(alerts(&world), []);
        assert_eq!(world.events("session_death").len(), 2, "the witness and the refinery");
        assert!(world.state().lives(DEACON));
    });
}

#[test]
fn the_same_one_three_times_is_one() {
    simulate(466, |world| async move {
        world.write("settings/supervisor.json", r#"{"restart":{"initial_backoff":"1s"}}"#);
        let (_supervisor, _) = working_town(&world, &["a"], 0).await;
        for restarts in 2..=4 {
            world.crash_agent(&witness("a"), false);
            world.until("a restart", secs(9), |state| state.created(&witness("a")).len() == restarts).await;
            world.pass(secs(2)).await;
        }
        world.pass(mins(1)).await;
        assert_eq!(alerts(&world), []);
    });
}

#[test]
fn the_death_windows_actor_crashes_and_all_is_reported_once() {
    for after in [0, 500, 1_000, 1_004, 1_010, 1_100, 3_000, 6_000, 30_000, 36_900, 37_100] {
        simulate(467, |world| async move {
            let (supervisor, all) = working_town(&world, &["a"], 2).await;
            world.kill_server();
            world.pass(millis(after)).await;
            supervisor.crash("deaths").await;
            world.pass(mins(2)).await;
            assert_eq!(alerts(&world).len(), 2, "after {after} ms: {:?}", alerts(&world));
            assert_eq!(named(&world), all, "after {after} ms");
        });
    }
}

/// How often each crash of these polecats of rig `r` was reported: log line, event, `gt log crash`.
fn crashes_reported(world: &World, polecats: usize) -> BTreeSet<[usize; 3]> {
    let told = |name: String| {
        let session = polecat("r", &name);
        let of_it = |event: &&Value| event["payload"]["session"] == session;
        [
            world.logged(&format!("CRASH DETECTED: polecat r/{name} ")).len(),
            world.events("session_death").iter().filter(of_it).count(),
            world.state().crashes_of(&session).len(),
        ]
    };
    (0..polecats).map(|n| told(format!("p{n}"))).collect()
}

#[test]
fn crashes_while_somebody_works_on_somebody_else_are_crashes() {
    type Others = &'static [&'static str];
    let recorded = ["t01_up", "t22_rig_boot", "t30_sling_new", "t32_sling2", "t34_handoff_deacon"];
    let recorded = recorded.map(|name| (name, Some(name), &[][..]));
    let by_line: [(&str, Option<&str>, Others); 5] = [
        ("doctor", None, &["gt doctor --fix"]),
        ("a sling of another rig", None, &["gt sling gt-1 s"]),
        ("another polecat is nuked", None, &["gt polecat nuke r/other --force"]),
        ("others are stopped", None, &["gt witness stop s", "gt deacon stop"]),
        (
            "several at once",
            None,
            &["gt sling r-1 r", "gt sling r-2 r", "gt doctor", "gt up", "gt rig stop s", "gt done"],
        ),
    ];
    for (name, timeline, lines) in recorded.into_iter().chain(by_line) {
        simulate(463, |world| async move {
            let (_supervisor, _) = working_town(&world, &["r", "s"], 6).await;
            match timeline {
                Some(timeline) => {
                    let work = ["r-none", "r-none"];
                    world.replay(&Timeline::read(timeline).about("r", "newcomer", work), 1);
                }
                None => lines.iter().for_each(|line| {
                    world.gt(line, TOWN, secs(28));
                }),
            }
            world.pass(secs(1)).await;
            let before = world.events("session_death").len();
            for n in 0..6 {
                world.crash_agent(&polecat("r", &format!("p{n}")), false);
            }
            world.pass(millis(5_500)).await;
            assert_eq!(crashes_reported(&world, 6), BTreeSet::from([[1, 1, 1]]), "{name}");
            assert_eq!(world.events("session_death").len() - before, 6, "{name}: nobody else");
            let back = |state: &State| (0..6).all(|n| state.lives(&polecat("r", &format!("p{n}"))));
            world.until("all six, one after the other", secs(12), back).await;
            world.pass(mins(2)).await;
            assert_eq!(named(&world).len(), 6, "{name}: {:?}", alerts(&world));
            assert_eq!(crashes_reported(&world, 6), BTreeSet::from([[1, 1, 1]]), "{name}");
        });
    }
}

#[test]
fn programs_that_cannot_be_run_are_no_deaths() {
    for code in [126, 127] {
        simulate(723, |world| async move {
            let rigs = ["a", "b"];
            world.set_rigs(&rigs);
            let sessions: Vec<String> = rigs.iter().flat_map(|rig| [witness(rig), refinery(rig)]).collect();
            for session in &sessions {
                world.state().nature.cannot_run.insert(session.clone(), code);
            }
            let supervisor = world.supervisor().await;
            world.pass(mins(3)).await;
            for session in &sessions {
                let tries = world.state().created(session).len();
                assert!((2..=7).contains(&tries), "{session} was tried {tries} times");
            }
            let town = supervisor.snapshot().await;
            for agent in town.agents.iter().filter(|agent| sessions.contains(&agent.session)) {
                assert_eq!((agent.state.as_str(), agent.restarts), ("waiting", 0), "{agent:#?}");
                let why =
                    &town.problems[&format!("rig/{0}/{1}/start", agent.rig.clone().unwrap(), agent.identity)];
                assert!(
                    why.contains("/bin/claude cannot be run") && why.contains(&code.to_string()),
                    "{why}"
                );
            }
            let said = |text: &str| world.logged(text).len();
            assert_eq!((said(": died: "), said("session ended while")), (0, 0), "no crash");
            assert!(world.events("session_death").is_empty() && world.events("mass_death").is_empty());
            world.state().nature.cannot_run.clear();
            all_up(&world, &rigs, mins(2)).await;
        });
    }
}
