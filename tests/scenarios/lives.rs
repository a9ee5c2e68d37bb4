//! Agents start, end and are restarted.

use gastown_supervisor::sessions::Fact;
use jiff::SignedDuration;

use crate::{all_up, deeds, town, world::*};

#[test]
fn a_cold_town_of_twenty_rigs_comes_up() {
    simulate(1, |world| async move {
        let rigs: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let rigs: Vec<&str> = rigs.iter().map(String::as_str).collect();
        world.set_rigs(&rigs);
        let supervisor = world.supervisor().await;
        all_up(&world, &rigs, secs(10)).await;
        world.pass(secs(30)).await; // boot ends after a minute
        let town = supervisor.snapshot().await;
        let alive = town.agents.iter().filter(|agent| agent.state == "alive").count();
        assert_eq!(alive, 42, "41 agents and boot: {:#?}", town.agents);
        assert_eq!(world.state().deeds.len(), 42, "each was started once");
        assert_eq!(town.problems, Default::default());
    });
}

#[test]
fn a_death_is_confirmed_and_then_repaired_once() {
    for (name, leaves_shell) in [("session gone", false), ("only a shell left", true)] {
        simulate(2, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await; // a shell so young could still become an agent
            let died = world.time();
            world.crash_agent(&witness("r"), leaves_shell);
            world.hint(); // tmux does not report a shell that was left behind
            world.pass(millis(900)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{name}: not yet");
            world.until("a second start", secs(2), |state| state.created(&witness("r")).len() == 2).await;
            let took = world.time() - died;
            assert!(took >= secs(1) && took < millis(1500), "{name}: {took:?}");
            world.pass(mins(35)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 2, "{name}: once");
            assert_eq!(supervisor.agent("r/witness").await.restarts, 0, "{name}: stable again");
            let events = world.text(".events.jsonl").unwrap();
            assert_eq!(events.matches("agent_restarted").count(), 1, "{name}: {events}");
        });
    }
}

#[test]
fn beside_a_persons_shell_the_agent_is_instructed_and_the_shell_is_not() {
    simulate(5, |world| async move {
        world.state().nature.splits = 1.0;
        let supervisor = town(&world, &["r"]).await;
        let told = |world: &World| world.state().session(&witness("r")).typed.len();
        assert!(told(&world) > 0, "the world tells of what is typed elsewhere");
        // Its agent ends: the rest is the person's, until the session is created again.
        world.pass(mins(5)).await;
        world.crash_agent(&witness("r"), false);
        world.hint();
        world.until("a second start", secs(3), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(secs(20)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
        assert!(told(&world) > 0, "the new one is told too");
    });
}

#[test]
fn one_that_comes_back_by_itself_is_left_alone() {
    simulate(3, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        let before = deeds(&world);
        world.crash_agent(&refinery("r"), false);
        world.after(millis(600), |world| world.start_agent(&refinery("r")));
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), before);
        assert_eq!(supervisor.agent("r/refinery").await.restarts, 0);
        assert_eq!(world.logged("is back by itself").len(), 1);
    });
}

#[test]
fn sessions_that_run_already_are_taken_over() {
    simulate(4, |world| async move {
        world.set_rigs(&["r"]);
        for session in [DEACON.to_owned(), witness("r"), refinery("r")] {
            world.start_agent(&session);
        }
        world.pass(secs(90)).await;
        let _supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        let state = world.state();
        assert_eq!(state.made_by_supervisor(), Vec::<String>::new());
        assert!(state.sessions.values().all(|it| it.typed.is_empty()), "nobody was typed to");
    });
}

#[test]
fn what_the_supervisor_started_is_alive_under_any_name() {
    simulate(7, |world| async move {
        world.state().nature.runs_as.insert(witness("r"), ".claude-unwrapped".to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(10)).await;
        supervisor.vanish().await;
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        assert_eq!(world.state().created(&witness("r")).len(), 1);
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        // What it leaves behind is replaced.
        world.crash_agent(&witness("r"), true);
        world.until("a second start", mins(4), |state| state.created(&witness("r")).len() == 2).await;
    });
}

