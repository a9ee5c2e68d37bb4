//! Memory: starts wait while it is short and are made one at a time once there is enough; ends for want of it are named so.

use std::{collections::BTreeSet, time::Duration};

use crate::{town, town_of_1_x, world::*};

/// The machine has this much available, in gibibytes.
fn available(world: &World, gib: u64) {
    world.state().machine.available = gib * GIB;
}

/// The agents of this town whose starts wait for memory, and what they wait for.
async fn waiting(supervisor: &Supervisor) -> Vec<(String, String)> {
    let town = supervisor.snapshot().await;
    let waiting = town.agents.into_iter().filter(|agent| agent.reason_code.as_deref() == Some("memory"));
    let waiting = waiting.inspect(|agent| assert_eq!(agent.state, "waiting", "{agent:#?}"));
    waiting.map(|agent| (agent.identity, agent.reason.unwrap_or_default())).collect()
}

/// How many sessions were made since then, and the least time between two of them.
fn made(world: &World, since: Duration, sessions: &[String]) -> (usize, Option<Duration>) {
    let state = world.state();
    let mut made: Vec<Duration> = sessions.iter().flat_map(|session| state.created(session)).collect();
    made.retain(|at| *at >= since);
    made.sort();
    let gap = made.windows(2).map(|pair| pair[1] - pair[0]).min();
    (made.len(), gap)
}

#[test]
fn fifty_starts_wait_for_memory_and_are_made_one_at_a_time() {
    simulate(980, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().git_takes = millis(20);
        let names: Vec<String> = (0..50).map(|n| format!("p{n:02}")).collect();
        available(&world, 1);
        for name in &names {
            world.add_polecat("r", name, &work_of("r", name));
        }
        let sessions: Vec<String> = names.iter().map(|name| polecat("r", name)).collect();
        // A heartbeat notices them, and they are confirmed.
        world.pass(mins(4)).await;
        let held = waiting(&supervisor).await;
        assert_eq!(held.len(), 50, "{held:#?}");
        for (agent, why) in &held {
            assert_eq!(why, "waits for memory: 1 GiB of 64 GiB available, 1.9 GiB wanted", "{agent}");
        }
        assert_eq!(made(&world, Duration::ZERO, &sessions), (0, None));
        assert!(!supervisor.snapshot().await.problems.contains_key("memory"), "not for long yet");
        world.pass(mins(5)).await;
        let problems = supervisor.snapshot().await.problems;
        let text = &problems["memory"];
        assert!(text.contains("less than 1.9 GiB of 64 GiB is available"), "{text}");
        assert_eq!(problems.keys().filter(|key| key.starts_with("memory")).count(), 1, "{problems:#?}");
        let lines = world.logged("waits for memory");
        assert_eq!(lines.len(), 50, "each says so once");
        // What dies meanwhile waits too, and goes first.
        world.crash_agent(&witness("r"), false);
        world.pass(secs(10)).await;
        assert_eq!(supervisor.agent("r/witness").await.reason_code.as_deref(), Some("memory"));
        let returned = world.time();
        available(&world, 40);
        world.until("the witness", secs(11), |state| state.lives(&witness("r"))).await;
        assert!(made(&world, returned, &sessions).0 <= 1, "the witness goes first");
        world.until("all polecats", mins(12), |state| sessions.iter().all(|it| state.lives(it))).await;
        let (count, gap) = made(&world, returned, &sessions);
        assert_eq!(count, 50);
        assert!(gap.unwrap() >= secs(5) - millis(700), "one for each reading: {gap:?}");
        world.pass(secs(30)).await;
        assert_eq!(waiting(&supervisor).await, []);
        let town = supervisor.snapshot().await;
        assert!(!town.problems.keys().any(|key| key.starts_with("memory")), "{:#?}", town.problems);
        assert!(town.agents.iter().all(|agent| agent.restarts <= 1), "waiting is no restart");
    });
}

