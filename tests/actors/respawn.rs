//! A deacon of Gas Town 1.x, whose pane stays when its process ends and is respawned by a hook of tmux after 3 s.

use std::time::Duration;

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        role::Plain,
    },
    sessions::death::{Death, Sign},
    supervision::{child::ask, messages::Broadcast},
    town::{dialect::Dialect, identity::Identity},
};
use ractor::Actor;

use crate::{Told, beat, look, spec, town, world::*};

/// What became of a deacon whose process ended: whether it lives 2, 3.9 and 30 s later, in how many new sessions, and how
/// often its death was reported and a restart counted.
#[derive(Debug, PartialEq)]
struct Fate {
    states: [&'static str; 3],
    created: usize,
    deaths: usize,
    restarts: u32,
}

fn fate(seed: u64, dialect: Dialect, exit: i32, respawned: Option<Duration>) -> Fate {
    simulate(seed, |world| async move {
        world.is_of(dialect);
        let (deps, told) = (town(&world).await, Told::default());
        world.start_agent(DEACON);
        world.pass(mins(2)).await;
        let plan = AgentPlan {
            deps: deps.clone(),
            spec: spec(Identity::Deacon),
            answers: told.answers(),
            role: Box::new(Plain),
        };
        let agent = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
        agent.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(secs(1)).await;
        let put = |condition| {
            let now = world.time();
            let mut state = world.state();
            state.ends(now, DEACON);
            state.sessions.get_mut(DEACON).unwrap().condition = condition;
        };
        put(Condition::Exited(exit));
        let scanned = async || {
            agent.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
            world.pass(millis(50)).await;
        };
        scanned().await;
        let mut states = ["", "", ""];
        let until_respawn = respawned.unwrap_or(secs(3));
        for (state, at) in states.iter_mut().zip([secs(2), millis(3900), secs(30)]) {
            if at > until_respawn && respawned.is_some_and(|_| world.state().created(DEACON).is_empty()) {
                put(Condition::Well);
                scanned().await;
            }
            let passed = world.time().saturating_sub(mins(2) + secs(1));
            world.pass(at.saturating_sub(passed)).await;
            *state = ask(&agent, AgentMsg::Status, millis(1)).await.unwrap().state;
        }
        let created = world.state().created(DEACON).len();
        let deaths = world.events("session_death").len();
        let restarts = deps.records.restarts(&Identity::Deacon).restart_count;
        Fate { states, created, deaths, restarts }
    })
}

#[test]
fn what_is_respawned_has_not_died_and_what_left_by_itself_is_not_counted() {
    let fate_of = |states, created, deaths, restarts| Fate { states, created, deaths, restarts };
    let hook = Some(secs(3));
    let respawned = || fate_of(["confirming", "alive", "alive"], 0, 0, 0);
    for (case, dialect, exit, hook, expected) in [
        ("a clean exit, respawned", Dialect::V1, 0, hook, respawned()),
        ("a crash, respawned", Dialect::V1, 137, hook, respawned()),
        (
            "a clean exit, nothing respawns it",
            Dialect::V1,
            0,
            None,
            fate_of(["confirming", "confirming", "alive"], 1, 0, 0),
        ),
        (
            "a crash, nothing respawns it",
            Dialect::V1,
            137,
            None,
            fate_of(["confirming", "confirming", "alive"], 1, 1, 1),
        ),
        (
            "a clean exit in January",
            Dialect::January,
            0,
            None,
            fate_of(["starting", "starting", "alive"], 1, 1, 1),
        ),
    ] {
        assert_eq!(fate(115, dialect, exit, hook), expected, "{case}");
    }
}

/// What is respawned again and again is reported once, until it lived for long.
#[test]
fn what_is_respawned_again_and_again_is_a_problem() {
    simulate(117, |world| async move {
        world.is_v1();
        let (deps, told) = (town(&world).await, Told::default());
        world.start_agent(DEACON);
        world.pass(mins(2)).await;
        let (spec, role, answers) = (spec(Identity::Deacon), Box::new(Plain), told.answers());
        let plan = AgentPlan { deps: deps.clone(), spec, answers, role };
        let agent = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
        agent.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(secs(1)).await;
        let put = async |condition| {
            let now = world.time();
            {
                let mut state = world.state();
                state.ends(now, DEACON);
                state.sessions.get_mut(DEACON).unwrap().condition = condition;
            }
            agent.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
            world.pass(millis(50)).await;
        };
        let text = "deacon: its process ended 5 times within 15m and was respawned each time by its tmux hook; see \
                    `explain deacon`";
        for n in 1..=6 {
            put(Condition::Exited(137)).await;
            world.pass(secs(3)).await;
            put(Condition::Well).await;
            assert_eq!(world.logged("respawned by its tmux hook, no action").len(), n);
            assert_eq!(world.logged(text).len(), usize::from(n >= 5), "after {n}");
            world.pass(secs(20)).await;
        }
        assert_eq!(world.logged("by somebody else").len() + world.logged("is back by itself").len(), 0);
        world.pass(mins(31)).await;
        agent.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 2).await))).unwrap();
        world.pass(secs(1)).await;
        assert_eq!(world.logged(&format!("Resolved: {text}")).len(), 1);
    });
}

/// `gt` 1.x makes a session with a shell, and then gives its pane to the agent. The end of the shell is reported, as that of
/// any process of a pane; the agent has not died of it.
#[test]
fn a_session_made_in_two_steps_has_not_died() {
    simulate(116, |world| async move {
        world.is_v1();
        let (deps, told, name) = (town(&world).await, Told::default(), witness("r"));
        world.state().nature.stillborn = vec![name.clone()];
        world.start_agent(&name);
        let identity = Identity::Witness("r".parse().unwrap());
        let spec = spec(identity.clone());
        let plan = AgentPlan { deps: deps.clone(), spec, answers: told.answers(), role: Box::new(Plain) };
        let agent = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
        agent.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, 1).await))).unwrap();
        world.pass(millis(30)).await;
        let (shell, id) = {
            let state = world.state();
            (state.session(&name).pid, format!("${}", state.session(&name).id))
        };
        let now = world.time();
        {
            let mut state = world.state();
            let session = state.sessions.get_mut(&name).unwrap();
            (session.condition, session.appears) = (Condition::Well, now);
            session.pid += 1000;
        }
        agent
            .cast(AgentMsg::Broadcast(Broadcast::Died(Death {
                session: name.clone(),
                id,
                noticed: deps.now(),
                exit: Some(137),
                with_server: false,
                sign: Sign::Process,
                panes: vec![shell],
            })))
            .unwrap();
        for _ in 0..5 {
            world.pass(secs(2)).await;
            agent.cast(AgentMsg::Broadcast(Broadcast::Scanned(look(&deps).await))).unwrap();
        }
        world.pass(secs(1)).await;
        assert_eq!(ask(&agent, AgentMsg::Status, millis(1)).await.unwrap().state, "alive");
        let deaths = world.events("session_death").len();
        let created = world.state().created(&name).len();
        assert_eq!((deaths, created, deps.records.restarts(&identity).restart_count), (0, 0, 0));
        assert_eq!(world.logged("confirming").len(), 0);
    });
}