#[test]
fn who_came_under_an_unlisted_name_is_left_alone_until_only_a_shell_is_there() {
    simulate(8, |world| async move {
        world.set_rigs(&["r"]);
        world.state().nature.runs_as.insert(witness("r"), "bun".to_owned());
        world.start_agent(&witness("r"));
        world.pass(secs(90)).await;
        let supervisor = world.supervisor().await;
        world.pass(mins(20)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!(agent.state, "unknown", "{agent:#?}");
        assert!(agent.reason.as_deref().is_some_and(|why| why.contains("bun (PID ")), "{agent:#?}");
        assert_eq!(supervisor.snapshot().await.problems.len(), 1);
        assert_eq!(world.state().created(&witness("r")).len(), 0);
        assert!(world.state().session(&witness("r")).typed.is_empty());
        assert_eq!(world.logged("r/witness").len(), 1, "told once");
        world.crash_agent(&witness("r"), true);
        world.until("a start", mins(4), |state| state.created(&witness("r")).len() == 1).await;
        world.pass(secs(30)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn a_start_that_hangs_delays_no_other() {
    simulate(5, |world| async move {
        // Three places are taken by agents that never appear; the fourth serves everybody else.
        world.set_rigs(&["a", "b", "c", "d"]);
        world.state().nature.stillborn = vec![DEACON.to_owned(), witness("a"), refinery("b")];
        let supervisor = world.supervisor().await;
        world.pass(secs(1)).await;
        world.state().nature.stillborn.clear();
        world
            .until("all others", secs(10), |state| {
                state.sessions.values().filter(|it| it.live()).count() == 6 + 1
            })
            .await;
        all_up(&world, &["a", "b", "c", "d"], mins(5)).await;
        assert_eq!(supervisor.snapshot().await.agents.len(), 10);
    });
}

#[test]
fn no_more_starts_at_once_than_the_limit() {
    simulate(6, |world| async move {
        world.set_rigs(&["a", "b", "c", "d", "e"]);
        world.state().nature.appears = 10_000..10_001;
        let _supervisor = world.supervisor().await;
        world.pass(secs(9)).await;
        assert_eq!(world.state().sessions.len(), 4, "start.max_concurrent");
        world.pass(secs(30)).await;
        assert_eq!(world.state().sessions.keys().filter(|name| *name != BOOT).count(), 11);
    });
}

#[test]
fn an_agent_that_never_appears_is_a_death_and_not_a_storm() {
    simulate(7, |world| async move {
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        all_up(&world, &["r"], mins(2)).await;
        world.state().nature.never_appears = 1.0;
        world.crash_agent(&witness("r"), false);
        world.pass(mins(20)).await;
        let made = world.state().created(&witness("r"));
        assert!((4..=6).contains(&made.len()), "{made:?}");
        assert!(made.windows(2).skip(2).all(|pair| pair[1] - pair[0] > secs(60)), "{made:?}");
        assert_ne!(supervisor.agent("r/witness").await.state, "alive");
    });
}

#[test]
fn a_program_that_is_not_installed_is_reported_once_and_found_later() {
    simulate(8, |world| async move {
        world.state().programs.remove("claude");
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        assert_eq!(deeds(&world), 0);
        let problems = supervisor.snapshot().await.problems;
        let text = &problems["rig/r/r/witness/start"];
        assert!(text.contains("\"claude\" is not on PATH"), "{text}");
        assert_eq!(world.logged("r/witness cannot be started").len(), 1, "told once");
        assert!(supervisor.alerts().contains(&"missing_program r/witness".to_owned()));
        world.state().programs.insert("claude".to_owned());
        all_up(&world, &["r"], mins(1)).await;
        world.pass(mins(4)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

#[test]
fn the_tmux_server_dies_and_everybody_comes_back() {
    simulate(9, |world| async move {
        let _supervisor = town(&world, &["a", "b"]).await;
        world.kill_server();
        all_up(&world, &["a", "b"], secs(10)).await;
        let state = world.state();
        for session in [DEACON.to_owned(), witness("a"), refinery("b")] {
            assert_eq!(state.created(&session).len(), 2, "{session}");
        }
    });
}

#[test]
fn an_earlier_end_says_nothing_of_when_a_later_one_was_noticed() {
    type Act = fn(&World);
    let ends: [(&str, Act); 2] = [
        ("it died before", |world| world.crash_agent(&witness("r"), false)),
        ("another pane of its session ended", |world| {
            world.split(&witness("r"));
            let shell = world.state().session(&witness("r")).persons_shell.unwrap();
            world.hint();
            world.after(secs(1), move |world| {
                world.report(millis(0), Fact::Exited { pid: shell, exit: Some(0) });
                world.state().sessions.get_mut(&witness("r")).unwrap().persons_shell = None;
            });
        }),
    ];
    for (name, earlier) in ends {
        simulate(12, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            earlier(&world);
            world.pass(mins(40)).await;
            // A shell that is left behind is not reported, and a command is running.
            world.gt("gt sling gt-1 r", TOWN, secs(30));
            world.crash_agent(&witness("r"), true);
            world.hint();
            world.pass(secs(20)).await;
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(agent.state, "confirming", "{name}: {agent:#?}");
            let again = |state: &State| state.lives(&witness("r"));
            world.until("its restart", secs(15), again).await;
        });
    }
}

#[test]
fn a_lost_hint_is_made_up_for_by_the_sweep() {
    simulate(10, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.state().weather.hints = 1.0;
        world.crash_agent(&witness("r"), false);
        let again = |state: &State| state.created(&witness("r")).len() == 2;
        world.until("the sweep of each minute", secs(62), again).await;
    });
}

#[test]
fn a_clock_that_is_set_back_delays_no_start_for_long() {
    simulate(11, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.crash_agent(&witness("r"), false);
        world.until("a restart", secs(3), |state| state.created(&witness("r")).len() == 2).await;
        world.pass(secs(20)).await;
        world.crash_agent(&witness("r"), false); // the next restart waits for half a minute
        world.pass(secs(5)).await;
        world.jump(SignedDuration::from_hours(-5));
        world.until("another restart", mins(15), |state| state.created(&witness("r")).len() == 3).await;
    });
}
