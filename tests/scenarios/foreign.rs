//! Another town's agents on the same tmux server: they are never touched, whatever this town's files and mails say
//! about them.

use crate::{town, world::*};

#[test]
fn another_towns_agents_are_never_touched() {
    simulate(950, |world| async move {
        world.set_rigs(&["r"]);
        world.state().nature.boot_works = 10_000_000..10_000_001;
        for session in [DEACON.to_owned(), witness("r"), BOOT.to_owned()] {
            world.start_foreign(&session);
        }
        world.pass(secs(90)).await;
        // What this town's files and mails say would end them.
        world.write("deacon/heartbeat.json", r#"{"timestamp":"2026-01-01T00:00:00Z","cycle":1}"#);
        let supervisor = world.supervisor().await;
        world.ask(&witness("r"), "r/witness", r#"{"action":"cycle"}"#);
        world.pass(mins(45)).await;
        for (agent, session) in
            [("deacon", DEACON.to_owned()), ("deacon-boot", BOOT.to_owned()), ("r/witness", witness("r"))]
        {
            let status = supervisor.agent(agent).await;
            assert_eq!(status.state, "unknown", "{status:#?}");
            assert!(
                status.reason.as_deref().is_some_and(|why| why.ends_with("name taken by town /other")),
                "{status:#?}"
            );
            let told = format!("{agent}: name taken by town /other");
            assert_eq!(world.logged(&told).len(), 1, "told once");
            assert!(world.state().session(&session).typed.is_empty());
        }
        assert!(world.state().ended(BOOT).is_empty() && world.state().created(BOOT).is_empty());
        assert_eq!(world.state().created(&refinery("r")).len(), 1, "the others are kept");
        // Once the name is free it is this town's again.
        world.end_session(&witness("r"), "the other town ends it");
        world.until("its own witness", mins(4), |state| state.created(&witness("r")).len() == 1).await;
        world.pass(secs(30)).await;
        assert_eq!(supervisor.agent("r/witness").await.state, "alive");
        let problems = supervisor.snapshot().await.problems;
        assert!(!problems.keys().any(|key| key.contains("witness")), "{problems:#?}");
    });
}

#[test]
fn a_name_that_another_town_takes_while_its_agent_is_down_is_left_to_it() {
    for seed in 0..12 {
        simulate(960 + seed, |world| async move {
            let supervisor = town(&world, &["r"]).await;
            world.pass(mins(5)).await;
            let created = world.state().created(&witness("r")).len();
            world.crash_agent(&witness("r"), seed % 2 == 0);
            if seed % 2 == 0 {
                world.after(millis(50), |world| world.end_session(&witness("r"), "a person ends it"));
            }
            world.after(millis(60 + seed * 80), |world| world.start_foreign(&witness("r")));
            world.pass(mins(30)).await;
            assert_eq!(world.state().created(&witness("r")).len(), created, "it is the other town's now");
            let status = supervisor.agent("r/witness").await;
            assert!(
                status.reason.as_deref().is_some_and(|why| why.ends_with("name taken by town /other")),
                "{status:#?}"
            );
        });
    }
}
