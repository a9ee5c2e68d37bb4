//! A town of Gas Town 1.x, whose agents `gt` starts: every way in which that can end, and who is wanted in such a town.

use crate::{REFINERY_EVENT, all_of_1_x_live, town_of_1_x, world::*};

/// The problem that the witness cannot be started.
const START: &str = "rig/r/r/witness/start";

/// How often `gt` was run for a session.
fn runs(world: &World, session: &str) -> usize {
    ran(&world.state(), session)
}

fn ran(state: &State, session: &str) -> usize {
    state.gt_starts.runs.iter().filter(|(_, it)| it == session).count()
}

/// What is said of agents that were started without `gt`; empty for nothing.
async fn without_gt(supervisor: &Supervisor) -> String {
    supervisor.snapshot().await.problems.remove("start_by_gt").unwrap_or_default()
}

/// The agents of which that is said.
async fn those_without_gt(supervisor: &Supervisor) -> Vec<String> {
    let text = without_gt(supervisor).await;
    let list = text.split_once("of each: ").map_or("", |(_, list)| list);
    list.split("); ").filter_map(|one| one.split_once(" (")).map(|(agent, _)| agent.to_owned()).collect()
}

fn fault(world: &World, session: &str, fault: Option<Fault>) {
    let mut state = world.state();
    match fault {
        Some(fault) => drop(state.gt_starts.faults.insert(session.to_owned(), fault)),
        None => drop(state.gt_starts.faults.remove(session)),
    }
}

#[test]
fn gt_starts_all_agents_of_a_cold_town() {
    simulate(2000, |world| async move {
        let supervisor = town_of_1_x(&world, &["r", "a-b"]).await;
        let sessions = [DEACON, MAYOR, "r-witness", "r-refinery", "a-b-witness", "a-b-refinery"];
        for session in sessions {
            let state = world.state();
            let it = state.session(session);
            assert_eq!(it.by, By::Gt, "{session}");
            assert!(it.typed.is_empty(), "gt tells it what to do: {:?}", it.typed);
            assert_eq!(it.environment["GT_SESSION"], session);
        }
        assert!(world.state().sessions.keys().all(|name| sessions.contains(&name.as_str()) || is_boot(name)));
        let status = supervisor.snapshot().await;
        assert!(
            status.agents.iter().all(|it| it.state == "alive" || it.identity == "deacon-boot"),
            "{status:#?}"
        );
        assert_eq!(status.problems, Default::default());
        for session in sessions {
            assert_eq!(runs(&world, session), 1, "{session}");
        }
        assert_eq!(world.state().runs_of("git "), 0, "no pre-sync");
    });
}

#[test]
fn twenty_rigs_are_up_within_15_seconds() {
    simulate(2001, |world| async move {
        world.state().gt_starts.takes = 650..651;
        let rigs: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
        let rigs: Vec<&str> = rigs.iter().map(String::as_str).collect();
        world.is_v1();
        world.set_rigs(&rigs);
        world.write(REFINERY_EVENT, "{}");
        let _supervisor = world.supervisor().await;
        let begun = world.time();
        world.until("all agents", secs(15), |state| all_of_1_x_live(world.time(), state, &rigs)).await;
        assert_eq!(world.state().gt_starts.most, 4, "{:?}", world.time() - begun);
    });
}

#[test]
fn a_dead_agent_is_back_through_gt() {
    simulate(2002, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        let polecat = world.polecat_at_work("r", "Toast");
        world.pass(mins(4)).await;
        for (session, agent, confirm) in [("r-witness", "r/witness", 1), (&polecat, "r/polecats/Toast", 5)] {
            let (died, before) = (world.time(), runs(&world, session));
            world.crash_agent(session, false);
            world.until(session, secs(confirm + 3), |state| state.appeared(session, world.time())).await;
            supervisor.until_agent(agent, "alive", secs(2)).await;
            assert!(world.time() - died < secs(confirm + 3), "{session}: {:?}", world.time() - died);
            assert_eq!(runs(&world, session), before + 1, "{session}");
            assert_eq!(supervisor.agent(agent).await.restarts, 1, "{session}");
        }
        assert_eq!(world.logged("died:").len(), 2, "the shell that gt replaces is no death");
    });
}

