//! A child: an actor as its supervisor sees it, a value that the folder of the actor makes. OTP's child spec.
//!
//! A supervisor lists its children once; [`Children`](crate::tree::children::Children) starts, restarts and stops them by what is
//! said here. It must not know any actor in particular.

use std::{fmt, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use ractor::{Actor, ActorCell, ActorRef, ActorStatus, Message, RpcReplyPort, SpawnErr, rpc::CallResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::messages::Broadcast;
use crate::{
    panics::Named,
    supervision::{status::AgentStatus, work::ReplyTo},
    town::identity::Identity,
};

/// What a supervisor must know of a child.
pub struct ChildSpec {
    /// Its name, the same in every incarnation: `feed`, `rig gastown`, `gastown/witness`.
    pub name: String,
    /// The key of the problem that it is suspended.
    pub problem: String,
    /// Whether everything depends on it: then it is not suspended, its supervisor fails instead.
    pub significant: bool,
    /// Whether it is asked in heartbeats by its supervisor, and answers. (Agents are asked by the directory.)
    pub answers_heartbeats: bool,
    /// The agent that it keeps, if it is the actor of one.
    pub agent: Option<Identity>,
    /// Starts an incarnation of it under this supervisor.
    pub start: Start,
}

type Start = Box<dyn Fn(ActorCell) -> BoxFuture<'static, Result<Address, SpawnErr>> + Send + Sync>;

impl ChildSpec {
    /// Each incarnation is `actor()`, made with `arguments()` of that moment.
    pub fn new<A: Actor>(
        name: impl Into<String>,
        actor: fn() -> A,
        arguments: impl Fn() -> A::Arguments + Send + Sync + 'static,
        contact: Contact<A::Msg>,
    ) -> Self {
        let name = name.into();
        let (problem, named) = (format!("actor/{name}"), name.clone());
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
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildSpec").field(&self.name).finish()
    }
}

type Ask<A> = Arc<dyn Fn(A, Duration) -> BoxFuture<'static, Option<Answer>> + Send + Sync>;

/// What actors of one kind take and answer.
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
    /// They take these of the broadcasts, as these messages of their own.
    pub fn taking(takes: fn(Broadcast) -> Option<M>) -> Self {
        Contact { takes, ask: None }
    }

    /// They have something to answer when the town is asked for its status.
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
    /// The actor.
    pub cell: ActorCell,
    send: ReplyTo<Broadcast>,
    ask: Option<Ask<()>>,
}

impl Address {
    /// Whether it takes messages.
    pub fn is_running(&self) -> bool {
        !matches!(self.cell.get_status(), ActorStatus::Stopping | ActorStatus::Stopped)
    }

    /// Sends it this, if it is something the actor takes.
    pub fn send(&self, message: Broadcast) {
        (self.send)(message);
    }

    /// Whether it has something to answer for the town's status.
    pub fn is_asked(&self) -> bool {
        self.ask.is_some() && self.is_running()
    }

    /// Asks it for its part of the town's status; `None` when it does not answer within the limit, or is not asked.
    pub async fn ask(&self, limit: Duration) -> Option<Answer> {
        (self.ask.as_ref()?)((), limit).await
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.cell.get_id()).finish()
    }
}

/// What an actor answers for the town's status.
#[derive(Debug)]
pub enum Answer {
    /// The actor of an agent: how that is.
    Agent(Box<AgentStatus>),
    /// A supervisor: its children.
    Actors(Vec<ActorReport>),
    /// Another: what is shown under this key.
    Figures(&'static str, Value),
}

impl Answer {
    /// What is shown under this key; `null` when it cannot become JSON.
    pub fn figures(key: &'static str, of: impl Serialize) -> Self {
        Answer::Figures(key, serde_json::to_value(of).unwrap_or_default())
    }
}

/// One actor, as reports show it.
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
