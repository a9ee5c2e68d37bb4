//! What agents are doing, by their transcripts and screens.

use std::collections::BTreeMap;

use gastown_supervisor::report::AgentReport;

use crate::{town, world::*};

/// The home of the agents, by which their transcripts are found, and their account.
const AGENTS_HOME: &str = "/home/agent";

const PROMPT: &str = r#"{"type":"user","message":{"role":"user","content":"go on"}}"#;
const END: &str =
    r#"{"type":"assistant","message":{"stop_reason":"end_turn","content":[{"type":"text","text":"Done."}]}}"#;
const LIMIT: &str = r#"{"type":"assistant","isApiErrorMessage":true,"error":"rate_limit","message":{"stop_reason":"stop_sequence","content":[{"type":"text","text":"You've hit your session limit · resets 5:10pm (Europe/Paris)"}]}}"#;
const LOGIN: &str = r#"{"type":"assistant","isApiErrorMessage":true,"error":"authentication_failed","message":{"content":[{"type":"text","text":"Invalid API key · Please run /login"}]}}"#;

async fn doing(supervisor: &Supervisor, identity: &str) -> (Option<String>, Option<String>) {
    let AgentReport { activity, activity_source, state, .. } = supervisor.agent(identity).await;
    // What holds its account holds it, too, whatever it is doing.
    assert!(["alive", "limited", "logged_out"].contains(&state.as_str()), "{state}");
    (activity, activity_source)
}

fn by(activity: &str, source: &str) -> (Option<String>, Option<String>) {
    (Some(activity.to_owned()), Some(source.to_owned()))
}

#[test]
fn status_shows_what_a_transcript_says_with_source_and_age() {
    simulate(900, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(1)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("idle", "screen"));
        for (record, expected) in [
            (PROMPT, "working"),
            (LIMIT, "limited"),
            (PROMPT, "working"),
            (LOGIN, "logged_out"),
            (PROMPT, "working"),
            (END, "idle"),
        ] {
            let at = world.wall();
            world.records(&witness("r"), record);
            world.pass(secs(3)).await;
            assert_eq!(doing(&supervisor, "r/witness").await, by(expected, "transcript"));
            let agent = supervisor.agent("r/witness").await;
            assert_eq!(agent.activity_since, Some(at), "{expected}");
            world.pass(mins(7)).await;
            assert_eq!(supervisor.agent("r/witness").await.activity_since, Some(at), "{expected}, still");
        }
        assert_eq!(doing(&supervisor, "r/refinery").await, by("idle", "screen"), "nobody else");
        let story = supervisor.story("r/witness").join("\n");
        for told in [
            "its plan is used up: You've hit your session limit",
            "is no longer at its usage limit",
            "Invalid API key",
        ] {
            assert!(story.contains(told), "{told} in\n{story}");
        }
        let problems = supervisor.snapshot().await.problems;
        assert!(problems.keys().all(|key| key.starts_with("account/")), "{problems:#?}");
        assert_eq!(world.state().created(&witness("r")).len(), 1, "nothing is ended because of it");
    });
}

#[test]
fn a_transcript_that_is_not_understood_is_said_to_be_silent() {
    simulate(912, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(1)).await;
        world.records(&witness("r"), PROMPT);
        world.pass(secs(3)).await;
        assert_eq!(supervisor.agent("r/witness").await.activity_doubt, None);
        world.records(&witness("r"), r#"{"type":"of a later version"}"#);
        world.pass(secs(3)).await;
        let agent = supervisor.agent("r/witness").await;
        let doubt = agent.activity_doubt.as_deref().unwrap_or_default();
        assert!(doubt.ends_with(" ends with nothing that this version understands"), "{agent:#?}");
        assert_eq!(agent.activity_source.as_deref(), Some("screen"));
    });
}

#[test]
fn a_crash_of_the_actor_loses_nothing() {
    simulate(901, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.pass(mins(2)).await; // a scan shows its agents
        let at = world.wall();
        world.records(&witness("r"), LIMIT);
        world.pass(secs(3)).await;
        supervisor.crash("activity").await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("limited", "transcript"));
        world.pass(secs(10)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!((agent.activity.as_deref(), agent.activity_since), (Some("limited"), Some(at)));
        assert_eq!(world.logged("its plan is used up").len(), 1, "told once");
        world.records(&witness("r"), PROMPT);
        world.pass(secs(3)).await;
        assert_eq!(
            doing(&supervisor, "r/witness").await,
            by("working", "transcript"),
            "its successor follows"
        );
        // What is written while nobody listens is found when the successor begins.
        supervisor.suspend("activity").await;
        world.records(&witness("r"), LIMIT);
        world.pass(mins(12)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("limited", "transcript"));
    });
}

