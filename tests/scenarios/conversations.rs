//! Agents that are started again continue their conversation, and no record of it is lost.

use gastown_supervisor::signals::Signal;
use jiff::SignedDuration;

use crate::{town, world::*};

/// All roles that run in [`town`] continue their conversations.
const SAME: &str = r#"{"resume":{"deacon":"same","witness":"same","refinery":"same"}}"#;

/// A town whose agents have said something already.
async fn talking(world: &World, rigs: &[&str]) -> Supervisor {
    world.write("settings/supervisor.json", SAME);
    let supervisor = town(world, rigs).await;
    world.pass(mins(5)).await;
    supervisor
}

fn command(world: &World, name: &str) -> String {
    world.state().session(name).command.clone()
}

async fn dies_and_is_back(world: &World, name: &str) {
    let before = world.state().created(name).len();
    world.end_session(name, "its agent ended");
    world.until("a next start", mins(20), |state| state.created(name).len() > before).await;
    world.pass(secs(20)).await;
}

/// The id of an agent's conversation as it is noted for the next supervisor.
fn noted(state: &State, agent: &str) -> Option<String> {
    let bytes = state.files.get(&path("daemon/supervisor/conversations.json"))?;
    let file: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    file["agents"][agent]["now"]["id"].as_str().map(str::to_owned)
}

#[test]
fn the_same_conversation_after_a_death_and_by_the_next_supervisor() {
    simulate(1300, |world| async move {
        let supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let id = world.conversation(&name);
        assert_eq!(noted(&world.state(), "r/witness").as_deref(), Some(id.as_str()));
        assert!(
            command(&world, &name).contains(&format!(" --session-id {id}")),
            "{}",
            command(&world, &name)
        );
        dies_and_is_back(&world, &name).await;
        let resumed = command(&world, &name);
        assert!(resumed.ends_with(&format!(" --resume {id}")), "no prompt follows: {resumed}");
        let typed = world.state().session(&name).typed.clone();
        assert_eq!(typed.len(), 1);
        assert!(typed[0].1.ends_with("Continue where you were."), "{typed:?}");
        let story = supervisor.story("r/witness").join("\n");
        assert!(story.contains(&format!("resumes conversation {}", &id[..8])), "{story}");
        assert!(story.contains("fresh conversation"), "its first start: {story}");
        supervisor.vanish().await;
        world.end_session(&name, "its agent ended");
        let supervisor = world.supervisor().await;
        world.until("a third start", mins(5), |state| state.created(&name).len() == 3).await;
        assert!(command(&world, &name).contains(&format!(" --resume {id}")));
        world.pass(mins(1)).await;
        assert_eq!(supervisor.snapshot().await.problems, Default::default());
        assert_eq!(world.state().conversations.lost(), Vec::<String>::new());
    });
}

#[test]
fn by_default_only_those_continue_whom_people_talk_to() {
    simulate(1301, |world| async move {
        let supervisor = town(&world, &["r"]).await;
        world.ask(MAYOR, "mayor/", "restart");
        supervisor.signals.tell(Signal::HeartbeatNow);
        world.until("the mayor", mins(1), |state| state.lives(MAYOR)).await;
        world.pass(mins(2)).await;
        for (name, agent) in [(witness("r"), "r/witness"), (refinery("r"), "r/refinery")] {
            assert!(!command(&world, &name).contains("--session-id"), "{name}");
            dies_and_is_back(&world, &name).await;
            assert!(!command(&world, &name).contains("--resume"), "{name}");
            assert_eq!(noted(&world.state(), agent), None, "{name}");
        }
        let id = world.conversation(MAYOR);
        world.end_session(MAYOR, "its agent ended");
        world.pass(secs(10)).await;
        world.ask(MAYOR, "mayor/", "restart");
        supervisor.signals.tell(Signal::HeartbeatNow);
        world.until("the mayor again", mins(1), |state| state.created(MAYOR).len() == 2).await;
        world.pass(secs(20)).await;
        assert!(
            command(&world, MAYOR).ends_with(&format!("--resume {id}")),
            "it did not run when it was asked for"
        );
    });
}

