//! The rig supervisor: stands over a rig's actors, restarts one that crashes, and passes on what the root says.
//!
//! It owns no agent. Polecat health and whatever else a rig gets joins its children here.

use std::{fmt, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::patrol::{Patrol, PatrolMsg};
use crate::{
    agent::{
        identity::{Identity, RigName},
        spec::AgentSpec,
    },
    deps::Deps,
    sessions::death::Death,
    tree::{
        budget::Budget,
        children::{ChildStatus, Children, Ending, ending, stop_all},
        part::{Answers, Beat, Report, STOP_GRACE, Word},
    },
    work::{Post, Work},
};

/// What a rig supervisor hears.
#[derive(Debug)]
pub enum RigMsg {
    /// From the root.
    Word(Word),
    /// From itself: a parked child's time is over.
    TryAgain(RigChild),
    /// From anybody: how are you, and who is under you?
    Probe(RpcReplyPort<RigSnapshot>),
}

/// The children a rig has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RigChild {
    /// The owner of the refinery.
    Refinery,
    /// The owner of the witness.
    Witness,
}

impl fmt::Display for RigChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RigChild::Refinery => "refinery",
            RigChild::Witness => "witness",
        })
    }
}

/// What a rig is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigPlan {
    /// Its name.
    pub name: RigName,
    /// Its bead prefix, without the trailing `-`.
    pub prefix: String,
}

/// What a probe shows.
#[derive(Debug, Clone)]
pub struct RigSnapshot {
    /// Its name.
    pub name: RigName,
    /// Its actors.
    pub actors: Vec<ChildStatus>,
    /// The owners that run, to be probed themselves.
    pub patrols: Vec<ActorRef<PatrolMsg>>,
}

/// The actor.
#[derive(Debug)]
pub struct RigSupervisor;

/// Its state.
pub struct RigState {
    deps: Arc<Deps>,
    plan: RigPlan,
    answers: Answers,
    children: Children<RigChild, ActorRef<PatrolMsg>>,
    work: Work<RigMsg>,
}

impl Actor for RigSupervisor {
    type Msg = RigMsg;
    type State = RigState;
    type Arguments = (Arc<Deps>, RigPlan, Answers);

    async fn pre_start(
        &self,
        myself: ActorRef<RigMsg>,
        (deps, plan, answers): Self::Arguments,
    ) -> Result<RigState, ActorProcessingErr> {
        let itself = myself.clone();
        let post: Post<RigMsg> = Arc::new(move |message| drop(itself.cast(message)));
        let children = Children::new(Budget::default());
        let mut state = RigState { deps, plan, answers, children, work: Work::new(post) };
        for child in [RigChild::Witness, RigChild::Refinery] {
            state.spawn(&myself, child).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RigMsg>,
        message: RigMsg,
        state: &mut RigState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RigMsg::Word(Word::Heartbeat(beat)) => state.pass_on(&beat),
            RigMsg::Word(Word::Died(death)) => state.died(death),
            RigMsg::Word(word) => {
                for (_, patrol) in state.children.running() {
                    let _ = patrol.cast(PatrolMsg::Word(word.clone()));
                }
            }
            RigMsg::TryAgain(child) => {
                if state.children.unpark(&child) {
                    state.spawn(&myself, child).await?;
                    (state.answers)(Report::ActorRestarted);
                }
            }
            RigMsg::Probe(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RigMsg>,
        event: SupervisionEvent,
        state: &mut RigState,
    ) -> Result<(), ActorProcessingErr> {
        let Some((actor, why)) = ending(event) else {
            return Ok(());
        };
        let key = |child: &RigChild| format!("rig/{}/actor/{child}", state.plan.name);
        match state.children.ended(actor, &why, state.deps.now().mono) {
            Ending::Stranger => {}
            Ending::Restart(child) => {
                tracing::warn!("actor {}/{child} crashed ({why}), restarted", state.plan.name);
                state.spawn(&myself, child).await?;
                (state.answers)(Report::ActorRestarted);
            }
            Ending::Parked(child, park_for) => {
                let name = &state.plan.name;
                state.deps.problems.report(
                    key(&child),
                    format!("actor {name}/{child} crashed too often and is parked: {why}"),
                );
                state.work.after(park_for, RigMsg::TryAgain(child));
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RigMsg>, state: &mut RigState) -> Result<(), ActorProcessingErr> {
        stop_all(state.children.remove_all(), STOP_GRACE).await;
        Ok(())
    }
}

impl RigState {
    /// The agent that a child owns.
    fn spec(&self, child: RigChild) -> AgentSpec {
        let rig = self.plan.name.clone();
        let identity = match child {
            RigChild::Witness => Identity::Witness(rig),
            RigChild::Refinery => Identity::Refinery(rig),
        };
        let session = identity.session(self.deps.settings().tmux.naming, &self.plan.prefix);
        AgentSpec { identity, session }
    }

    /// Passes a death on to the owner of the session, if it is one of this rig's.
    fn died(&self, death: Death) {
        let owner = self.children.running().find(|(child, _)| self.spec(**child).session == death.session);
        if let Some((_, patrol)) = owner {
            let _ = patrol.cast(PatrolMsg::Word(Word::Died(death)));
        }
    }

    async fn spawn(&mut self, myself: &ActorRef<RigMsg>, child: RigChild) -> Result<(), ActorProcessingErr> {
        let arguments = (self.deps.clone(), self.spec(child), self.answers.clone());
        let (actor, _) = Actor::spawn_linked(None, Patrol, arguments, myself.get_cell()).await?;
        self.deps.problems.clear(&format!("rig/{}/actor/{child}", self.plan.name));
        let cell = actor.get_cell();
        self.children.started(child, actor, cell);
        Ok(())
    }

    /// Its parts answer for themselves.
    fn pass_on(&self, beat: &Beat) {
        let rig = &self.plan.name;
        let delegated = self.children.running().map(|(child, _)| format!("{rig}/{child}")).collect();
        (self.answers)(Report::Looked { number: beat.number, part: format!("rig {rig}"), delegated });
        for (_, patrol) in self.children.running() {
            let _ = patrol.cast(PatrolMsg::Word(Word::Heartbeat(beat.clone())));
        }
    }

    fn snapshot(&self) -> RigSnapshot {
        RigSnapshot {
            name: self.plan.name.clone(),
            actors: self.children.status(),
            patrols: self.children.running().map(|(_, patrol)| patrol.clone()).collect(),
        }
    }
}
