//! The checks of the health of an agent of a town of one file.

use std::sync::Arc;

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        dependencies::works,
        kill, nudge,
        spec::AgentSpec,
    },
    deps::Deps,
    report::Health,
    roles::own::Own,
    supervision::child::ask,
    town::{identity::Identity, rig_plan::Prefixes},
};
use ractor::{Actor, ActorRef};

use crate::{Told, world::*};

/// An agent that is checked every 10 s, and left as it is when it is not well.
const LEFT: &str = "[agents.a]\ncommand = \"claude\"\nrestart = \"no\"\n\
    health = { url = \"http://localhost:9/well\", interval = \"10s\", timeout = \"4s\", retries = 2 }\n";

fn agent(name: &str) -> Identity {
    Identity::Own(name.parse().unwrap())
}

async fn town(world: &World, file: &str) -> Arc<Deps> {
    world.is_one_file(file);
    world.deps().await.0
}

async fn spawn(deps: &Arc<Deps>, name: &str) -> ActorRef<AgentMsg> {
    let spec = AgentSpec::of(deps, agent(name), &Prefixes::default());
    let (answers, role) = (Told::default().answers(), Box::<Own>::default());
    let plan = AgentPlan { deps: deps.clone(), spec, answers, role };
    let actor = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
    actor.cast(AgentMsg::Probe).unwrap();
    actor
}

async fn health_of(actor: &ActorRef<AgentMsg>) -> Option<Health> {
    ask(actor, AgentMsg::Status, millis(1)).await.unwrap().health
}

async fn state_of(actor: &ActorRef<AgentMsg>) -> Option<String> {
    health_of(actor).await.map(|health| health.state)
}

/// At which seconds it was asked for.
fn asked_at(world: &World, since: std::time::Duration) -> Vec<u64> {
    let state = world.state();
    state.network.got.iter().map(|(at, ..)| at.saturating_sub(since).as_secs()).collect()
}

/// What its history says of its health, oldest first.
fn told(deps: &Deps) -> Vec<String> {
    let entries = deps.records.history(&agent("a")).entries;
    let of_it = entries.iter().filter(|it| ["healthy", "unhealthy"].contains(&it.reason.as_str()));
    of_it.map(|it| format!("{}x {} | {}", it.times, it.seen, it.done)).collect()
}

fn serve(world: &World, serves: Serves) {
    world.state().network.serves = serves;
}

#[test]
fn each_change_is_reported_once_and_no_check() {
    simulate(720, |world| async move {
        let deps = town(&world, LEFT).await;
        world.start_agent("a");
        world.pass(secs(5)).await;
        let begun = world.time();
        let actor = spawn(&deps, "a").await;
        world.pass(secs(1)).await;
        assert_eq!(state_of(&actor).await.as_deref(), Some("healthy"));
        assert!(works(&deps, &agent("a")).is_ok());
        serve(&world, Serves::Answer(503, "no connection"));
        world.pass(secs(15)).await;
        let failing = health_of(&actor).await.unwrap();
        assert_eq!((failing.state.as_str(), failing.failures), ("healthy", 1));
        world.pass(secs(45)).await;
        let unhealthy = health_of(&actor).await.unwrap();
        assert_eq!(unhealthy.state, "unhealthy");
        assert_eq!(unhealthy.said.as_deref(), Some("HTTP 503: no connection"));
        assert!(works(&deps, &agent("a")).is_err());
        assert_eq!(asked_at(&world, begun), [0, 10, 20, 30, 40, 50, 60], "one interval apart");
        assert!(
            world
                .state()
                .network
                .got
                .iter()
                .all(|(_, url, body)| { url == "http://localhost:9/well" && body.is_none() })
        );
        let problems = deps.problems.open();
        assert!(
            problems["@a/health"].starts_with("a is unhealthy: 2 checks in a row failed"),
            "{problems:?}"
        );
        serve(&world, Serves::Answer(301, ""));
        world.pass(secs(20)).await;
        assert_eq!(
            told(&deps),
            [
                "2x healthy: its check succeeded | ",
                "1x unhealthy: 2 checks in a row failed: HTTP 503: no connection | left running, as its `restart` is `no`",
            ]
        );
        assert!(!deps.problems.any("@a/health"));
        assert!(world.state().lives("a"));
    });
}