#[test]
fn the_shell_that_is_left_is_ended_before_gt_runs() {
    simulate(2003, |world| async move {
        let _supervisor = town_of_1_x(&world, &["r"]).await;
        world.pass(mins(3)).await;
        world.crash_agent("r-witness", true);
        world.until("its replacement", mins(3), |state| state.lives("r-witness")).await;
        assert_eq!(world.state().ended("r-witness").len(), 1, "by our own kill path");
        assert!(!world.logged("starting it with `gt witness start r`").is_empty());
    });
}

#[test]
fn somebody_else_was_faster() {
    simulate(2004, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        world.state().gt_starts.takes = 1500..1501;
        for (session, agent) in [("r-witness", "r/witness"), (DEACON, "deacon")] {
            world.crash_agent(session, false);
            let before = runs(&world, session);
            world.until("gt", secs(10), |state| ran(state, session) > before).await;
            world.start_agent(session);
            let id = world.state().session(session).id;
            supervisor.until_agent(agent, "alive", secs(5)).await;
            world.pass(secs(30)).await;
            assert_eq!(world.state().session(session).id, id, "{session} is left alone");
            assert_eq!(runs(&world, session), before + 1);
            assert!(
                supervisor.story(agent).iter().any(|line| line.starts_with("already running")),
                "{:#?}",
                supervisor.story(agent)
            );
        }
        assert_eq!(without_gt(&supervisor).await, "");
    });
}

#[test]
fn gt_says_that_it_started_it_and_did_not() {
    simulate(2005, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Lies));
        world.crash_agent("r-witness", false);
        // Each is counted, with growing delays: at once, after 30 s and after a minute.
        world.until("three runs", mins(2), |state| ran(state, "r-witness") == 4).await;
        world.pass(secs(90)).await;
        assert!(!world.state().sessions.contains_key("r-witness"), "not without gt at once");
        assert_eq!(world.logged("mass death"), [], "it is no death");
        assert_eq!(world.logged("died:").len(), 1, "the first one");
        assert!(!world.logged("gt says that it started it, and there is no session r-witness").is_empty());
        supervisor.until_agent("r/witness", "alive", mins(2)).await;
        assert_eq!(runs(&world, "r-witness"), 4);
        assert_eq!(world.state().session("r-witness").by, By::Supervisor, "without gt, the fourth time");
        assert_eq!(supervisor.agent("r/witness").await.restarts, 4);
        assert_eq!(
            without_gt(&supervisor).await,
            "started without gt, which sets up more than the supervisor does, and is tried again at the next start of each: \
             r/witness (may lack the slash commands of gt; gt did not start it 3 times in a row: gt says that it started it, \
             and there is no session r-witness; remedy: gt witness restart r)"
        );
        assert_eq!(supervisor.snapshot().await.problems.get(START), None);
        // The next start is tried with `gt` again.
        world.pass(mins(31)).await;
        world.crash_agent("r-witness", false);
        world.until("gt", secs(10), |state| ran(state, "r-witness") == 5).await;
        fault(&world, "r-witness", None);
        world
            .until("gt's", mins(2), |state| state.sessions.get("r-witness").is_some_and(|it| it.by == By::Gt))
            .await;
        supervisor.until_agent("r/witness", "alive", secs(5)).await;
        assert_eq!(without_gt(&supervisor).await, "");
    });
}

#[test]
fn gt_fails_and_the_agent_is_up() {
    simulate(2006, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        for (at, failing) in [Fault::FailsLate, Fault::HangsLate].into_iter().enumerate() {
            fault(&world, "r-witness", Some(failing));
            world.crash_agent("r-witness", false);
            world.pass(secs(2)).await;
            supervisor.until_agent("r/witness", "alive", secs(100)).await;
            assert!(world.state().lives("r-witness"), "{failing:?}");
            assert_eq!(runs(&world, "r-witness"), 2 + at, "{failing:?}");
            world.pass(mins(31)).await; // stable
        }
        let said = "during its start: `gt witness start r` failed (exit code 1): Error: its nudge poller could not be \
                    started, but the agent is up";
        assert_eq!(world.logged(said).len(), 1);
        assert_eq!(
            world
                .logged("`gt witness start r` did not end within 1m and was killed, but the agent is up")
                .len(),
            1
        );
        assert_eq!(without_gt(&supervisor).await, "");
    });
}

