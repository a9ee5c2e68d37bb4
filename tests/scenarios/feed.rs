//! The feed of the town: events of its agents as people read them.

use crate::{town, world::*};

impl World {
    /// The summaries in the feed, in order.
    fn feed(&self) -> Vec<String> {
        let text = self.text(".feed.jsonl").unwrap_or_default();
        let parsed = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        parsed.map(|line| line["summary"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_death_and_its_repair() {
    simulate(700, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.crash_agent(&witness("r"), false);
        world.pass(secs(30)).await;
        let feed = world.feed();
        assert_eq!(feed.len(), 2, "{feed:?}");
        assert_eq!(feed[0], "Session gt-r-witness terminated: crashed (exit 1)");
        assert!(feed[1].starts_with("r/witness restarted in "), "{feed:?}");
        assert_eq!(supervisor.snapshot().await.feed["written"], 2);
    });
}

#[test]
fn a_crash_loop_and_a_mass_death() {
    simulate(701, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.state().nature.doomed = vec![witness("r")];
        world.crash_agent(&witness("r"), false);
        supervisor.until_agent("r/witness", "crash_loop", mins(15)).await;
        world.pass(secs(5)).await;
        assert_eq!(world.feed().last().unwrap(), "r/witness held after 5 restarts");
        world.kill_server();
        world.pass(secs(5)).await;
        let told = world.feed();
        assert!(told.contains(&"Session hq-deacon terminated: tmux server died".to_owned()), "{told:?}");
    });
}

#[test]
fn agents_events_are_in_it_too_and_the_next_supervisor_continues() {
    simulate(702, |world| async move {
        let event = |n: u32| {
            format!(
                r#"{{"ts":"2026-02-02T08:{n:02}:00Z","source":"gt","type":"handoff","actor":"a{n}","visibility":"feed"}}"#
            )
        };
        world.write(".events.jsonl", &(event(0) + "\n"));
        let supervisor = town(&world, &["r"]).await;
        assert_eq!(world.feed(), [""; 0], "what was there before the very first start is not told");
        world.write(".events.jsonl", &format!("{}\n{}\n", event(0), event(1)));
        world.until("the next look", secs(31), |state| !state.files[&path(".feed.jsonl")].is_empty()).await;
        supervisor.vanish().await;
        world.write(".events.jsonl", &format!("{}\n{}\n{}\n", event(0), event(1), event(2)));
        let supervisor = world.supervisor().await;
        world.pass(secs(40)).await;
        supervisor.crash("feed").await;
        world.write(".events.jsonl", &format!("{}\n{}\n{}\n{}\n", event(0), event(1), event(2), event(3)));
        world.pass(secs(40)).await;
        let expected: Vec<String> = (1..4).map(|n| format!("a{n} handed off to fresh session")).collect();
        assert_eq!(world.feed(), expected);
    });
}