#[test]
fn in_a_storm_of_deaths_no_record_is_lost_and_few_are_resumed_at_once() {
    for (case, kept_open) in
        [("programs that open their file for each record", false), ("that keep it open", true)]
    {
        simulate(1302, |world| async move {
            let rigs = ["a", "b", "c"];
            let supervisor = talking(&world, &rigs).await;
            {
                let mut state = world.state();
                (state.conversations.cut, state.conversations.kept_open) = (true, kept_open);
            }
            let names: Vec<String> = rigs.iter().flat_map(|rig| [witness(rig), refinery(rig)]).collect();
            for round in 0..6 {
                for name in names.iter().map(String::as_str).chain([DEACON]) {
                    // Some die while they are compared, some before.
                    if round % 2 == 0 || world.state().rng.bool() {
                        world.end_session(name, "its agent ended");
                    }
                }
                let pause = world.state().rng.u64(5..60);
                world.pass(secs(pause)).await;
            }
            world.pass(mins(45)).await;
            let resumed = world.state().conversations.resumed.clone();
            assert!(resumed.len() > 12, "{case}: {}", resumed.len());
            for at in &resumed {
                let within = resumed.iter().filter(|it| (*at..*at + secs(10)).contains(it)).count();
                assert!(within <= 4, "{case}: {within} conversations are resumed within 10 s of {at:?}");
            }
            let cut = supervisor.story("a/witness").iter().any(|line| line.contains("lost"));
            assert!(cut, "{case}: {:#?}", supervisor.story("a/witness"));
            // What a living program keeps open is put back when it ended.
            world.state().conversations.cut = false;
            for name in names.iter().map(String::as_str).chain([DEACON]) {
                world.end_session(name, "its agent ended");
            }
            world.pass(mins(45)).await;
            assert_eq!(world.state().conversations.lost(), Vec::<String>::new(), "{case}");
            let copies = world.state().conversations.files.keys().filter(|it| it.starts_with(TOWN)).count();
            assert!(copies <= 20, "{case}: {copies} copies");
            assert_eq!(
                supervisor.snapshot().await.problems.keys().filter(|it| it.contains("transcript")).count(),
                0
            );
        });
    }
}

#[test]
fn a_conversation_that_its_program_does_not_know_is_no_crash() {
    simulate(1303, |world| async move {
        let supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let id = world.conversation(&name);
        world.state().conversations.unknown.insert(id.clone());
        world.end_session(&name, "its agent ended");
        world.until("the resume and the fresh start", mins(1), |state| state.created(&name).len() == 3).await;
        world.pass(secs(20)).await;
        assert!(!command(&world, &name).contains("--resume"));
        let new = world.conversation(&name);
        assert_ne!(new, id);
        assert_eq!(noted(&world.state(), "r/witness"), Some(new));
        let story = supervisor.story("r/witness").join("\n");
        assert!(story.contains("fresh conversation: its program does not know its last one"), "{story}");
        let agent = supervisor.agent("r/witness").await;
        assert_eq!(
            (agent.state.as_str(), agent.restarts),
            ("alive", 1),
            "its death counts, the failed resume does not"
        );
        let events = world.text(".events.jsonl").unwrap();
        assert_eq!(events.matches("session_death").count(), 1, "{events}");
        assert!(
            world.state().conversations.files.keys().any(|path| path.to_string_lossy().contains(&id)),
            "it stays"
        );
    });
}

