//! A child: an actor as its supervisor sees it, a value that the actor's module provides. OTP's child spec.
//!
//! A supervisor lists its children once; [`Children`](crate::tree::children::Children) starts, restarts and stops
//! them by these values. It must not know any actor in particular.

use std::{fmt, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use ractor::{Actor, ActorCell, ActorRef, ActorStatus, Message, RpcReplyPort, SpawnErr, rpc::CallResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::messages::Broadcast;
use crate::{
    panics::Named,
    ports::problems::ProblemKey,
    supervision::{status::AgentStatus, work::ReplyTo},
    town::identity::Identity,
};

/// How a supervisor starts and reaches a child.
pub struct ChildSpec {
    /// Its name, the same in every incarnation: `feed`, `rig gastown`, `gastown/witness`.
    pub name: String,
    /// The key of the problem that it is suspended.
    pub problem: ProblemKey,
    /// Whether everything depends on it: then its supervisor fails instead of suspending it.
    pub significant: bool,
    /// Whether its supervisor passes heartbeats on to it, and it answers. (Agents get them through the directory.)
    pub answers_heartbeats: bool,
    /// The agent of this actor, if it is an agent's.
    pub agent: Option<Identity>,
    /// Starts an incarnation of it under this supervisor.
    pub start: Start,
}

type Start = Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<Address, SpawnErr>> + Send + Sync>;

impl ChildSpec {
    /// Each incarnation is `actor()`, started with the arguments that `arguments()` returns at that time.
    pub fn new<A: Actor>(
        name: impl Into<String>,
        actor: fn() -> A,
        arguments: impl Fn() -> A::Arguments + Send + Sync + 'static,
        contact: Contact<A::Msg>,
    ) -> Self {
        let name = name.into();
        let (problem, named) = (ProblemKey::from(format!("actor/{name}")).critical(), name.clone());
        let start = move |supervisor| {
            let (actor, arguments, contact) = (Named::new(&named, actor()), arguments(), contact.clone());
            async move {
                let (actor, _) = Actor::spawn_linked(None, actor, arguments, supervisor).await?;
                Ok(contact.with(actor))
            }
            .boxed()
        };
        ChildSpec {
            name,
            problem,
            significant: false,
            answers_heartbeats: false,
            agent: None,
            start: Box::new(start),
        }
    }

    /// What it is called where actors are counted, without the names of agents and rigs: an agent's role, `rig`, `polecats`,
    /// `census`, or its own name.
    pub fn kind(&self) -> &str {
        match (&self.agent, self.name.split_once(' '), self.name.rsplit_once('/')) {
            (Some(agent), ..) => agent.role().as_str(),
            (None, Some((kind, _)), _) | (None, None, Some((_, kind))) => kind,
            (None, None, None) => &self.name,
        }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildSpec").field(&self.name).finish()
    }
}

type Ask<A> = Arc<dyn Fn(A, Duration) -> BoxFuture<'static, Option<Answer>> + Send + Sync>;

/// Which broadcasts and questions the actors of one kind accept.
pub struct Contact<M> {
    takes: fn(Broadcast) -> Option<M>,
    ask: Option<Ask<ActorRef<M>>>,
}

impl<M> Clone for Contact<M> {
    fn clone(&self) -> Self {
        Contact { takes: self.takes, ask: self.ask.clone() }
    }
}

impl<M: Message> Contact<M> {
    /// Actors that accept the broadcasts for which `takes` returns a message of their own.
    pub fn taking(takes: fn(Broadcast) -> Option<M>) -> Self {
        Contact { takes, ask: None }
    }

    /// Actors that also contribute to the town's status.
    pub fn answering<T: Send + 'static>(
        mut self,
        question: fn(RpcReplyPort<T>) -> M,
        answer: fn(T) -> Answer,
    ) -> Self {
        let ask_it = move |actor: ActorRef<M>, limit| {
            async move { ask(&actor, question, limit).await.map(answer) }.boxed()
        };
        self.ask = Some(Arc::new(ask_it));
        self
    }

    /// The address of one of them.
    pub fn with(&self, actor: ActorRef<M>) -> Address {
        let (takes, cell, to) = (self.takes, actor.get_cell(), actor.clone());
        // A message to an actor that just crashed is lost; its successor observes first.
        let send: ReplyTo<Broadcast> = Arc::new(move |message| drop(takes(message).map(|own| to.cast(own))));
        let ask =
            self.ask.clone().map(|ask| -> Ask<()> { Arc::new(move |(), limit| ask(actor.clone(), limit)) });
        Address { cell, send, ask }
    }
}

/// The address of one incarnation of an actor.
#[derive(Clone)]
pub struct Address {
    /// The actor's cell.
    pub cell: ActorCell,
    send: ReplyTo<Broadcast>,
    ask: Option<Ask<()>>,
}

impl Address {
    /// Whether it takes messages.
    pub fn is_running(&self) -> bool {
        !matches!(self.cell.get_status(), ActorStatus::Stopping | ActorStatus::Stopped)
    }

    /// Sends it this broadcast, if it accepts it.
    pub fn send(&self, message: Broadcast) {
        (self.send)(message);
    }

    /// Whether it contributes to the town's status.
    pub fn is_asked(&self) -> bool {
        self.ask.is_some() && self.is_running()
    }

    /// Asks for its part of the town's status; `None` when it does not answer within the limit, or has no part.
    pub async fn ask(&self, limit: Duration) -> Option<Answer> {
        (self.ask.as_ref()?)((), limit).await
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.cell.get_id()).finish()
    }
}

/// An actor's part of the town's status.
#[derive(Debug)]
pub enum Answer {
    /// From the actor of an agent: its status.
    Agent(Box<AgentStatus>),
    /// From a supervisor: its children.
    Actors(Vec<ActorReport>),
    /// From another actor: the value shown under this key.
    Figures(&'static str, Value),
}

impl Answer {
    /// A value shown under this key; `null` when it cannot become JSON.
    pub fn figures(key: &'static str, of: impl Serialize) -> Self {
        Answer::Figures(key, serde_json::to_value(of).unwrap_or_default())
    }
}

/// One actor, as reports show it.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActorReport {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// Why it is suspended, if it is.
    pub parked: Option<String>,
    /// Whether it did not answer in time.
    pub silent: bool,
}

/// Asks one actor; `None` when it did not answer within the limit, or is gone.
pub async fn ask<M: Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    question: impl FnOnce(RpcReplyPort<T>) -> M,
    limit: Duration,
) -> Option<T> {
    match actor.call(question, Some(limit)).await {
        Ok(CallResult::Success(answer)) => Some(answer),
        _ => None,
    }
}