#[test]
fn each_agent_takes_its_part_and_no_more_are_started_than_fit() {
    simulate(981, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().git_takes = millis(20);
        available(&world, 1);
        let names: Vec<String> = (0..20).map(|n| format!("p{n:02}")).collect();
        for name in &names {
            world.add_polecat("r", name, &work_of("r", name));
        }
        world.pass(mins(4)).await;
        assert_eq!(waiting(&supervisor).await.len(), 20);
        // With what runs already: 3 agents, and perhaps boot.
        world.state().machine.agent_takes = GIB;
        available(&world, 16);
        world.pass(mins(5)).await;
        let live = world.state().sessions.values().filter(|it| it.live()).count();
        assert!((14..=15).contains(&live), "{live} run");
        assert!(waiting(&supervisor).await.len() >= 8);
    });
}

#[test]
fn starts_by_gt_wait_too() {
    simulate(982, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        available(&world, 1);
        let begun = world.time();
        let session = world.witness("r");
        world.crash_agent(&session, false);
        world.pass(secs(60)).await;
        assert_eq!(supervisor.agent("r/witness").await.reason_code.as_deref(), Some("memory"));
        let runs = |world: &World| world.state().gt_starts.runs.iter().filter(|(at, _)| *at >= begun).count();
        assert_eq!(runs(&world), 0, "gt is not run");
        available(&world, 40);
        world.until("the witness", secs(15), |state| state.lives(&session)).await;
        assert_eq!(runs(&world), 1);
    });
}

#[test]
fn nothing_is_slung_or_dispatched_while_memory_is_short() {
    simulate(989, |world| async move {
        let supervisor = town_of_1_x(&world, &["alpha"]).await;
        world.write("settings/config.json", r#"{"scheduler":{"max_polecats":2}}"#);
        available(&world, 1);
        world.convoy("hq-cv-1", &["alpha-1"]);
        world.pass(mins(7)).await;
        let seen = |world: &World| {
            let state = world.state();
            (state.gas_town_1.slings.len(), state.gas_town_1.scheduled.len())
        };
        assert_eq!(seen(&world), (0, 0));
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.values().any(|text| text.contains("memory is short")), "{problems:#?}");
        available(&world, 40);
        world.pass(mins(7)).await;
        let (slung, scheduled) = seen(&world);
        assert!(slung == 1 && scheduled >= 2, "{slung} {scheduled}");
    });
}

#[test]
fn what_forbids_a_start_ends_its_wait_for_memory() {
    simulate(983, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        available(&world, 1);
        world.crash_agent(&witness("r"), false);
        world.pass(secs(15)).await;
        assert_eq!(supervisor.agent("r/witness").await.reason_code.as_deref(), Some("memory"));
        world.park("r", 1);
        supervisor.until_agent("r/witness", "paused", secs(10)).await;
        assert_eq!(waiting(&supervisor).await, []);
        // Somebody starts it by hand, whatever the memory.
        world.unpark("r");
        world.pass(mins(4)).await;
        assert_eq!(supervisor.agent("r/witness").await.reason_code.as_deref(), Some("memory"));
        world.begin(&witness("r"), By::Operator, Default::default());
        supervisor.until_agent("r/witness", "alive", secs(70)).await;
    });
}

#[test]
fn figures_that_cannot_be_read_hold_up_nothing_and_are_a_problem() {
    simulate(984, |world| async move {
        world.state().machine.is_unreadable = true;
        let supervisor = town(&world, &["r"]).await;
        let problems = supervisor.snapshot().await.problems;
        let text = &problems["memory/unread"];
        assert!(text.contains("no start waits for memory: /proc/meminfo: permission denied"), "{text}");
        assert_eq!(world.logged("memory figures cannot be read").len(), 1);
        world.state().machine.is_unreadable = false;
        world.crash_agent(&witness("r"), false);
        world.pass(secs(20)).await;
        assert!(world.state().lives(&witness("r")));
        assert!(!supervisor.snapshot().await.problems.contains_key("memory/unread"), "resolved");
    });
}