#[test]
fn gt_fails_and_nothing_is_there() {
    simulate(2007, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Fails));
        world.crash_agent("r-witness", false);
        world.pass(secs(2)).await;
        supervisor.until_agent("r/witness", "alive", secs(30)).await;
        assert_eq!(world.state().session("r-witness").by, By::Supervisor, "started without gt");
        assert_eq!(runs(&world, "r-witness"), 2);
        assert_eq!(those_without_gt(&supervisor).await, ["r/witness"]);
        let text = without_gt(&supervisor).await;
        assert!(text.contains("; `gt witness start r` failed (exit code 1): Error: Dolt server"), "{text}");
        assert_eq!(world.logged("r/witness: started without gt: `gt witness start r` failed").len(), 1);
        // Dolt is back.
        fault(&world, "r-witness", None);
        world.pass(mins(31)).await;
        world.crash_agent("r-witness", false);
        world
            .until("gt's", secs(30), |state| {
                state.sessions.get("r-witness").is_some_and(|it| it.by == By::Gt)
            })
            .await;
        world.pass(secs(5)).await;
        assert_eq!(without_gt(&supervisor).await, "");
    });
}

#[test]
fn without_gt_the_agents_are_started_directly() {
    simulate(2008, |world| async move {
        world.state().programs.remove("gt");
        let supervisor = town_of_1_x(&world, &["r"]).await;
        for session in [DEACON, MAYOR, "r-witness", "r-refinery"] {
            assert_eq!(world.state().session(session).by, By::Supervisor, "{session}");
        }
        let all = ["mayor", "deacon", "deacon-boot", "r/witness", "r/refinery"];
        assert_eq!(those_without_gt(&supervisor).await, all);
        assert_eq!(world.logged("started without gt: gt is not installed").len(), all.len(), "each once");
        world.state().programs.insert("gt".to_owned());
        world.crash_agent("r-refinery", false);
        world
            .until("it", secs(30), |state| state.sessions.get("r-refinery").is_some_and(|it| it.by == By::Gt))
            .await;
        world.park("r", 1);
        world.pass(mins(1)).await;
        assert_eq!(those_without_gt(&supervisor).await, ["mayor", "deacon"], "those that run");
    });
}

#[test]
fn gt_hangs() {
    simulate(2009, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        for (session, agent, hangs) in
            [("r-witness", "r/witness", Fault::Hangs), ("r-refinery", "r/refinery", Fault::HangsHalfway)]
        {
            fault(&world, session, Some(hangs));
            world.crash_agent(session, false);
            let before = runs(&world, session);
            world.until("gt", secs(10), |state| ran(state, session) > before).await;
            let seen = supervisor.deps.operations.full_scan(&supervisor.deps).await;
            assert_eq!(seen, Ok(Vec::new()), "ours are no operator's");
            world.pass(secs(62)).await;
            fault(&world, session, None);
            world
                .until(session, mins(4), |state| {
                    state.sessions.get(session).is_some_and(|it| it.by == By::Gt && it.live())
                })
                .await;
            supervisor.until_agent(agent, "alive", secs(5)).await;
            assert!(supervisor.agent(agent).await.restarts >= 2, "counted");
            assert!(!world.logged("did not end within 1m and was killed, and ").is_empty());
        }
        assert_eq!(directly(&world), 0, "not without gt");
        assert_eq!(world.logged("mass death"), []);
    });
}

/// How often a session was created without `gt`.
fn directly(world: &World) -> usize {
    world.state().trace.iter().filter(|line| line.what.starts_with("create ")).count()
}

#[test]
fn a_gt_that_hangs_again_and_again_is_not_waited_for_for_ever() {
    simulate(2023, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        for (at, (session, agent, hangs)) in
            [("r-witness", "r/witness", Fault::Hangs), ("r-refinery", "r/refinery", Fault::HangsHalfway)]
                .into_iter()
                .enumerate()
        {
            fault(&world, session, Some(hangs));
            world.crash_agent(session, false);
            world.until("three runs", mins(6), |state| ran(state, session) == 4).await;
            assert_eq!(directly(&world), at, "{session}: not yet");
            supervisor.until_agent(agent, "alive", mins(6)).await;
            assert_eq!((runs(&world, session), directly(&world)), (4, at + 1), "{session}");
            assert_eq!(world.state().session(session).by, By::Supervisor);
        }
        assert_eq!(those_without_gt(&supervisor).await, ["r/witness", "r/refinery"]);
    });
}

