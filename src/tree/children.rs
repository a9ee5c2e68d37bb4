//! Children: one-for-one supervision, used by every actor that supervises others.
//!
//! It starts a child by its [`ChildSpec`], restarts it alone when it crashes, suspends it when that happens too
//! often, and stops all in reverse order of their start. A child's crash must not affect another, unless the child is
//! significant. An actor's crash says nothing about agents: nothing here may start, end or touch one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ractor::{ActorCell, ActorProcessingErr, Message, MessagingErr, SupervisionEvent};
use tokio::task::AbortHandle;

use super::budget::{Budget, Crashes, Verdict};
use crate::{
    deps::Deps,
    go_duration, stopping,
    supervision::{
        child::{ActorReport, Address, ChildSpec},
        messages::Broadcast,
        work::{ReplyTo, Work},
    },
    town::identity::Identity,
};

/// The events of a supervisor's children; the supervisor passes them to [`Children::handle`].
#[derive(Debug)]
pub enum ChildEvent {
    /// From a timer: the suspension of this child is over.
    TryAgain(String),
    /// From a task: the last incarnation of a stopped child has ended.
    Gone(String),
}

/// The children of one supervisor.
#[derive(Debug)]
pub struct Children {
    deps: Arc<Deps>,
    supervisor: ActorCell,
    /// How long they may take to stop.
    grace: Duration,
    /// In order of their first start.
    children: Vec<Child>,
    /// Those that were stopped and have not ended yet, each with the child that is started after it.
    ending: BTreeMap<String, Option<ChildSpec>>,
    work: Work<ChildEvent>,
}

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    running: Option<Address>,
    restarts: u32,
    crashes: Crashes,
    suspended: Option<(String, AbortHandle)>,
}

impl Children {
    /// A supervisor's children, none yet; they may take `grace` to stop.
    pub fn new(deps: Arc<Deps>, supervisor: ActorCell, grace: Duration, events: ReplyTo<ChildEvent>) -> Self {
        let work = Work::new(events);
        Children { deps, supervisor, grace, children: Vec::new(), ending: BTreeMap::new(), work }
    }

    /// Starts a child, unless it exists, running or suspended. While one of this name is still ending, the new one
    /// waits: no agent ever has two actors. Returns whether it runs now and did not before; an error ends the
    /// supervisor.
    pub async fn start(&mut self, spec: ChildSpec) -> Result<bool, ActorProcessingErr> {
        if let Some(next) = self.ending.get_mut(&spec.name) {
            *next = Some(spec);
            return Ok(false);
        }
        if self.contains(&spec.name) {
            return Ok(false);
        }
        let crashes = Crashes::default();
        self.children.push(Child { spec, running: None, restarts: 0, crashes, suspended: None });
        self.spawn(self.children.len() - 1).await
    }

    /// Restarts the child that ended, if it is one and may be restarted. Returns whether it runs again.
    pub async fn ended(&mut self, event: SupervisionEvent) -> Result<bool, ActorProcessingErr> {
        let (actor, why) = match event {
            SupervisionEvent::ActorTerminated(actor, _, why) => {
                (actor.get_id(), why.unwrap_or_else(|| "it ended".to_owned()))
            }
            SupervisionEvent::ActorFailed(actor, error) => (actor.get_id(), error.to_string()),
            _ => return Ok(false),
        };
        let is_it = |child: &Child| child.running.as_ref().is_some_and(|it| it.cell.get_id() == actor);
        match self.children.iter().position(is_it) {
            Some(at) => Ok(self.may_restart(at, &why)? && self.spawn(at).await?),
            // It is no child any more, or an earlier incarnation.
            None => Ok(false),
        }
    }

    /// Tries a suspended child again, or starts the one that waited. Returns whether it runs now.
    pub async fn handle(&mut self, event: ChildEvent) -> Result<bool, ActorProcessingErr> {
        match event {
            ChildEvent::TryAgain(name) => {
                let its = |child: &Child| child.spec.name == name && child.suspended.is_some();
                let Some(at) = self.children.iter().position(its) else { return Ok(false) };
                self.children[at].restarts += 1;
                self.deps.metrics.actor_restarted(self.children[at].spec.kind());
                self.spawn(at).await
            }
            ChildEvent::Gone(name) => match self.ending.remove(&name) {
                Some(Some(next)) => self.start(next).await,
                _ => Ok(false),
            },
        }
    }

    async fn spawn(&mut self, at: usize) -> Result<bool, ActorProcessingErr> {
        loop {
            let child = &mut self.children[at];
            match (child.spec.start)(self.supervisor.clone()).await {
                Ok(address) => {
                    self.deps.problems.clear(&child.spec.problem);
                    if child.spec.agent.is_none() {
                        self.deps.directory.register_other(&child.spec.name, address.clone());
                    }
                    child.suspended = None;
                    child.running = Some(address);
                    return Ok(true);
                }
                // A child that ends before it runs has crashed, and only that child.
                Err(error) if self.may_restart(at, &error.to_string())? => {}
                Err(_) => return Ok(false),
            }
        }
    }

