//! Agents with a question on their screens: only the allowed answer is typed.

use crate::{town, world::*};

const TITLE: &str = "Choose the text style that looks best with your terminal";

/// A town whose witness asks this when it is started.
async fn asking(world: &World, asks: Asks) -> Supervisor {
    world.state().nature.asks.insert(witness("r"), asks);
    world.set_rigs(&["r"]);
    let supervisor = world.supervisor().await;
    world.until("its agents", secs(10), |state| state.lives(&witness("r")) && state.lives(DEACON)).await;
    world.state().nature.asks.clear();
    supervisor
}

fn told(world: &World) -> Vec<String> {
    let state = world.state();
    state.session(&witness("r")).typed.iter().map(|(_, text)| text.clone()).collect()
}

#[test]
fn what_may_be_answered_is_answered_whenever_it_comes() {
    // At once; before the prompt; when it would get its instruction; and when it has been ready for a while.
    for after in [0, 400, 700, 1_500, 2_600] {
        simulate(600, |world| async move {
            let supervisor = asking(&world, Asks::permissions(after)).await;
            supervisor.until_agent("r/witness", "alive", secs(20)).await;
            assert_eq!(told(&world).len(), 1, "after {after} ms: told once: {:?}", told(&world));
            assert_eq!(world.state().session(&witness("r")).asks, None, "after {after} ms");
            assert_eq!(world.logged("answered").len(), 1, "after {after} ms");
            world.pass(mins(2)).await;
            assert_eq!(supervisor.snapshot().await.problems, Default::default(), "after {after} ms");
        });
    }
}

/// How many keys were pressed in its session.
fn pressed(world: &World) -> usize {
    let press = format!("press {} ", witness("r"));
    world.state().trace.iter().filter(|line| line.what.starts_with(&press)).count()
}

#[test]
fn a_program_that_shows_keys_late_is_waited_for() {
    // The world forbids a key while another is on its way, and Enter on any option but the right one.
    for lag in [50, 900, 1_500, 2_800, 4_500] {
        simulate(608, |world| async move {
            let supervisor = asking(&world, Asks { lag, ..Asks::permissions(0) }).await;
            supervisor.until_agent("r/witness", "alive", secs(40)).await;
            assert_eq!((told(&world).len(), world.logged("answered").len()), (1, 1), "{lag} ms for each key");
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{lag} ms for each key");
            assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{lag} ms for each key");
        });
    }
}

#[test]
fn a_key_that_does_not_show_in_time_is_the_last() {
    simulate(609, |world| async move {
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        let supervisor = asking(&world, Asks { lag: 20_000, ..Asks::permissions(0) }).await;
        world.pass(mins(5)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!((agent.state.as_str(), pressed(&world)), ("waiting_at_question", 1), "only the first");
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.values().any(|it| it.contains("nothing more is typed to it")), "{problems:?}");
        assert_eq!(world.state().alerts.len(), 1, "{:?}", world.state().alerts);
        let id = world.state().session(&witness("r")).id;
        world.answer(&witness("r"), id);
        supervisor.until_agent("r/witness", "alive", secs(10)).await;
        assert_eq!(told(&world).len(), 1);
    });
}

#[test]
fn the_next_question_does_not_get_the_answer_of_the_one_before() {
    for lag in [0, 2_500] {
        simulate(610, |world| async move {
            let then = Some(Box::new(Asks::trust()));
            let supervisor = asking(&world, Asks { lag, then, ..Asks::permissions(0) }).await;
            world.pass(mins(5)).await;
            let agent = supervisor.agent("r/witness").await;
            let trust = "Do you trust the files in this folder?";
            assert_eq!((agent.state.as_str(), agent.reason.as_deref()), ("waiting_at_question", Some(trust)));
            assert_eq!(told(&world), [""; 0]);
            let problems = supervisor.snapshot().await.problems;
            assert!(problems.values().all(|it| it.contains(trust)) && problems.len() == 1, "{problems:?}");
        });
    }
}