#[test]
fn nothing_is_started_without_gt_while_something_of_its_start_may_be_at_work() {
    simulate(2024, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Hangs));
        world.crash_agent("r-witness", false);
        world.until("three runs", mins(6), |state| ran(state, "r-witness") == 4).await;
        world.pass(mins(1)).await;
        // One that outlived the `gt` that was killed.
        world.gt("gt witness start r", TOWN, mins(20));
        world.pass(mins(15)).await;
        assert_eq!((runs(&world, "r-witness"), directly(&world)), (4, 0));
        let status = supervisor.snapshot().await;
        assert_eq!(
            status.problems.get(START).map(String::as_str),
            Some("r/witness cannot be started: `gt witness start r` is still running")
        );
        assert_eq!(supervisor.alerts(), ["cannot_start r/witness"], "its program is there");
        world.pass(mins(5)).await;
        world.state().failing.insert("invocations");
        world.pass(mins(5)).await;
        assert_eq!((runs(&world, "r-witness"), directly(&world)), (4, 0), "nothing is known");
        world.state().failing.remove("invocations");
        supervisor.until_agent("r/witness", "alive", mins(2)).await;
        assert_eq!((runs(&world, "r-witness"), directly(&world)), (4, 1));
    });
}

#[test]
fn a_program_that_ends_at_once_under_gt_is_not_started_once_more_without_it() {
    simulate(2025, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        world.state().nature.short_lived.insert("r-witness".to_owned(), millis(280));
        world.crash_agent("r-witness", false);
        supervisor.until_agent("r/witness", "waiting", mins(2)).await;
        assert_eq!((runs(&world, "r-witness"), directly(&world)), (2, 0));
        let text = supervisor.snapshot().await.problems[START].clone();
        assert!(text.contains("; session r-witness was there and ended; it is tried again"), "{text}");
        // The fourth time without `gt`, where it ends as well: nothing runs that was started without `gt`.
        supervisor.until_agent("r/witness", "crash_loop", mins(30)).await;
        assert!(directly(&world) >= 1);
        assert_eq!(without_gt(&supervisor).await, "");
        world.state().nature.short_lived.clear();
        supervisor.until_agent("r/witness", "alive", mins(35)).await;
    });
}

#[test]
fn a_start_that_failed_is_no_problem_of_an_agent_that_is_held() {
    simulate(2026, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Hangs));
        world.crash_agent("r-witness", false);
        supervisor.until_agent("r/witness", "waiting", mins(2)).await;
        assert!(supervisor.snapshot().await.problems.contains_key(START));
        world.ask("a", "r/witness", "shutdown");
        world.ledger_changes();
        supervisor.until_agent("r/witness", "held", mins(5)).await;
        assert_eq!(supervisor.snapshot().await.problems.get(START), None);
    });
}

/// How often the hook of the deacon's session started it.
fn respawns(world: &World) -> usize {
    let by_hook = "the hook of hq-deacon respawns its pane";
    world.state().trace.iter().filter(|line| line.what == by_hook).count()
}

