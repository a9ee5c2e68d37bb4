//! The agent actor: keeps one agent running, whatever its role.
//!
//! It has the agent probed when a heartbeat, a scan or a change in the town asks for it, passes the observation to
//! the [`Owner`], and answers for the agent. A [`Role`] adds what only its kind of agent needs. It must not decide
//! anything about the agent itself, and it never awaits a probe: those are tasks.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    confirmation::{Assignment, Observation},
    lifecycle::Event,
    owner::{Owner, OwnerEvent},
    role::{Occasion, Role, RoleEvent},
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    sessions::scan::Scan,
    supervision::{
        child::{Answer, ChildSpec, Contact},
        messages::{Broadcast, Report, ReportTo},
        status::AgentStatus,
        work::{ReplyTo, Timer, Work},
    },
    town::{identity::Identity, rig_plan::Prefixes},
};

/// What an agent actor receives.
#[derive(Debug)]
pub enum AgentMsg {
    /// From its supervisor.
    Broadcast(Broadcast),
    /// From its supervisor: probe the agent now.
    Probe,
    /// From its rig: the agent's directory does not exist any more.
    Unlisted,
    /// From the tasks and timers of its owner.
    Owner(OwnerEvent),
    /// From its own probe, with the number of the heartbeat that asked for it, if one did.
    Observed(Option<u64>, Option<(Observation, Option<RoleEvent>)>),
    /// From its own timer; one that was set again or cancelled does nothing.
    ProbeDue(u64),
    /// From a task of its role.
    Role(RoleEvent),
    /// A request for the state of the agent.
    Status(RpcReplyPort<AgentStatus>),
}

/// The arguments of an agent actor.
pub struct AgentPlan {
    /// The ports and registers.
    pub deps: Arc<Deps>,
    /// The agent it keeps running.
    pub spec: AgentSpec,
    /// How it answers heartbeats.
    pub answers: ReportTo,
    /// What its role adds.
    pub role: Box<dyn Role>,
}

/// The actor of one agent.
#[derive(Debug)]
pub struct AgentActor;

fn contact() -> Contact<AgentMsg> {
    let take = |broadcast| Some(AgentMsg::Broadcast(broadcast));
    Contact::taking(take).answering(AgentMsg::Status, |agent| Answer::Agent(Box::new(agent)))
}

/// The actor of an agent, as a child; the rig has these prefixes. Each incarnation of the actor has a role
/// of its own.
pub fn child(
    deps: &Arc<Deps>,
    (identity, prefixes): (Identity, &Prefixes),
    answers: &ReportTo,
    role: impl Fn() -> Box<dyn Role> + Send + Sync + 'static,
) -> ChildSpec {
    let (deps, answers, prefixes) = (deps.clone(), answers.clone(), prefixes.clone());
    let (name, agent) = (identity.actor_name(), Some(identity.clone()));
    let plan = move || {
        let spec = AgentSpec::of(&deps, identity.clone(), &prefixes);
        AgentPlan { deps: deps.clone(), spec, answers: answers.clone(), role: role() }
    };
    ChildSpec { agent, ..ChildSpec::new(name, || AgentActor, plan, contact()) }
}

/// What a role may use: the agent's owner and the tasks of its actor.
pub struct Agent {
    /// The ports and registers.
    pub deps: Arc<Deps>,
    /// The agent's owner.
    pub owner: Owner,
    answers: ReportTo,
    work: Work<AgentMsg>,
    timer: Timer,
}

/// The state of an [`AgentActor`].
pub struct AgentState {
    agent: Agent,
    role: Box<dyn Role>,
}

impl Actor for AgentActor {
    type Msg = AgentMsg;
    type State = AgentState;
    type Arguments = AgentPlan;

    async fn pre_start(
        &self,
        myself: ActorRef<AgentMsg>,
        AgentPlan { deps, spec, answers, mut role }: AgentPlan,
    ) -> Result<AgentState, ActorProcessingErr> {
        deps.directory.register(&spec.identity, contact().with(myself.clone()));
        let post: ReplyTo<AgentMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let to_owner = post.clone();
        let owner = Owner::new(deps.clone(), spec, Arc::new(move |event| to_owner(AgentMsg::Owner(event))));
        let mut agent = Agent { deps, owner, answers, work: Work::new(post), timer: Timer::default() };
        role.begin(&mut agent);
        Ok(AgentState { agent, role })
    }

    async fn handle(
        &self,
        _: ActorRef<AgentMsg>,
        message: AgentMsg,
        state: &mut AgentState,
    ) -> Result<(), ActorProcessingErr> {
        let AgentState { agent, role } = state;
        match message {
            AgentMsg::Broadcast(broadcast) => state.heard(broadcast),
            AgentMsg::Probe => state.probe(None, None),
            AgentMsg::Unlisted => role.unlisted(agent),
            AgentMsg::Owner(event) => {
                let end = match &event {
                    OwnerEvent::StartEnded(end) => Some(end.clone()),
                    _ => None,
                };
                agent.owner.handle(event);
                if end.is_some_and(|end| role.start_ended(agent, &end)) {
                    state.probe(None, None);
                }
            }
            AgentMsg::Observed(heartbeat, seen) => state.observed(heartbeat, seen),
            AgentMsg::ProbeDue(number) if agent.timer.is_latest(number) => state.probe(None, None),
            AgentMsg::ProbeDue(_) => {}
            AgentMsg::Role(event) => role.handle(agent, event),
            AgentMsg::Status(reply) => drop(reply.send(agent.owner.snapshot())),
        }
        state.role.handled(&mut state.agent);
        Ok(())
    }
}