#[test]
fn one_that_is_silent_is_not_well_and_one_that_is_dead_is_not_asked() {
    simulate(721, |world| async move {
        let deps = town(&world, LEFT).await;
        world.start_agent("a");
        world.pass(secs(5)).await;
        serve(&world, Serves::Hangs);
        let actor = spawn(&deps, "a").await;
        world.pass(secs(14)).await;
        assert_eq!(state_of(&actor).await.as_deref(), Some("starting"), "no failure counts yet");
        assert!(works(&deps, &agent("a")).is_err());
        world.pass(secs(30)).await;
        assert_eq!(state_of(&actor).await.as_deref(), Some("unhealthy"));
        world.crash_agent("a", false);
        actor.cast(AgentMsg::Probe).unwrap();
        world.pass(millis(100)).await;
        let count = world.state().network.got.len();
        assert_eq!(health_of(&actor).await, None, "it does not live");
        world.pass(secs(60)).await;
        assert_eq!(world.state().network.got.len(), count, "what is dead is not checked");
    });
}

#[test]
fn a_question_on_its_screen_ends_the_checks() {
    simulate(722, |world| async move {
        let deps = town(&world, LEFT).await;
        world.start_agent("a");
        world.pass(secs(5)).await;
        let actor = spawn(&deps, "a").await;
        world.pass(secs(1)).await;
        let spec = AgentSpec::of(&deps, agent("a"), &Prefixes::default());
        let key = kill::key(&deps.sessions.find("a").await.unwrap().unwrap());
        world.ask_in("a", Asks::trust());
        nudge::read_screen(&deps, &spec, &key).await.unwrap();
        serve(&world, Serves::Answer(503, ""));
        let count = world.state().network.got.len();
        world.pass(mins(2)).await;
        assert_eq!(world.state().network.got.len(), count, "nothing is asked for");
        assert_eq!(state_of(&actor).await.as_deref(), Some("healthy"), "it stays what it was");
    });
}

#[test]
fn a_command_is_run_by_sh_and_one_that_hangs_has_failed() {
    simulate(723, |world| async move {
        let file = LEFT.replace("url = \"http://localhost:9/well\"", "command = \"pg_isready\"");
        let deps = town(&world, &file).await;
        world.start_agent("a");
        world.pass(secs(5)).await;
        let actor = spawn(&deps, "a").await;
        world.pass(secs(1)).await;
        assert_eq!(state_of(&actor).await.as_deref(), Some("healthy"));
        assert!(world.state().trace.iter().any(|line| line.what.starts_with("run `sh -c pg_isready`")));
        world.fail("command", true);
        world.pass(secs(30)).await;
        let said = health_of(&actor).await.and_then(|health| health.said);
        assert_eq!(said.as_deref(), Some("exit code 1: it failed"));
        world.fail("command", false);
        world.hang("command");
        world.pass(secs(30)).await;
        let health = health_of(&actor).await.unwrap();
        assert_eq!(
            (health.state.as_str(), health.said.as_deref()),
            ("unhealthy", Some("not done within 4s"))
        );
    });
}

#[test]
fn one_that_is_not_well_is_replaced() {
    simulate(724, |world| async move {
        let deps = town(&world, &LEFT.replace("restart = \"no\"\n", "")).await;
        world.start_agent("a");
        world.pass(secs(5)).await;
        let actor = spawn(&deps, "a").await;
        world.pass(secs(1)).await;
        world.state().network.unwell.insert("a".to_owned());
        serve(&world, Serves::Answer(500, ""));
        world.pass(secs(25)).await;
        let entries = deps.records.history(&agent("a")).entries;
        let replaced = entries.iter().find(|it| it.seen.starts_with("its health checks fail"));
        assert!(replaced.is_some_and(|it| it.done.starts_with("replacing it")), "{entries:?}");
        let status = ask(&actor, AgentMsg::Status, millis(1)).await.unwrap();
        assert_eq!(status.restarts, 1, "it counts as a restart");
    });
}

#[test]
fn at_most_four_are_checked_at_once() {
    simulate(725, |world| async move {
        let names = ["a", "b", "c", "d", "e", "f"];
        let file: String =
            names.iter().map(|name| LEFT.replace("[agents.a]", &format!("[agents.{name}]"))).collect();
        let deps = town(&world, &file).await;
        names.iter().for_each(|name| world.start_agent(name));
        world.pass(secs(5)).await;
        serve(&world, Serves::Hangs);
        for name in names {
            spawn(&deps, name).await;
        }
        world.pass(secs(2)).await;
        assert_eq!(world.state().network.got.len(), 4);
        world.pass(secs(3)).await;
        assert_eq!(world.state().network.got.len(), 6, "the others follow when the time of these is over");
    });
}