#[test]
fn the_switch_and_the_limit_of_the_own_cgroup() {
    let off = r#"{"start":{"memory":{"enabled":false}}}"#;
    for (name, settings, own_limit, pressure, available_gib, starts) in [
        ("short, switched off", off, None, 99.0, 1, true),
        ("a limit with room, mostly page cache", "{}", Some((4 * GIB, 4 * GIB)), 0.0, 60, true),
        ("a limit that is reached", "{}", Some((40 * GIB, 41 * GIB)), 0.0, 60, false),
        ("pressure on a machine with room", "{}", None, 99.0, 60, true),
        ("pressure where little is left", "{}", None, 99.0, 8, false),
    ] {
        simulate(985, move |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.write("settings/supervisor.json", settings);
            world.pass(secs(2)).await;
            {
                let machine = &mut world.state().machine;
                (machine.own_limit, machine.pressure) = (own_limit, pressure);
                machine.available = available_gib * GIB;
            }
            world.crash_agent(&witness("r"), false);
            world.pass(secs(30)).await;
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(agent.state, if starts { "alive" } else { "waiting" }, "{name}: {agent:#?}");
        });
    }
}

#[test]
fn a_requested_start_waits_and_makes_way_for_a_later_request() {
    simulate(986, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        available(&world, 1);
        world.crash_agent(&witness("r"), false);
        world.pass(secs(15)).await;
        world.ask(&witness("r"), "r/witness", r#"{"action": "cycle"}"#);
        world.pass(mins(4)).await;
        assert_eq!(supervisor.agent("r/witness").await.reason_code.as_deref(), Some("memory"));
        assert_eq!(world.logged("requested; waits for memory: 1 GiB of 64 GiB").len(), 1);
        world.ask(&witness("r"), "r/witness", r#"{"action": "shutdown"}"#);
        world.pass(mins(4)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!(
            (agent.state.as_str(), agent.reason_code.as_deref()),
            ("held", Some("stopped_on_request")),
            "{agent:#?}"
        );
    });
}

/// The reasons of the deaths that were reported since.
fn reasons(world: &World) -> BTreeSet<String> {
    let events = world.events("session_death");
    events.iter().map(|event| event["payload"]["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn three_agents_killed_for_want_of_memory() {
    simulate(987, |world| async move {
        let supervisor = town(&world, &["a", "b"]).await;
        world.pass(secs(60)).await;
        let killed = [witness("a"), witness("b"), refinery("a")];
        for session in &killed {
            world.oom_kill(session);
        }
        world.pass(secs(8)).await;
        let told = "killed (SIGKILL) while the kernel ended 3 processes for want of memory in its cgroup";
        assert_eq!(reasons(&world), [told.to_owned()].into());
        assert_eq!(supervisor.last_end("a/witness").await.unwrap().reason, told);
        let story = supervisor.story("b/witness").join("\n");
        assert!(story.contains(told), "{story}");
        let cause = &world.events("mass_death")[0]["payload"]["possible_cause"];
        assert_eq!(cause, "out of memory: the kernel killed them");
        world.until("all of them", secs(60), |state| killed.iter().all(|it| state.lives(it))).await;
        assert_eq!(supervisor.agent("a/witness").await.restarts, 1, "it counts as a crash");
    });
}

#[test]
fn what_the_kernel_did_and_what_it_did_not() {
    let scope = "user.slice/app.slice/run-1.scope";
    let certain = "killed by the kernel for want of memory (SIGKILL; 1 process in its own cgroup)";
    let probable = "killed (SIGKILL) while the kernel ended 1 process for want of memory in its cgroup";
    for (name, own_scope, how, expected) in [
        ("in its own cgroup", true, "oom", certain),
        ("in the cgroup of the tmux server", false, "oom", probable),
        ("SIGKILL by somebody", true, "kill", "crashed (exit 137)"),
        (
            "SIGKILL by somebody, and another agent's cgroup ran out",
            true,
            "kill, and another",
            "crashed (exit 137)",
        ),
    ] {
        simulate(988, move |world| async move {
            let _supervisor = town(&world, &["r"]).await;
            if own_scope {
                world.state().machine.scopes.insert(witness("r"), scope.to_owned());
            }
            world.pass(secs(70)).await;
            if how.contains("another") {
                world.state().machine.oom_kills.insert(TMUX_GROUP.to_owned(), 1);
            }
            match how {
                "oom" => world.oom_kill(&witness("r")),
                _ => world.sigkill(&witness("r")),
            }
            world.pass(secs(5)).await;
            assert_eq!(reasons(&world), [expected.to_owned()].into(), "{name}");
        });
    }
}