#[test]
fn a_program_that_goes_on_in_another_conversation_is_followed() {
    simulate(1304, |world| async move {
        let _supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let cleared = "11111111-0000-4000-8000-000000000001";
        world.begin_conversation(&name, cleared);
        world.pass(mins(2)).await;
        dies_and_is_back(&world, &name).await;
        assert!(
            command(&world, &name).contains(&format!("--resume {cleared}")),
            "{}",
            command(&world, &name)
        );
        // Somebody else worked there at the same time: nobody knows whose conversation that is.
        let began = world.wall();
        world.pass(mins(1)).await;
        world.somebody_writes(&name, "22222222-0000-4000-8000-000000000002", began);
        dies_and_is_back(&world, &name).await;
        assert!(command(&world, &name).contains(&format!("--resume {cleared}")), "the old one is kept");
        // Somebody wrote there before this program was started.
        let long_ago = world.wall() - SignedDuration::from_hours(5);
        world.somebody_writes(&name, "33333333-0000-4000-8000-000000000003", long_ago);
        dies_and_is_back(&world, &name).await;
        assert!(command(&world, &name).contains(&format!("--resume {cleared}")), "the old one is kept");
        assert_eq!(world.state().conversations.lost(), Vec::<String>::new());
    });
}

#[test]
fn without_a_copy_nothing_is_risked() {
    simulate(1305, |world| async move {
        let supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let id = world.conversation(&name);
        world.state().conversations.cut = true;
        world.fail("copy transcript", true);
        dies_and_is_back(&world, &name).await;
        let started = command(&world, &name);
        assert!(!started.contains("--resume") && started.contains("--session-id"), "{started}");
        let story = supervisor.story("r/witness").join("\n");
        assert!(
            story.contains("fresh conversation: its last one was not risked: input/output error"),
            "{story}"
        );
        // The new one is continued.
        world.fail("copy transcript", false);
        world.pass(mins(1)).await;
        let new = world.conversation(&name);
        assert_ne!(new, id);
        dies_and_is_back(&world, &name).await;
        assert!(command(&world, &name).contains(&format!("--resume {new}")));
        world.pass(mins(1)).await;
        assert_eq!(world.state().conversations.lost(), Vec::<String>::new());
    });
}

#[test]
fn a_supervisor_that_ends_between_the_note_and_the_process() {
    simulate(1306, |world| async move {
        let supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let id = world.conversation(&name);
        // A first conversation is noted, and its process never comes.
        world.hang("create");
        world.ask(&name, "r/witness", "cycle");
        supervisor.signals.tell(Signal::HeartbeatNow);
        world.until("the note", mins(5), |state| noted(state, "r/witness").is_some_and(|it| it != id)).await;
        let never = noted(&world.state(), "r/witness").unwrap();
        supervisor.vanish().await;
        world.release("create");
        world.pass(secs(1)).await;
        let supervisor = world.supervisor().await;
        world.until("its agent", mins(5), |state| state.lives(&name)).await;
        world.pass(secs(30)).await;
        let id = world.conversation(&name);
        assert_ne!(id, never, "what was never said anything in is not resumed");
        assert_eq!(noted(&world.state(), "r/witness"), Some(id.clone()));
        // A conversation is to be resumed, and its process never comes.
        world.pass(mins(1)).await;
        world.hang("create");
        let before = world.state().created(&name).len();
        world.end_session(&name, "its agent ended");
        world.pass(secs(30)).await;
        supervisor.vanish().await;
        world.release("create");
        world.pass(secs(1)).await;
        let _supervisor = world.supervisor().await;
        world
            .until("its agent again", mins(5), |state| {
                state.created(&name).len() > before && state.lives(&name)
            })
            .await;
        assert!(command(&world, &name).contains(&format!("--resume {id}")));
        world.pass(mins(1)).await;
        assert_eq!(world.state().conversations.lost(), Vec::<String>::new());
    });
}

#[test]
fn who_asks_for_a_restart_gets_a_new_conversation() {
    simulate(1307, |world| async move {
        let supervisor = talking(&world, &["r"]).await;
        let name = witness("r");
        let id = world.conversation(&name);
        world.ask(&name, "r/witness", "cycle");
        supervisor.signals.tell(Signal::HeartbeatNow);
        world.until("the restart", mins(2), |state| state.created(&name).len() == 2).await;
        world.pass(secs(20)).await;
        assert!(!command(&world, &name).contains("--resume"));
        assert_ne!(world.conversation(&name), id);
    });
}
