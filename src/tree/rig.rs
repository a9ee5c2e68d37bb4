//! The rig supervisor: supervises a rig's actors, restarts one that crashes, and passes on messages from the root.
//!
//! It owns no agent: each has an actor of its own. The actors of polecats follow their directories; a crew member's is created on
//! its first request. Anything else a rig gets becomes one of its children here.

use std::{collections::BTreeSet, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::Semaphore;

use crate::{
    agent::{
        actor::{self, AgentMsg},
        role::{Plain, Role},
    },
    deps::Deps,
    ledger::snapshot::AgentSnapshot,
    roles::polecat::Polecat,
    stopping,
    supervision::{
        child::{ActorReport, Answer, ChildSpec, Contact},
        messages::{Beat, Broadcast, Report, ReportTo},
        work::ReplyTo,
    },
    town::{
        identity::{AgentName, Identity, RigName},
        rig_plan::RigPlan,
    },
    tree::children::{ChildEvent, Children},
    watchers::{
        census,
        polecats::{self as health, HealthMsg, HealthPlan, Roster},
    },
};

/// What a rig supervisor hears.
#[derive(Debug)]
pub enum RigMsg {
    /// From the root.
    Broadcast(Broadcast),
    /// From its census.
    SnapshotRead(Arc<AgentSnapshot>),
    /// From polecat health: who there is, by the directories.
    Listed(Roster),
    /// From the actor of a polecat that is not listed any more: no work is in progress there.
    Idle(AgentName),
    /// From its children.
    Child(ChildEvent),
    /// From anybody: who is under you?
    Status(RpcReplyPort<Vec<ActorReport>>),
}

/// The actor.
#[derive(Debug)]
pub struct RigSupervisor;

/// The name of a rig's supervisor.
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

/// Its state.
pub struct RigState {
    deps: Arc<Deps>,
    plan: RigPlan,
    answers: ReportTo,
    children: Children,
    /// Crew whose session names are claimed.
    crew: BTreeSet<Identity>,
    /// Taken by the audits of polecats, one after the other.
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
        let rig = &self.plan.name;
        let (read, listed) = (self.post.clone(), self.post.clone());
        let plan = HealthPlan {
            deps: self.deps.clone(),
            rig: self.plan.clone(),
            answers: self.answers.clone(),
            listed: Arc::new(move |roster| listed(RigMsg::Listed(roster))),
        };
        let read: ReplyTo<_> = Arc::new(move |snapshot| read(RigMsg::SnapshotRead(snapshot)));
        vec![
            self.agent(Identity::Witness(rig.clone())),
            self.agent(Identity::Refinery(rig.clone())),
            self.of_rig(health::child(plan)),
            self.of_rig(census::child(&self.deps, &self.plan, read)),
        ]
    }

    /// The actor of an agent of the rig.
    fn agent(&self, identity: Identity) -> ChildSpec {
        let turn = matches!(identity, Identity::Polecat(..)).then(|| self.audit_turn.clone());
        let role = move || -> Box<dyn Role> {
            match &turn {
                Some(turn) => Box::new(Polecat::new(turn.clone())),
                None => Box::new(Plain),
            }
        };
        let agent = (identity, self.plan.prefix.as_str());
        self.of_rig(actor::child(&self.deps, agent, &self.answers(), role))
    }

    /// What is wrong with it is a problem of the rig, and of the polecat that it keeps, and goes with that.
    fn of_rig(&self, child: ChildSpec) -> ChildSpec {
        let rig = &self.plan.name;
        let problem = match (&child.agent, child.name.split_once('/')) {
            (Some(Identity::Polecat(..)), _) => format!("rig/{rig}/{}/actor", child.name),
            (_, within) => format!("rig/{rig}/actor/{}", within.map_or("", |(_, name)| name)),
        };
        ChildSpec { problem, ..child }
    }

    /// Those that no listing need show: crew members, who get an actor only on request, polecats whose directory is gone, and
    /// all that a predecessor of this supervisor kept.
    fn asked_for(&self) -> Vec<ChildSpec> {
        let (requests, holds) = (self.deps.records.requested(), self.deps.records.held());
        let crew = holds.into_iter().filter(|identity| matches!(identity, Identity::Crew(..)));
        let kept = self.deps.directory.actors().into_iter().map(|(identity, _)| identity);
        let all = requests.into_iter().chain(crew).chain(kept);
        all.filter(|it| it.rig() == Some(&self.plan.name)).map(|identity| self.agent(identity)).collect()
    }

    /// Reports go to the root, but for what concerns this rig alone.
    fn answers(&self) -> ReportTo {
        let (answers, post) = (self.answers.clone(), self.post.clone());
        Arc::new(move |report| match report {
            Report::Idle(Identity::Polecat(_, name)) => post(RigMsg::Idle(name)),
            report => answers(report),
        })
    }

    /// New polecats get an actor; those that vanished lose it once no work is in progress there.
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
        identity.session(self.deps.settings().tmux.naming, &self.plan.prefix)
    }

    /// A polecat is no more, and nothing is remembered of it but its history; unless a request came meanwhile.
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
    }

    /// Polecat health answers for itself, as each agent does.
    fn heartbeat(&self, beat: &Beat) {
        let (delegated, missed) = self.children.parts();
        let part = name(&self.plan.name);
        (self.answers)(Report::Probed { number: beat.number, part, delegated, missed });
        self.children.broadcast(&Broadcast::Heartbeat(beat.clone()));
    }

    /// Sends this to all in the rig.
    fn broadcast(&self, broadcast: &Broadcast) {
        self.children.broadcast(broadcast);
        self.deps.directory.broadcast(broadcast, |identity| identity.rig() == Some(&self.plan.name));
    }

    /// Keeps what was read, and passes it on to everybody; a label that was set or taken away changes what they may do.
    fn snapshot_read(&self, snapshot: Arc<AgentSnapshot>) {
        let relabelled = self.deps.keep_snapshot(snapshot.clone());
        self.broadcast(&Broadcast::SnapshotRead(snapshot));
        if relabelled {
            self.broadcast(&Broadcast::TownChanged);
        }
    }
}