#[test]
fn an_agent_that_is_held_back_is_not_started_by_the_hook_of_its_session() {
    for (seed, split) in [(2027, false), (2028, true)] {
        simulate(seed, |world| async move {
            world.state().gt_starts.respawns = true;
            let supervisor = town_of_1_x(&world, &["r"]).await;
            // The hook brings back one that ends now and then.
            world.pass(mins(3)).await;
            world.crash_agent(DEACON, false);
            world.until("its hook", secs(4), |state| state.lives(DEACON)).await;
            supervisor.until_agent("deacon", "alive", secs(5)).await;
            assert_eq!((respawns(&world), runs(&world, DEACON)), (1, 1));
            // From now on it ends as soon as it is started.
            world.state().nature.short_lived.insert(DEACON.to_owned(), millis(500));
            world.crash_agent(DEACON, false);
            if split {
                world.until("a restart", secs(30), |state| ran(state, DEACON) == 2).await;
                world.until("its session", secs(3), |state| state.lives(DEACON)).await;
                world.split(DEACON);
            }
            for phase in ["waiting", "crash_loop"] {
                supervisor.until_agent("deacon", phase, mins(20)).await;
                world.pass(millis(100)).await;
                let before = respawns(&world);
                world.pass(secs(25)).await;
                assert_eq!(supervisor.agent("deacon").await.state, phase);
                assert_eq!(respawns(&world), before, "{phase}");
                if phase == "waiting" {
                    assert_eq!(world.state().sessions.contains_key(DEACON), split, "a person's pane stays");
                }
            }
            world.state().nature.short_lived.clear();
            supervisor.until_agent("deacon", "alive", mins(35)).await;
            assert!(world.state().session(DEACON).respawns, "gt's hook is there again");
        });
    }
}

#[test]
fn missing_pollers_are_started() {
    simulate(2029, |world| async move {
        world.state().programs.remove("gt");
        let supervisor = town_of_1_x(&world, &["r"]).await;
        let polled = |world: &World| {
            let (now, state) = (world.time(), world.state());
            ["r-witness", "r-refinery"].map(|session| state.has_poller(session, now))
        };
        assert_eq!(polled(&world), [false; 2], "there is no gt");
        let text = supervisor.snapshot().await.problems["rig/r/r/witness/nudge_poller"].clone();
        let why =
            "queued nudges do not reach it, as its poller does not run: gt is not installed or not on PATH";
        assert_eq!(text, format!("r/witness: {why}"));
        world.state().programs.insert("gt".to_owned());
        world.pass(mins(10)).await;
        assert_eq!(polled(&world), [true; 2]);
        // One that the supervisor starts without `gt` has it at once.
        fault(&world, "r-witness", Some(Fault::Fails));
        world.crash_agent("r-witness", false);
        supervisor.until_agent("r/witness", "confirming", secs(5)).await;
        supervisor.until_agent("r/witness", "alive", secs(30)).await;
        assert_eq!(world.state().session("r-witness").by, By::Supervisor);
        assert_eq!(polled(&world), [true; 2]);
        let commands = world.state().gt_starts.in_background.clone();
        assert_eq!(commands.len(), 3);
        for words in ["GT_TOWN_ROOT=/town", "GT_DOLT_PORT=3307", "PATH=/bin"] {
            assert!(commands[0].iter().any(|word| word == words), "{commands:?}");
        }
        assert!(commands[0].windows(2).any(|two| two == ["-u", "GT_ROLE"]));
        world.pass(mins(60)).await;
        assert_eq!(world.state().gt_starts.in_background.len(), 3, "they stay");
        assert!(supervisor.snapshot().await.problems.keys().all(|key| !key.ends_with("/nudge_poller")));
    });
}

#[test]
fn gt_does_not_start_them_when_the_settings_say_so() {
    simulate(2010, |world| async move {
        world.write("settings/supervisor.json", r#"{"start":{"by_gt":false}}"#);
        let supervisor = town_of_1_x(&world, &["r"]).await;
        assert_eq!(world.state().gt_starts.runs, []);
        assert_eq!(world.state().session("r-witness").by, By::Supervisor);
        assert_eq!(without_gt(&supervisor).await, "");
    });
}

#[test]
fn a_request_is_carried_out_through_gt_once() {
    simulate(2011, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        world.directory("r/crew/max");
        for (session, agent) in [("r-witness", "r/witness"), ("r-crew-max", "r/crew/max")] {
            let before = runs(&world, session);
            world.ask(session, agent, "cycle");
            world.ledger_changes();
            world.until("gt", mins(4), |state| ran(state, session) > before).await;
            supervisor.until_agent(agent, "alive", secs(10)).await;
            world.pass(mins(4)).await;
            assert_eq!(runs(&world, session), before + 1, "{session}");
            assert_eq!(world.state().session(session).by, By::Gt, "{session}");
        }
    });
}

