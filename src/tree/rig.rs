//! The rig supervisor: supervises a rig's actors, restarts one that crashes, and passes on messages from the root.
//!
//! It owns no agent: each has an actor of its own. A polecat has an actor while its directory exists; a crew member
//! gets one on its first request. Any other actor of a rig becomes a child here.

use std::{collections::BTreeSet, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::Semaphore;

use crate::{
    agent::{actor::AgentMsg, start::without_gt},
    deps::Deps,
    ledger::snapshot::AgentSnapshot,
    ports::problems::ProblemKey,
    roles, stopping,
    supervision::{
        child::{ActorReport, Answer, ChildSpec, Contact},
        messages::{Beat, Broadcast, Report, ReportTo},
        work::ReplyTo,
    },
    town::{
        identity::{AgentName, Identity, RigName, Wanted},
        rig_plan::RigPlan,
    },
    tree::children::{ChildEvent, Children},
    watchers::{
        census,
        polecats::{self as health, HealthMsg, HealthPlan, Roster},
    },
};

/// What a rig supervisor receives.
#[derive(Debug)]
pub enum RigMsg {
    /// From the root.
    Broadcast(Broadcast),
    /// From its census.
    SnapshotRead(Arc<AgentSnapshot>),
    /// From polecat health: the rig's polecats and crew, by the directories.
    Listed(Roster),
    /// From the actor of a polecat that is not listed any more: no action is in progress there.
    Idle(AgentName),
    /// From its children.
    Child(ChildEvent),
    /// A request for the status of its children.
    Status(RpcReplyPort<Vec<ActorReport>>),
}

/// The supervisor of one rig.
#[derive(Debug)]
pub struct RigSupervisor;

/// The name of a rig's supervisor as an actor.
pub fn name(rig: &RigName) -> String {
    format!("rig {rig}")
}

/// The supervisor of a rig as a child of the root.
pub fn child(deps: &Arc<Deps>, plan: &RigPlan, answers: &ReportTo) -> ChildSpec {
    let (name, arguments) = (name(&plan.name), (deps.clone(), plan.clone(), answers.clone()));
    let contact = Contact::taking(|broadcast| Some(RigMsg::Broadcast(broadcast)))
        .answering(RigMsg::Status, Answer::Actors);
    let child = ChildSpec::new(name, || RigSupervisor, move || arguments.clone(), contact);
    ChildSpec { answers_heartbeats: true, ..child }
}

/// The state of a [`RigSupervisor`].
pub struct RigState {
    deps: Arc<Deps>,
    plan: RigPlan,
    answers: ReportTo,
    children: Children,
    /// Crew members whose session names are claimed.
    crew: BTreeSet<Identity>,
    /// The turn that the audits of polecats take, one after the other.
    audit_turn: Arc<Semaphore>,
    post: ReplyTo<RigMsg>,
}

impl Actor for RigSupervisor {
    type Msg = RigMsg;
    type State = RigState;
    type Arguments = (Arc<Deps>, RigPlan, ReportTo);

    async fn pre_start(
        &self,
        myself: ActorRef<RigMsg>,
        (deps, plan, answers): Self::Arguments,
    ) -> Result<RigState, ActorProcessingErr> {
        let itself = myself.clone();
        let post: ReplyTo<RigMsg> = Arc::new(move |message| drop(itself.cast(message)));
        let events = post.clone();
        let events: ReplyTo<ChildEvent> = Arc::new(move |event| events(RigMsg::Child(event)));
        let children = Children::new(deps.clone(), myself.get_cell(), stopping::LEAF, events);
        let mut state = RigState {
            deps,
            plan,
            answers,
            children,
            crew: BTreeSet::new(),
            audit_turn: Arc::new(Semaphore::new(1)),
            post,
        };
        for child in state.list().into_iter().chain(state.asked_for()) {
            state.children.start(child).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<RigMsg>,
        message: RigMsg,
        state: &mut RigState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RigMsg::Broadcast(Broadcast::Heartbeat(beat)) => state.heartbeat(&beat),
            RigMsg::Broadcast(Broadcast::Asked(identity)) => {
                // Its actor finds the request in the register.
                state.children.start(state.agent(identity)).await?;
            }
            RigMsg::Broadcast(broadcast) => state.children.broadcast(&broadcast),
            RigMsg::SnapshotRead(snapshot) => state.snapshot_read(snapshot),
            RigMsg::Listed(roster) => state.listed(roster).await?,
            RigMsg::Idle(name) => state.let_go(name),
            RigMsg::Child(event) => {
                if state.children.handle(event).await? {
                    (state.answers)(Report::ActorRestarted);
                }
            }
            RigMsg::Status(reply) => {
                let mut actors = state.children.report();
                actors.sort_by(|a, b| a.name.cmp(&b.name));
                drop(reply.send(actors));
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RigMsg>,
        event: SupervisionEvent,
        state: &mut RigState,
    ) -> Result<(), ActorProcessingErr> {
        if state.children.ended(event).await? {
            (state.answers)(Report::ActorRestarted);
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RigMsg>, state: &mut RigState) -> Result<(), ActorProcessingErr> {
        state.children.stop_all().await;
        Ok(())
    }
}

impl RigState {
    /// The actors that every rig has, in the order in which they start.
    fn list(&self) -> Vec<ChildSpec> {
        let (read, listed) = (self.post.clone(), self.post.clone());
        let plan = HealthPlan {
            deps: self.deps.clone(),
            rig: self.plan.clone(),
            answers: self.answers.clone(),
            listed: Arc::new(move |roster| listed(RigMsg::Listed(roster))),
        };
        let read: ReplyTo<_> = Arc::new(move |snapshot| read(RigMsg::SnapshotRead(snapshot)));
        let agents = Identity::of_rig(&self.plan.name).filter(|it| it.facts().wanted != Wanted::OnRequest);
        let agents = agents.map(|identity| self.agent(identity));
        let others =
            [self.of_rig(health::child(plan)), self.of_rig(census::child(&self.deps, &self.plan, read))];
        agents.chain(others).collect()
    }

    /// The actor of an agent of the rig.
    fn agent(&self, identity: Identity) -> ChildSpec {
        let agent = (identity, &self.plan.prefix);
        self.of_rig(roles::child(&self.deps, agent, &self.answers(), &self.audit_turn))
    }

    /// Adds the rig's key to the child's problem, so that it disappears with the rig or the polecat.
    fn of_rig(&self, child: ChildSpec) -> ChildSpec {
        let rig = &self.plan.name;
        let problem = match (&child.agent, child.name.split_once('/')) {
            (Some(Identity::Polecat(..)), _) => format!("rig/{rig}/{}/actor", child.name),
            (_, within) => format!("rig/{rig}/actor/{}", within.map_or("", |(_, name)| name)),
        };
        let problem = ProblemKey::from(problem).critical();
        let problem = child.agent.iter().fold(problem, ProblemKey::of);
        ChildSpec { problem, ..child }
    }

    /// The agents that no listing shows: crew members (which get an actor only on request), polecats whose directory
    /// is gone, and all agents of a predecessor of this supervisor.
    fn asked_for(&self) -> Vec<ChildSpec> {
        let (requests, holds) = (self.deps.records.requested(), self.deps.records.held());
        let held = holds.into_iter().filter(|it| it.facts().wanted == Wanted::OnRequest);
        let kept = self.deps.directory.actors().into_iter().map(|(identity, _)| identity);
        let all = requests.into_iter().chain(held).chain(kept);
        all.filter(|it| it.rig() == Some(&self.plan.name)).map(|identity| self.agent(identity)).collect()
    }

    /// Sends reports to the root, except those that concern this rig alone.
    fn answers(&self) -> ReportTo {
        let (answers, post) = (self.answers.clone(), self.post.clone());
        Arc::new(move |report| match report {
            Report::Idle(Identity::Polecat(_, name)) => post(RigMsg::Idle(name)),
            report => answers(report),
        })
    }

    /// Gives new polecats an actor, and removes the actors of those that vanished once no action is in progress there.
    async fn listed(&mut self, roster: Roster) -> Result<(), ActorProcessingErr> {
        self.claim_crew(roster.crew);
        let there: BTreeSet<AgentName> = roster.polecats.into_iter().collect();
        for name in self.polecats().difference(&there).cloned().collect::<Vec<_>>() {
            if !self.children.cast(&self.polecat(&name).actor_name(), AgentMsg::Unlisted) {
                self.let_go(name);
            }
        }
        let mut any_new = false;
        for name in there.difference(&self.polecats()) {
            any_new |= self.children.start(self.agent(self.polecat(name))).await?;
        }
        if any_new {
            // They have not been probed yet.
            (self.answers)(Report::ActorRestarted);
        }
        let known = self.polecats();
        let rig = &self.plan.name;
        let identities = known.iter().map(|name| self.polecat(name)).collect();
        self.deps.records.keep_incidents(rig, &identities);
        self.children.cast(&format!("{rig}/polecats"), HealthMsg::Known(known));
        Ok(())
    }

    /// The polecats that have an actor, suspended or not.
    fn polecats(&self) -> BTreeSet<AgentName> {
        let polecats = self.children.agents().filter(|it| matches!(it, Identity::Polecat(..)));
        polecats.filter_map(|identity| identity.name().cloned()).collect()
    }

    fn polecat(&self, name: &AgentName) -> Identity {
        Identity::Polecat(self.plan.name.clone(), name.clone())
    }

    fn claim_crew(&mut self, crew: Vec<AgentName>) {
        let rig = &self.plan.name;
        let there: BTreeSet<Identity> =
            crew.into_iter().map(|name| Identity::Crew(rig.clone(), name)).collect();
        for identity in self.crew.difference(&there) {
            self.deps.directory.release(identity);
        }
        for identity in &there {
            self.deps.directory.claim(identity, &self.session(identity));
        }
        self.crew = there;
    }

    fn session(&self, identity: &Identity) -> String {
        identity.session(self.deps.settings().tmux.naming, &self.plan.prefix.sessions)
    }

    /// Removes a polecat that no longer exists, with everything except its history; unless a request came meanwhile.
    fn let_go(&mut self, name: AgentName) {
        let identity = self.polecat(&name);
        if self.deps.records.open_requests(&identity) > 0 {
            return;
        }
        self.children.stop(&identity.actor_name());
        let deps = self.deps.clone();
        deps.directory.release(&identity);
        deps.problems.forget(&format!("rig/{}/{identity}/", self.plan.name));
        deps.records.forget(&identity, "its directory is gone", deps.now().wall);
        without_gt::refresh(&deps.records, &deps.problems);
        deps.accounts.forget(&identity);
    }

    /// Passes on a heartbeat. Polecat health answers for itself, as each agent does.
    fn heartbeat(&self, beat: &Beat) {
        let (delegated, missed) = self.children.parts();
        let part = name(&self.plan.name);
        (self.answers)(Report::Probed { number: beat.number, part, delegated, missed });
        self.children.broadcast(&Broadcast::Heartbeat(beat.clone()));
    }

    /// Sends a broadcast to all actors of the rig.
    fn broadcast(&self, broadcast: &Broadcast) {
        self.children.broadcast(broadcast);
        self.deps.directory.broadcast(broadcast, |identity| identity.rig() == Some(&self.plan.name));
    }

    /// Stores a snapshot and passes it on; a changed label changes what is allowed.
    fn snapshot_read(&self, snapshot: Arc<AgentSnapshot>) {
        let relabelled = self.deps.keep_snapshot(snapshot.clone());
        self.broadcast(&Broadcast::SnapshotRead(snapshot));
        if relabelled {
            self.broadcast(&Broadcast::TownChanged);
        }
    }
}
