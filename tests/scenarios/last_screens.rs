//! The last screen of an agent that died: kept with its death, masked, and of no other agent.

use gastown_supervisor::agent::history::Ending;

use crate::{town, world::*};

const SECRET: &str = "ghp_4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEuQ1w2";

/// How this agent died, each time, oldest first.
fn deaths(supervisor: &Supervisor, identity: &str) -> Vec<Ending> {
    let entries = supervisor.history(identity).entries;
    entries.into_iter().filter_map(|entry| entry.death.map(|death| *death)).collect()
}

fn file(world: &World) -> String {
    world.text("daemon/supervisor/history.json").unwrap_or_default()
}

#[test]
fn an_agent_that_leaves_a_pane_is_read_after_its_end() {
    simulate(1700, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(3)).await;
        world.show(&refinery("r"), &["a healthy screen"]);
        world.show(
            &witness("r"),
            &[
                "panic: no quota is left for this request, and what it was asked for cannot be continued",
                &format!("TOKEN {SECRET}"),
                "\u{1b}[31m  at main\u{1b}[0m",
            ],
        );
        world.crash_agent(&witness("r"), true);
        // Nothing reports a shell that is left: a scan finds it.
        world.until("its death", mins(2), |state| state.created(&witness("r")).len() == 2).await;
        let [death] = deaths(&supervisor, "r/witness").try_into().unwrap();
        assert_eq!(death.last_screen[1..], ["TOKEN [masked]", "  at main"]);
        assert_eq!(death.last_screen_age_seconds, None, "its pane was there");
        assert!((180..400).contains(&death.lived_seconds.unwrap()), "{death:?}");
        world.pass(mins(5)).await;
        let file = file(&world);
        assert!(file.contains("panic: no quota") && !file.contains(SECRET), "{file}");
        assert!(!file.contains("a healthy screen"), "it lives: {file}");
    });
}

#[test]
fn of_one_that_vanished_with_its_pane_the_screen_is_as_old_as_it_was() {
    simulate(1701, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(3)).await;
        world.show(&witness("r"), &["before the end"]);
        world.pass(mins(2)).await;
        world.show(&witness("r"), &["never read"]);
        world.crash_agent(&witness("r"), false);
        world.until("its death", secs(10), |state| state.created(&witness("r")).len() == 2).await;
        let [death] = deaths(&supervisor, "r/witness").try_into().unwrap();
        // Its prompt was below.
        assert_eq!(death.last_screen, ["before the end", ">"]);
        let age = death.last_screen_age_seconds.unwrap();
        assert!(age <= 60, "{age}: each full scan reads it");
        let told = supervisor.history("r/witness").entries;
        let told = gastown_supervisor::agent::history::rendering::lines(
            &told,
            world.wall(),
            &jiff::tz::TimeZone::UTC,
        );
        let told = told.join("\n");
        assert!(
            told.contains(&format!("last screen, read {age}s before the end:\n    | before the end")),
            "{told}"
        );
    });
}

#[test]
fn what_ends_for_a_reason_of_its_own_or_on_request_leaves_no_screen() {
    simulate(1702, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.show(&witness("r"), &["You've hit your limit · resets 2pm (America/New_York)"]);
        world.pass(mins(2)).await;
        world.crash_agent(&witness("r"), true);
        supervisor.until_agent("r/witness", "waiting", mins(2)).await;
        assert_eq!(deaths(&supervisor, "r/witness"), []);
        world.pass(mins(2)).await;
        assert!(!file(&world).contains("last_screen"), "{}", file(&world));
    });
}

#[test]
fn a_crash_loop_is_alerted_and_mailed_with_the_last_screen() {
    simulate(1703, |world| async move {
        world.write("settings/supervisor.json", r#"{"notify": {"command": "ring the bell"}}"#);
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.doomed = vec![witness("r")];
        world.crash_agent(&witness("r"), false);
        supervisor.until_agent("r/witness", "crash_loop", mins(15)).await;
        world.pass(secs(2)).await;
        let last = deaths(&supervisor, "r/witness").pop().unwrap();
        let state = world.state();
        let [body] = state.bodies.as_slice() else { panic!("{:?}", state.bodies) };
        assert!(body.starts_with("r/witness was restarted 5 times within 15m and is held;"), "{body}");
        assert!(body.ends_with(&format!("\n\nIts last end: {}\n\n    >", last.summary())), "{body}");
        let alerts: Vec<_> = state.alerts.iter().filter(|alert| alert["type"] == "crash_loop").collect();
        let [alert] = alerts.as_slice() else { panic!("{:?}", state.alerts) };
        assert_eq!(alert["payload"]["last_death"]["last_screen"], serde_json::json!([">"]), "{alert}");
        drop(state);
        assert!(
            !world.text(".events.jsonl").unwrap().contains("last_screen"),
            "every agent reads the event log"
        );
    });
}

#[test]
fn it_can_be_switched_off_and_what_was_kept_is_forgotten() {
    simulate(1704, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.show(&witness("r"), &["private"]);
        world.pass(mins(2)).await;
        world.crash_agent(&witness("r"), true);
        world.pass(mins(2)).await;
        assert!(file(&world).contains("private"));
        world.write("settings/supervisor.json", r#"{"history": {"last_screen": false}}"#);
        world.pass(mins(4)).await;
        world.show(&witness("r"), &["private"]);
        world.crash_agent(&witness("r"), true);
        world.pass(mins(2)).await;
        let deaths = deaths(&supervisor, "r/witness");
        assert_eq!(deaths.len(), 2);
        assert!(
            deaths.iter().all(|death| death.last_screen.is_empty() && death.lived_seconds.is_some()),
            "{deaths:?}"
        );
        assert!(!file(&world).contains("private"), "{}", file(&world));
    });
}