#[test]
fn a_stop_by_hand_while_gt_is_waited_for() {
    simulate(2012, |world| async move {
        world.write("settings/supervisor.json", r#"{"start":{"max_concurrent":1}}"#);
        world.state().gt_starts.limit = 1;
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, DEACON, Some(Fault::HangsLate));
        world.crash_agent(DEACON, false);
        world.pass(secs(3)).await;
        world.crash_agent("r-witness", false);
        world.pass(secs(3)).await;
        assert_eq!(runs(&world, "r-witness"), 1, "it waits for the one slot");
        world.gt("gt witness stop r", TOWN, millis(300));
        world.pass(mins(3)).await;
        assert_eq!(runs(&world, "r-witness"), 1);
        assert_eq!(supervisor.agent("r/witness").await.state, "held");
    });
}

#[test]
fn the_mayor_is_kept() {
    simulate(2013, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        world.crash_agent(MAYOR, false);
        world.until("the mayor", secs(30), |state| state.lives(MAYOR)).await;
        supervisor.until_agent("mayor", "alive", secs(5)).await;
        world.pass(mins(1)).await;
        // Stopped by hand.
        world.stop_without_a_word("gt mayor stop", MAYOR);
        world.pass(mins(5)).await;
        assert_eq!(supervisor.agent("mayor").await.state, "held");
        assert!(!world.state().lives(MAYOR));
        supervisor.until_agent("mayor", "alive", mins(10)).await;
    });
}

#[test]
fn the_mayor_is_left_alone_while_it_runs_as_acp() {
    simulate(2014, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        world.start_agent("acp");
        world.state().sessions.get_mut("acp").unwrap().process = "gt".to_owned();
        world.pass(secs(10)).await;
        let pid = world.state().session("acp").pid;
        world.write("mayor/mayor-acp.pid", &format!("{pid}\n"));
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        let mayor = supervisor.agent("mayor").await;
        assert_eq!((mayor.state.as_str(), mayor.reason_code.as_deref()), ("absent", Some("runs_as_acp")));
        let reason = mayor.reason.unwrap_or_default();
        assert!(reason.ends_with(&format!("(PID {pid} in mayor/mayor-acp.pid)")), "{reason}");
        world.write("mayor/mayor-acp.pid", "garbage");
        world.pass(mins(4)).await;
        let problems = supervisor.snapshot().await.problems;
        assert!(problems["mayor/acp"].contains("it does not contain a process id; the mayor is not started"));
        world.end_session("acp", "it ends");
        world.pass(mins(4)).await;
        assert_eq!(runs(&world, MAYOR), 0, "what the file says is unknown");
        world.write("mayor/mayor-acp.pid", &format!("{pid}\n"));
        supervisor.until_agent("mayor", "alive", mins(4)).await;
        assert!(
            !supervisor.snapshot().await.problems.contains_key("mayor/acp"),
            "{:?}",
            supervisor.snapshot().await.problems
        );
    });
}

#[test]
fn a_pid_that_another_program_has_does_not_keep_the_mayor_down() {
    simulate(2024, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        world.start_agent("other");
        let pid = world.state().session("other").pid;
        world.write("mayor/mayor-acp.pid", &format!("{pid}\n"));
        let supervisor = world.supervisor().await;
        supervisor.until_agent("mayor", "alive", mins(1)).await;
        assert_eq!(runs(&world, MAYOR), 1);
    });
}

