//! The pane that a session of Gas Town 1.x names as its agent's.

use gastown_supervisor::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        role::Plain,
    },
    supervision::{child::ask, messages::Broadcast},
    town::{dialect::Dialect, identity::Identity},
};
use ractor::Actor;

use crate::{Told, beat, spec, town, world::*};

/// The state of a deacon whose session names this pane (its own or the one a person opened beside it) after some
/// heartbeats, and how often tmux was asked for the session's environment.
fn seen(seed: u64, dialect: Dialect, own: bool) -> (&'static str, usize) {
    simulate(seed, |world| async move {
        world.is_of(dialect);
        let (deps, told, name) = (town(&world).await, Told::default(), DEACON.to_owned());
        world.start_agent(&name);
        world.split(&name);
        {
            let mut state = world.state();
            let session = state.sessions.get_mut(&name).unwrap();
            let pane = if own { session.id } else { session.persons_shell.unwrap().into() };
            session.environment.insert("GT_PANE_ID".to_owned(), format!("%{pane}"));
        }
        world.pass(mins(5)).await;
        let spec = spec(Identity::Deacon);
        let plan = AgentPlan { deps: deps.clone(), spec, answers: told.answers(), role: Box::new(Plain) };
        let agent = Actor::spawn(None, AgentActor, plan).await.unwrap().0;
        let mut states = Vec::new();
        for number in 1..=5 {
            agent.cast(AgentMsg::Broadcast(Broadcast::Heartbeat(beat(&deps, number).await))).unwrap();
            world.pass(millis(100)).await;
            states.push(ask(&agent, AgentMsg::Status, millis(1)).await.unwrap().state);
        }
        let asked = world.state().trace.iter().filter(|line| line.what.starts_with("environment")).count();
        (states[4], asked)
    })
}

#[test]
fn is_the_only_one_where_the_agent_is_looked_for_and_asked_for_once() {
    assert_eq!(seen(110, Dialect::V1, true), ("alive", 1));
    let (state, _) = seen(111, Dialect::V1, false);
    assert_eq!(state, "confirming", "an agent in another pane is not the one");
    assert_eq!(seen(112, Dialect::January, false), ("alive", 0));
}