impl AgentState {
    fn heard(&mut self, broadcast: Broadcast) {
        let AgentState { agent, role } = self;
        match broadcast {
            Broadcast::Heartbeat(beat) => {
                agent.owner.wake_start();
                if role.is_worth_a_probe(Occasion::Heartbeat(&beat.scan), &agent.owner) {
                    self.probe(Some(beat.scan), Some(beat.number));
                } else {
                    agent.answer_heartbeat(beat.number);
                }
            }
            Broadcast::Scanned(scan) => {
                agent.owner.wake_start();
                agent.owner.scanned(&scan);
                if role.is_worth_a_probe(Occasion::Scan(&scan), &agent.owner) {
                    self.probe(Some(scan), None);
                }
            }
            Broadcast::TownChanged => {
                agent.owner.town_changed();
                if role.is_worth_a_probe(Occasion::TownChange, &agent.owner) {
                    self.probe(None, None);
                }
                self.role.town_changed(&mut self.agent);
            }
            Broadcast::SnapshotRead(snapshot) => role.snapshot_read(agent, &snapshot),
            Broadcast::Died(death) => agent.owner.died(death),
            Broadcast::Asks(title) => agent.owner.asks(title),
            Broadcast::Nudge(nudge) => agent.owner.nudge(nudge),
            Broadcast::Asked(_) => agent.owner.attend(),
            Broadcast::RestartStateChanged => agent.owner.recall(),
            Broadcast::ClearBackoff(whose) => agent.owner.clear_backoff(whose.as_ref()),
            Broadcast::DeaconHeld(held) => role.deacon_held(held),
            Broadcast::Released => agent.owner.apply(Event::Released),
            Broadcast::Mail(_)
            | Broadcast::ReadMail
            | Broadcast::ReadBeads
            | Broadcast::DoltAnswers
            | Broadcast::DeathRecorded
            | Broadcast::AccountsChanged
            | Broadcast::AlertRaised
            | Broadcast::Rigs(_) => {}
        }
    }

    fn probe(&mut self, scan: Option<Arc<Scan>>, heartbeat: Option<u64>) {
        let beat = scan.as_ref().filter(|_| heartbeat.is_some());
        let more = self.role.observe(&self.agent.deps, beat);
        let probe = self.agent.owner.probe(scan);
        self.agent.work.spawn(
            async move {
                let seen = probe.await;
                let more = match more {
                    Some(more) => Some(more.await),
                    None => None,
                };
                AgentMsg::Observed(heartbeat, Some((seen, more)))
            },
            AgentMsg::Observed(heartbeat, None),
        );
    }

    fn observed(&mut self, heartbeat: Option<u64>, seen: Option<(Observation, Option<RoleEvent>)>) {
        // A probe that panicked is no answer: the heartbeat reports this agent as late.
        let Some((seen, more)) = seen else { return };
        self.agent.owner.apply(Event::Seen(seen.clone()));
        self.role.observed(&mut self.agent, &seen, more);
        if let Some(number) = heartbeat {
            self.agent.answer_heartbeat(number);
        }
    }
}

impl Agent {
    fn answer_heartbeat(&self, number: u64) {
        self.report(Report::probed(number, self.owner.spec().identity.actor_name()));
    }

    /// Reports to the root.
    pub fn report(&self, report: Report) {
        (self.answers)(report);
    }

    /// Probes the agent, given its work.
    pub fn probe_knowing(&mut self, assignment: Assignment) {
        let probe = self.owner.probe_knowing(assignment);
        self.work.spawn(
            async move { AgentMsg::Observed(None, Some((probe.await, None))) },
            AgentMsg::Observed(None, None),
        );
    }

    /// Probes the agent after this time instead of the time that was set before; `None` cancels the timer.
    pub fn probe_after(&mut self, delay: Option<Duration>) {
        match delay {
            Some(delay) => self.timer.set(&mut self.work, delay, AgentMsg::ProbeDue),
            None => self.timer.cancel(),
        }
    }

    /// Runs a task of the role; its result, or `if_it_panics`, goes to [`Role::handle`].
    pub fn spawn(&mut self, task: impl Future<Output = RoleEvent> + Send + 'static, if_it_panics: RoleEvent) {
        self.work.spawn(async move { AgentMsg::Role(task.await) }, AgentMsg::Role(if_it_panics));
    }

    /// Runs a task whose end is not awaited.
    pub fn run(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.work.run(task);
    }
}