#[test]
fn a_new_session_begins_without_what_the_last_one_said() {
    simulate(902, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.records(&witness("r"), LOGIN);
        world.pass(secs(3)).await;
        world.crash_agent(&witness("r"), false);
        world.until("its restart", secs(10), |state| state.created(&witness("r")).len() == 2).await;
        supervisor.until_agent("r/witness", "alive", secs(30)).await;
        world.pass(mins(4)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("idle", "screen"));
        world.records(&witness("r"), PROMPT);
        world.pass(secs(3)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("working", "transcript"));
    });
}

#[test]
fn what_cannot_be_read_or_understood_is_silent() {
    simulate(903, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.records(&witness("r"), LIMIT);
        world.transcribe(
            &witness("r"),
            "{\"type\":\"a-future-kind\",\"timestamp\":\"2026-01-01T00:00:00Z\"}\n",
        );
        world.pass(mins(1)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("idle", "screen"), "a format of the future");
        world.records(&witness("r"), PROMPT);
        world.transcribe(&witness("r"), "{\"type\":\"assist");
        world.pass(secs(3)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("working", "transcript"), "a torn line");
        world.fail("transcripts", true);
        world.pass(mins(4)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!(agent.activity_source.as_deref(), Some("screen"));
        let doubt = agent.activity_doubt.unwrap();
        assert!(
            doubt.starts_with("/home/agent/.claude/projects/") && doubt.contains("ermission denied"),
            "{doubt}"
        );
        world.fail("transcripts", false);
        world.pass(mins(4)).await;
        let agent = supervisor.agent("r/witness").await;
        assert_eq!((agent.activity_source.as_deref(), agent.activity_doubt), (Some("transcript"), None));
    });
}

#[test]
fn one_that_should_work_and_does_nothing_is_reported_once_and_left_alone() {
    simulate(904, |world| async move {
        world.state().accounts.home = Some(AGENTS_HOME.to_owned());
        let supervisor = town(&world, &["r"]).await;
        world.records(&witness("r"), PROMPT);
        world.state().sessions.get_mut(&witness("r")).unwrap().shows =
            vec!["✻ Cogitating… (esc to interrupt)".to_owned()];
        world.pass(mins(15)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("working", "transcript"), "too early to say");
        world.pass(mins(20)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("hung", "processes"));
        world.pass(mins(30)).await;
        let problems = supervisor.snapshot().await.problems;
        assert_eq!(problems.keys().collect::<Vec<_>>(), ["rig/r/r/witness/hung"]);
        assert_eq!(world.logged("may be hung").len(), 1, "reported once");
        assert_eq!(world.state().created(&witness("r")).len(), 1, "left alone");
        world.records(&witness("r"), END);
        world.pass(secs(3)).await;
        assert_eq!(doing(&supervisor, "r/witness").await, by("idle", "transcript"));
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
    });
}

/// Each access wakes the process: what is done at every heartbeat must not grow with the agents, and nothing is read again.
#[test]
fn an_idle_hour_reads_no_transcript_and_costs_the_same_for_any_number_of_agents() {
    let hour = |seed, rigs: &'static [&'static str]| {
        simulate(seed, |world| async move {
            world.state().accounts.home = Some(AGENTS_HOME.to_owned());
            let _supervisor = town(&world, rigs).await;
            for rig in rigs {
                world.records(&witness(rig), END);
            }
            world.pass(mins(7)).await;
            let since = world.time();
            world.pass(mins(60)).await;
            let state = world.state();
            let mut counts = BTreeMap::<String, usize>::new();
            for line in state.trace.iter().filter(|line| line.at >= since) {
                let Some(access) = line.what.strip_prefix("transcripts ") else { continue };
                *counts.entry(access.split(' ').take(1).collect()).or_default() += 1;
            }
            counts
        })
    };
    let few = hour(913, &["r"]);
    // One a heartbeat: they are searched for again, and their directories looked at.
    assert_eq!(few, BTreeMap::from([("find".to_owned(), 20), ("watch".to_owned(), 20)]));
    assert_eq!(hour(914, &["a", "b", "c", "d", "e"]), few);
}
