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

/// The problems of the town.
async fn problems(supervisor: &Supervisor) -> Vec<String> {
    let mut problems: Vec<String> = supervisor.snapshot().await.problems.into_keys().collect();
    problems.retain(|key| key.ends_with("/start_by_gt"));
    problems
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
        assert_eq!(problems(&supervisor).await, Vec::<String>::new());
    });
}

#[test]
fn gt_says_that_it_started_it_and_did_not() {
    simulate(2005, |world| async move {
        let supervisor = town_of_1_x(&world, &["r"]).await;
        fault(&world, "r-witness", Some(Fault::Lies));
        world.crash_agent("r-witness", false);
        world.pass(mins(4)).await;
        let agent = supervisor.agent("r/witness").await;
        assert!(agent.restarts >= 3, "each is counted: {agent:#?}");
        let runs = runs(&world, "r-witness") - 1;
        assert!((3..=5).contains(&runs), "with growing delays: {runs}");
        assert!(!world.state().sessions.contains_key("r-witness"), "and never started without gt");
        assert_eq!(world.logged("mass death"), [], "it is no death");
        assert_eq!(world.logged("died:").len(), 1, "the first one");
        assert!(!world.logged("gt says that it started it, and there is no session r-witness").is_empty());
        fault(&world, "r-witness", None);
        supervisor.until_agent("r/witness", "alive", mins(15)).await;
        assert_eq!(problems(&supervisor).await, Vec::<String>::new());
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
                .logged("`gt witness start r` did not end within 1m0s and was killed, but the agent is up")
                .len(),
            1
        );
        assert_eq!(problems(&supervisor).await, Vec::<String>::new());
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
        assert_eq!(problems(&supervisor).await, ["rig/r/r/witness/start_by_gt"]);
        let text = supervisor.snapshot().await.problems["rig/r/r/witness/start_by_gt"].clone();
        for part in [
            "r/witness is started without gt",
            "`gt witness start r` failed (exit code 1): Error: Dolt server",
        ] {
            assert!(text.contains(part), "{text}");
        }
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
        assert_eq!(problems(&supervisor).await, Vec::<String>::new());
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
        assert_eq!(problems(&supervisor).await.len(), 5, "boot's too");
        world.state().programs.insert("gt".to_owned());
        world.crash_agent("r-refinery", false);
        world
            .until("it", secs(30), |state| state.sessions.get("r-refinery").is_some_and(|it| it.by == By::Gt))
            .await;
        world.park("r", 1);
        world.pass(mins(1)).await;
        assert_eq!(
            problems(&supervisor).await,
            ["deacon/start_by_gt", "mayor/start_by_gt"],
            "those of agents that run"
        );
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
            assert!(!world.logged("did not end within 1m0s and was killed, and ").is_empty());
        }
        let direct = world.state().trace.iter().filter(|line| line.what.starts_with("create ")).count();
        assert_eq!(direct, 0, "never started without gt");
        assert_eq!(world.logged("mass death"), []);
    });
}

#[test]
fn gt_does_not_start_them_when_the_settings_say_so() {
    simulate(2010, |world| async move {
        world.write("settings/supervisor.json", r#"{"start":{"by_gt":false}}"#);
        let supervisor = town_of_1_x(&world, &["r"]).await;
        assert_eq!(world.state().gt_starts.runs, []);
        assert_eq!(world.state().session("r-witness").by, By::Supervisor);
        assert_eq!(problems(&supervisor).await, Vec::<String>::new());
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
            "`gt witness start r` did not end within 1m0s and was killed, and there is no session r-witness",
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
                "r/witness: {why}; it is tried again with growing pauses; see what `gt witness start r` waits for"
            );
            assert_eq!(status.problems.get(START), Some(&text));
            let reason = supervisor.agent("r/witness").await.reason.unwrap_or_default();
            assert_eq!(reason, format!("restart 2 waits; its last start failed: {why}"));
            supervisor.until_agent("r/witness", "crash_loop", mins(30)).await;
            let status = supervisor.snapshot().await;
            assert!(
                status.problems["rig/r/r/witness/crash_loop"]
                    .contains(&format!("its last start failed: {why}; "))
            );
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