    fn may_restart(&mut self, at: usize, why: &str) -> Result<bool, ActorProcessingErr> {
        let now = self.deps.now().mono;
        let child = &mut self.children[at];
        let ChildSpec { name, problem, significant, .. } = &child.spec;
        child.running = None;
        let verdict = child.crashes.crashed(now, Budget::default());
        if let Verdict::Suspend(_) = verdict {
            self.deps.metrics.actor_suspended(child.spec.kind());
        }
        match verdict {
            Verdict::Restart => {
                tracing::warn!("actor {name} crashed ({why}), restarted");
                child.restarts += 1;
                self.deps.metrics.actor_restarted(child.spec.kind());
                Ok(true)
            }
            Verdict::Suspend(_) if *significant => {
                tracing::error!("actor {name} crashed too often, everything is restarted with it: {why}");
                Err(format!("actor {name} crashed too often: {why}").into())
            }
            Verdict::Suspend(time) => {
                let shown = go_duration::short(time);
                let text = format!("actor {name} crashed too often and is suspended for {shown}: {why}");
                self.deps.problems.report(problem.clone(), text);
                let timer = self.work.after(time, ChildEvent::TryAgain(name.clone()));
                child.suspended = Some((why.to_owned(), timer));
                Ok(false)
            }
        }
    }

    /// Removes a child and stops it; nothing waits for that.
    pub fn stop(&mut self, name: &str) {
        if let Some(next) = self.ending.get_mut(name) {
            *next = None;
        }
        let Some(at) = self.children.iter().position(|child| child.spec.name == name) else { return };
        let Child { spec, running, suspended, .. } = self.children.remove(at);
        self.deps.problems.clear(&spec.problem);
        self.deps.directory.forget_other(name);
        if let Some((_, timer)) = suspended {
            timer.abort();
        }
        if let Some(actor) = running {
            self.ending.insert(spec.name.clone(), None);
            let (grace, gone) = (self.grace, spec.name.clone());
            self.work.spawn(
                async move {
                    stop_in_order(vec![actor.cell], grace).await;
                    ChildEvent::Gone(gone)
                },
                ChildEvent::Gone(spec.name),
            );
        }
    }

    /// Stops all of them, in reverse order of their start.
    pub async fn stop_all(&mut self) {
        let running = std::mem::take(&mut self.children).into_iter().rev().filter_map(|child| child.running);
        stop_in_order(running.map(|actor| actor.cell).collect(), self.grace).await;
    }

    /// Whether there is a child of this name, running or suspended.
    pub fn contains(&self, name: &str) -> bool {
        self.children.iter().any(|child| child.spec.name == name)
    }

    /// The agents whose actors are among them, running or suspended.
    pub fn agents(&self) -> impl Iterator<Item = &Identity> {
        self.children.iter().filter_map(|child| child.spec.agent.as_ref())
    }

    /// Sends a message of its own to a child. Returns whether it runs.
    pub fn cast<M: Message>(&self, name: &str, message: M) -> bool {
        // A message to an actor that just crashed is lost; its successor observes first.
        let sent = self.running(name).map(|actor| actor.cell.send_message(message));
        debug_assert!(
            !matches!(sent, Some(Err(MessagingErr::InvalidActorType))),
            "{name} does not take this message"
        );
        sent.is_some()
    }

    /// Sends a broadcast to one child. Returns whether it runs.
    pub fn send(&self, name: &str, message: Broadcast) -> bool {
        self.running(name).map(|actor| actor.send(message)).is_some()
    }

    /// Sends a broadcast to all except the actors of agents: the directory sends it to those.
    pub fn broadcast(&self, message: &Broadcast) {
        for child in self.children.iter().filter(|child| child.spec.agent.is_none()) {
            if let Some(actor) = &child.running {
                actor.send(message.clone());
            }
        }
    }

    /// The names of the children that answer heartbeats: those that run, and those that do not.
    pub fn parts(&self) -> (Vec<String>, Vec<String>) {
        let parts = self.children.iter().filter(|child| child.spec.answers_heartbeats);
        let (running, missed): (Vec<&Child>, Vec<&Child>) = parts.partition(|child| child.running.is_some());
        let names = |of: Vec<&Child>| of.into_iter().map(|child| child.spec.name.clone()).collect();
        (names(running), names(missed))
    }

    /// The status of each, in order of their start.
    pub fn report(&self) -> Vec<ActorReport> {
        let report = |child: &Child| ActorReport {
            name: child.spec.name.clone(),
            running: child.running.is_some(),
            restarts: child.restarts,
            parked: child.suspended.as_ref().map(|(why, _)| why.clone()),
            silent: false,
        };
        self.children.iter().map(report).collect()
    }

    fn running(&self, name: &str) -> Option<&Address> {
        self.children.iter().find(|child| child.spec.name == name)?.running.as_ref()
    }
}

/// Stops actors one after the other: request, wait. An actor that has not ended after `grace` is killed, which takes
/// effect almost at once.
async fn stop_in_order(cells: Vec<ActorCell>, grace: Duration) {
    let mut left = cells.iter();
    let in_order = async {
        for cell in left.as_slice() {
            cell.stop(None);
            let _ = cell.wait(None).await;
            left.next();
        }
    };
    if tokio::time::timeout(grace, in_order).await.is_err() {
        let left = left.as_slice();
        for cell in left {
            tracing::warn!("actor {} did not stop within {grace:?}, killed", cell.get_id());
            cell.kill();
        }
        futures::future::join_all(left.iter().map(|cell| cell.wait(Some(stopping::KILL)))).await;
    }
}
