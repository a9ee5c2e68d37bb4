//! A town of one file: when an agent is started again, how it is ended, and what it waits for.

use std::time::Duration;

use gastown_supervisor::agent::requests::{Action, Outcome};
use rustix::process::Signal;

use crate::world::*;

/// Anna's command for an agent; returns what it came to.
async fn ordered(
    world: &World,
    supervisor: &Supervisor,
    (action, agent): (Action, &str),
    hold: Option<Duration>,
) -> Outcome {
    crate::commands::ordered(world, supervisor, (action, agent), hold, false).await
}

fn created(world: &World, session: &str) -> usize {
    world.state().created(session).len()
}

async fn lives(world: &World, supervisor: &Supervisor, agent: &str) {
    let session = agent.trim_start_matches('@');
    world.until("its session", mins(1), |state| state.lives(session)).await;
    let until = world.time() + mins(1);
    while supervisor.agent(agent).await.state != "alive" {
        assert!(world.time() < until, "{:?}", supervisor.agent(agent).await);
        world.pass(millis(50)).await;
    }
}

async fn state(supervisor: &Supervisor, agent: &str) -> (String, String, String) {
    let agent = supervisor.agent(agent).await;
    (agent.state, agent.reason_code.unwrap_or_default(), agent.reason.unwrap_or_default())
}

async fn started(world: &World, text: &str) -> Supervisor {
    world.is_one_file(text);
    world.supervisor().await
}

/// One agent with this word.
fn job(restart: &str) -> String {
    format!("[agents.job]\ncommand = \"claude\"\nrestart = \"{restart}\"\n")
}

#[test]
fn what_ended_is_started_again_as_its_word_says() {
    for (word, exit, again, code, text) in [
        ("always", 0, true, "", ""),
        ("always", 3, true, "", ""),
        ("unless-stopped", 0, true, "", ""),
        ("on-failure", 3, true, "", ""),
        ("on-failure", 143, true, "", ""),
        ("on-failure", 0, false, "ended_well", "ended by itself with exit code 0"),
        ("no", 0, false, "ended_well", "ended by itself with exit code 0"),
        ("no", 3, false, "not_restarted", "ended by itself with exit code 3"),
        ("no", 137, false, "not_restarted", "ended by itself by SIGKILL"),
    ] {
        simulate(4_100, |world| async move {
            let name = format!("{word}, exit {exit}");
            let supervisor = started(&world, &job(word)).await;
            lives(&world, &supervisor, "@job").await;
            world.pass(mins(2)).await;
            world.exit_agent("job", exit);
            if again {
                world.until(&name, secs(10), |state| state.created("job").len() == 2).await;
                lives(&world, &supervisor, "@job").await;
                return;
            }
            world.pass(mins(2)).await;
            let expected = ("absent".to_owned(), code.to_owned(), text.to_owned());
            assert_eq!(state(&supervisor, "@job").await, expected, "{name}");
            assert!(!world.state().sessions.contains_key("job"), "{name}: its dead pane was removed");
            let story = supervisor.story("@job").join("\n");
            assert_eq!(story.contains("died:"), exit != 0, "{name}: {story}");
            assert_eq!(supervisor.agent("@job").await.restarts, 0, "{name}");
            // Neither time nor the next supervisor starts it.
            world.pass(mins(60)).await;
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.pass(mins(10)).await;
            assert_eq!((created(&world, "job"), state(&supervisor, "@job").await), (1, expected), "{name}");
            let outcome = ordered(&world, &supervisor, (Action::Start, "@job"), None).await;
            assert!(outcome.ok && outcome.code == "started", "{name}: {outcome:?}");
            lives(&world, &supervisor, "@job").await;
            assert_eq!(created(&world, "job"), 2, "{name}");
        });
    }
}

#[test]
fn what_ended_while_no_supervisor_ran() {
    // How its dead pane, if it is left, says that it ended; and how often it is started by the next supervisor.
    for (word, exit, starts, code) in [
        ("on-failure", Some(0), 0, "ended_well"),
        ("on-failure", Some(3), 1, ""),
        ("on-failure", None, 1, ""),
        ("no", Some(0), 0, "ended_well"),
        ("no", Some(3), 0, "not_restarted"),
        ("no", None, 0, "not_restarted"),
        ("unless-stopped", None, 1, ""),
    ] {
        simulate(4_101, |world| async move {
            let name = format!("{word}, {exit:?}");
            let supervisor = started(&world, &job(word)).await;
            lives(&world, &supervisor, "@job").await;
            world.pass(mins(2)).await;
            supervisor.vanish().await;
            match exit {
                Some(code) => world.exit_agent("job", code),
                None => world.end_session("job", "the machine was started anew"),
            }
            world.pass(mins(1)).await;
            let supervisor = world.supervisor().await;
            world.pass(mins(5)).await;
            assert_eq!(created(&world, "job"), 1 + starts, "{name}");
            assert_eq!(state(&supervisor, "@job").await.1, code, "{name}");
            let unknown = world.logged("its exit status is not known; counts as a failure").len();
            assert_eq!(unknown, usize::from(word == "on-failure" && exit.is_none()), "{name}");
        });
    }
}