#[test]
fn the_mayor_is_not_kept_when_the_settings_say_so() {
    simulate(2015, |world| async move {
        world.write("settings/supervisor.json", r#"{"mayor":{"keep":false}}"#);
        world.is_v1();
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(4)).await;
        assert!(supervisor.snapshot().await.agents.iter().all(|it| it.identity != "mayor"));
        world.write("settings/supervisor.json", r#"{"mayor":{"keep":true}}"#);
        supervisor.until_agent("deacon", "alive", secs(5)).await;
        world.until("the mayor", secs(30), |state| state.lives(MAYOR)).await;
        supervisor.until_agent("mayor", "alive", secs(5)).await;
    });
}

#[test]
fn a_refinery_starts_on_events() {
    simulate(2016, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        let refinery = supervisor.agent("r/refinery").await;
        assert_eq!(
            (refinery.state.as_str(), refinery.reason_code.as_deref()),
            ("absent", Some("no_pending_events"))
        );
        assert_eq!(runs(&world, "r-refinery"), 0);
        world.write("events/refinery/notes.txt", "no event");
        world.directory("events/refinery/old.event");
        world.pass(mins(4)).await;
        assert_eq!(runs(&world, "r-refinery"), 0);
        world.write(REFINERY_EVENT, "{}");
        supervisor.until_agent("r/refinery", "alive", secs(10)).await;
        world.remove(REFINERY_EVENT);
        world.pass(mins(10)).await;
        assert!(world.state().lives("r-refinery"), "it is kept while it runs");
        // One that crashed is restarted, at once and later.
        for _ in 0..3 {
            world.crash_agent("r-refinery", false);
            world.until("the refinery", mins(3), |state| state.lives("r-refinery")).await;
            supervisor.until_agent("r/refinery", "alive", secs(5)).await;
        }
        // One that was stopped waits for an event.
        world.stop_without_a_word("gt refinery stop r", "r-refinery");
        world.pass(mins(30)).await;
        let refinery = supervisor.agent("r/refinery").await;
        assert_eq!(refinery.reason_code.as_deref(), Some("no_pending_events"), "{refinery:#?}");
        // Somebody starts it.
        world.start_agent("r-refinery");
        supervisor.until_agent("r/refinery", "alive", mins(4)).await;
    });
}

#[test]
fn a_refinery_that_runs_is_taken_over_without_events() {
    simulate(2017, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        world.start_agent("r-refinery");
        let supervisor = world.supervisor().await;
        supervisor.until_agent("r/refinery", "alive", secs(5)).await;
        world.crash_agent("r-refinery", false);
        world.until("the refinery", secs(30), |state| state.lives("r-refinery")).await;
    });
}

#[test]
fn events_that_cannot_be_read_start_nothing() {
    simulate(2018, |world| async move {
        world.is_v1();
        world.set_rigs(&["r"]);
        world.write(REFINERY_EVENT, "{}");
        world.fail("list dir", true);
        let supervisor = world.supervisor().await;
        world.pass(mins(10)).await;
        assert_eq!(runs(&world, "r-refinery"), 0);
        assert!(world.state().lives("r-witness"));
        world.fail("list dir", false);
        supervisor.until_agent("r/refinery", "alive", mins(4)).await;
    });
}

#[test]
fn a_gt_that_hangs_or_lies_is_a_problem_until_it_starts_the_agent() {
    for (seed, failing, why) in [
        (
            2020,
            Fault::Hangs,
            "`gt witness start r` did not end within 1m and was killed, and there is no session r-witness",
        ),
        (2021, Fault::Lies, "gt says that it started it, and there is no session r-witness"),
    ] {
        simulate(seed, |world| async move {
            let supervisor = town_of_1_x(&world, &["r"]).await;
            fault(&world, "r-witness", Some(failing));
            world.crash_agent("r-witness", false);
            supervisor.until_agent("r/witness", "waiting", mins(2)).await;
            let status = supervisor.snapshot().await;
            let text = format!(
                "r/witness: {why}; it is tried again with growing pauses; run `gt witness start r` to see why"
            );
            assert_eq!(status.problems.get(START), Some(&text));
            assert!(
                supervisor.alerts().contains(&"cannot_start r/witness".to_owned()),
                "its program is there"
            );
            let reason = supervisor.agent("r/witness").await.reason.unwrap_or_default();
            assert_eq!(reason, format!("restart 2 waits; its last start failed: {why}"));
            assert_eq!(world.logged(&text).len(), 1, "reported once");
            fault(&world, "r-witness", None);
            supervisor.until_agent("r/witness", "alive", mins(35)).await;
            assert_eq!(supervisor.snapshot().await.problems.get(START), None);
        });
    }
}

#[test]
fn a_gt_that_hangs_is_no_problem_of_an_agent_that_is_not_wanted() {
    simulate(2022, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Hangs));
        world.crash_agent("r-witness", false);
        supervisor.until_agent("r/witness", "waiting", mins(2)).await;
        assert!(supervisor.snapshot().await.problems.contains_key(START));
        world.park("r", 1);
        supervisor.until_agent("r/witness", "paused", mins(5)).await;
        assert_eq!(supervisor.snapshot().await.problems.get(START), None);
    });
}