#[test]
fn what_the_settings_do_not_allow_is_left_to_people() {
    simulate(601, |world| async move {
        let settings = r#"{"questions":{"bypass_permissions":false}}"#;
        world.write("settings/supervisor.json", settings);
        let supervisor = asking(&world, Asks::permissions(0)).await;
        world.pass(mins(10)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!(agent.state, "waiting_at_question");
        assert_eq!((told(&world).len(), world.logged("answered").len()), (0, 0));
    });
}

#[test]
fn a_warning_of_a_mode_that_its_command_did_not_ask_for_is_left_to_people() {
    simulate(606, |world| async move {
        world
            .write("r/settings/config.json", r#"{"runtime":{"command":"claude","args":["--model","opus"]}}"#);
        let supervisor = asking(&world, Asks::permissions(0)).await;
        world.pass(mins(2)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "waiting_at_question");
        assert_eq!(world.logged("answered").len(), 0);
    });
}

#[test]
fn one_that_stays_is_alerted_once_with_how_to_attach_and_one_that_is_answered_is_not() {
    simulate(607, |world| async move {
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        let supervisor = asking(&world, Asks::permissions(0)).await;
        world.pass(mins(2)).await;
        assert_eq!(world.state().alerts, [serde_json::Value::Null; 0], "it was answered");
        world.ask_in(&witness("r"), Asks::theme(0));
        world.pass(mins(10)).await;
        let alerts = world.state().alerts.clone();
        let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
        let attach = format!("tmux -S {} attach -t '={}'", world_socket(&supervisor), witness("r"));
        assert_eq!(
            (&alert["type"], &alert["payload"]),
            (
                &serde_json::json!("waiting_at_question"),
                &serde_json::json!({"agent": "r/witness", "session": witness("r"), "question": TITLE, "attach": attach})
            )
        );
        let problems = supervisor.snapshot().await.problems;
        let problem = problems.values().next().unwrap();
        assert!(problem.ends_with(&format!("{TITLE}; to answer it, run `{attach}`")), "{problem}");
        assert!(!world.text(".events.jsonl").unwrap_or_default().contains("waiting_at_question"));
    });
}

fn world_socket(supervisor: &Supervisor) -> String {
    supervisor.deps.sessions.place().socket.to_string_lossy().into_owned()
}

#[test]
fn one_that_waits_at_a_question_is_instructed_once_it_is_answered() {
    for after in [0, 1_500] {
        simulate(602, |world| async move {
            let supervisor = asking(&world, Asks::theme(after)).await;
            supervisor.until_agent("r/witness", "waiting_at_question", secs(10)).await;
            world.pass(mins(30)).await;
            let agent = supervisor.agent("r/witness").await;
            assert_eq!((agent.state.as_str(), agent.reason.as_deref()), ("waiting_at_question", Some(TITLE)));
            assert_eq!(told(&world), [""; 0]);
            let problems = supervisor.snapshot().await.problems;
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems.values().all(|problem| problem.contains(TITLE)), "{problems:?}");
            assert_eq!(world.logged("waits at a question").len(), 1, "reported once");
            assert_eq!(supervisor.agent("r/refinery").await.state, "alive", "nobody else waits");
            let id = world.state().session(&witness("r")).id;
            world.answer(&witness("r"), id);
            supervisor.until_agent("r/witness", "alive", secs(10)).await;
            assert_eq!(told(&world).len(), 1, "{:?}", told(&world));
            assert_eq!(supervisor.snapshot().await.problems, Default::default());
            assert_eq!(world.state().created(&witness("r")).len(), 1, "after {after} ms");
        });
    }
}

#[test]
fn one_that_ends_at_a_question_did_not_crash() {
    // During its start, and long after.
    for (name, late) in [("while it starts", false), ("while it works", true)] {
        simulate(603, |world| async move {
            let supervisor = match late {
                false => asking(&world, Asks::theme(0)).await,
                true => {
                    let supervisor = town(&world, &["r"]).await;
                    world.ask_in(&witness("r"), Asks::theme(0));
                    supervisor
                }
            };
            supervisor.until_agent("r/witness", "waiting_at_question", secs(70)).await;
            world.pass(mins(3)).await;
            let ended = world.time();
            world.crash_agent(&witness("r"), false);
            supervisor.until_agent("r/witness", "waiting", secs(5)).await;
            let agent = supervisor.agent("r/witness").await;
            let why = agent.reason.unwrap();
            assert!(why.contains("waited at a question") && why.contains(TITLE), "{name}: {why}");
            world.pass(mins(9)).await;
            assert_eq!(world.state().created(&witness("r")).len(), 1, "{name}: too early");
            world.until("another try", mins(2), |state| state.lives(&witness("r"))).await;
            assert!(world.time() - ended >= mins(10), "{name}");
            world.pass(secs(20)).await;
            let agent = supervisor.agent("r/witness").await;
            assert_eq!((agent.state.as_str(), agent.restarts), ("alive", 0), "{name}");
            assert_eq!(world.events("session_death").len(), 0, "{name}");
            assert_eq!(supervisor.snapshot().await.deaths["in_window"], 0, "{name}");
            assert_eq!(supervisor.snapshot().await.problems, Default::default(), "{name}");
        });
    }
}

#[test]
fn a_stale_deacon_at_a_question_is_not_typed_to() {
    simulate(604, |world| async move {
        let _supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await;
        let typed = |world: &World| world.state().session(DEACON).typed.len();
        let before = typed(&world);
        world.hang_agent(DEACON, true);
        world.ask_in(DEACON, Asks::theme(0));
        world.pass(mins(24)).await;
        assert_eq!(typed(&world), before);
        assert!(!world.logged("nudge was not delivered: it waits at a question").is_empty());
    });
}

#[test]
fn one_that_ends_in_the_last_moment_of_its_start_is_seen_to_be_gone() {
    // Every moment from its prompt to when it is counted as started, and a little after.
    for at in (3_200..3_900).step_by(20) {
        simulate(605, |world| async move {
            world.set_rigs(&["r"]);
            let supervisor = world.supervisor().await;
            world.pass(millis(at)).await;
            world.crash_agent(&witness("r"), false);
            let ended = world.time();
            world.pass(millis(900)).await;
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(agent.state, "confirming", "ended after {at} ms: {agent:#?}");
            let again = |state: &State| state.created(&witness("r")).len() == 2;
            world.until("its restart", secs(2), again).await;
            assert!(world.time() - ended < secs(2), "ended after {at} ms");
        });
    }
}