#[test]
fn a_stop_is_kept_by_the_next_supervisor_unless_the_word_is_always() {
    for (word, hold, starts) in [
        ("always", None, true),
        ("always", Some(mins(120)), false),
        ("unless-stopped", None, false),
        ("on-failure", None, false),
        ("no", None, false),
    ] {
        simulate(4_102, |world| async move {
            let name = format!("{word}, {hold:?}");
            let supervisor = started(&world, &job(word)).await;
            lives(&world, &supervisor, "@job").await;
            world.allow_end("job");
            let stopped = ordered(&world, &supervisor, (Action::Stop, "@job"), hold).await;
            assert!(stopped.ok, "{name}: {stopped:?}");
            world.pass(mins(30)).await;
            assert_eq!(
                (created(&world, "job"), state(&supervisor, "@job").await.0.as_str()),
                (1, "held"),
                "{name}"
            );
            supervisor.vanish().await;
            let supervisor = world.supervisor().await;
            world.pass(mins(10)).await;
            assert_eq!(created(&world, "job") == 2, starts, "{name}");
            let expected = if starts { "alive" } else { "held" };
            assert_eq!(state(&supervisor, "@job").await.0, expected, "{name}");
        });
    }
}

#[test]
fn an_agent_is_ended_as_its_file_says() {
    let stop = "stop = { signal = \"INT\", grace = \"20s\" }\n";
    for (more, signal, grace) in [("", Signal::TERM, secs(2)), (stop, Signal::INT, secs(20))] {
        simulate(4_103, |world| async move {
            let supervisor = started(&world, &format!("{}{more}", job("unless-stopped"))).await;
            lives(&world, &supervisor, "@job").await;
            world.allow_end("job");
            ordered(&world, &supervisor, (Action::Stop, "@job"), None).await;
            assert_eq!(world.state().signals, [("job".to_owned(), signal, grace)]);
        });
    }
}

const CHAIN: &str = "[agents.web]\ncommand = \"claude\"\nafter = [\"db\", \"setup\"]\n\
    [agents.db]\ncommand = \"claude\"\n[agents.setup]\ncommand = \"claude\"\nrestart = \"on-failure\"\n";

#[test]
fn an_agent_is_started_once_those_work_that_it_is_started_after() {
    simulate(4_104, |world| async move {
        world.state().nature.stillborn.push("db".to_owned());
        let supervisor = started(&world, CHAIN).await;
        lives(&world, &supervisor, "@setup").await;
        let (phase, code, text) = state(&supervisor, "@web").await;
        assert_eq!((phase.as_str(), code.as_str()), ("waiting", "waits_for_agent"), "{text}");
        assert!(text.starts_with("waits for @db, which is starting"), "{text}");
        world.pass(mins(10)).await;
        assert_eq!(created(&world, "web"), 0);
        let waits = world.logged("not running, not started: waits for @db").len();
        assert_eq!(waits, 1, "that it waits is said once");
        world.state().nature.stillborn.clear();
        world.until("db", mins(30), |state| state.lives("db")).await;
        let before = world.time();
        lives(&world, &supervisor, "@web").await;
        assert!(world.time() - before < secs(30), "it is woken");
    });
}

#[test]
fn one_that_has_done_all_it_was_to_do_is_not_waited_for() {
    simulate(4_105, |world| async move {
        let text = "[agents.web]\ncommand = \"claude\"\nafter = [\"setup\"]\n\
            [agents.setup]\ncommand = \"claude\"\nrestart = \"on-failure\"\n";
        world.state().nature.prompts = 20_000..20_001;
        world.state().nature.short_lived.insert("setup".to_owned(), secs(1));
        let supervisor = started(&world, text).await;
        world.until("setup", secs(10), |state| state.created("setup").len() == 1).await;
        world.pass(millis(800)).await;
        world.exit_agent("setup", 0);
        lives(&world, &supervisor, "@web").await;
        assert_eq!(state(&supervisor, "@setup").await.1, "ended_well");
        assert_eq!(created(&world, "setup"), 1);
    });
}

#[test]
fn what_runs_goes_on_whatever_its_dependencies_do() {
    simulate(4_106, |world| async move {
        let supervisor = started(&world, CHAIN).await;
        for agent in ["@db", "@setup", "@web"] {
            lives(&world, &supervisor, agent).await;
        }
        world.allow_end("db");
        ordered(&world, &supervisor, (Action::Stop, "@db"), None).await;
        world.pass(mins(20)).await;
        assert_eq!((created(&world, "web"), state(&supervisor, "@web").await.0.as_str()), (1, "alive"));
        // The next supervisor takes it as it is.
        supervisor.vanish().await;
        let supervisor = world.supervisor().await;
        world.pass(mins(5)).await;
        assert_eq!((created(&world, "web"), state(&supervisor, "@web").await.0.as_str()), (1, "alive"));
        // It ends by itself: its restart waits for what somebody stopped.
        world.exit_agent("web", 1);
        world.pass(mins(10)).await;
        assert_eq!(created(&world, "web"), 1);
        let (phase, _, text) = state(&supervisor, "@web").await;
        assert_eq!(
            (phase.as_str(), text.as_str()),
            ("waiting", "waits for @db, which is held (stopped by anna)")
        );
        let refused = ordered(&world, &supervisor, (Action::Start, "@web"), None).await;
        assert_eq!((refused.ok, refused.code.as_str()), (false, "waits_for_agent"), "{refused:?}");
        // It can be stopped meanwhile, and is started when both are asked for.
        let stopped = ordered(&world, &supervisor, (Action::Stop, "@web"), None).await;
        assert!(stopped.ok, "{stopped:?}");
        for agent in ["@db", "@web"] {
            let outcome = ordered(&world, &supervisor, (Action::Start, agent), None).await;
            assert!(outcome.ok, "{agent}: {outcome:?}");
        }
        lives(&world, &supervisor, "@web").await;
    });
}
