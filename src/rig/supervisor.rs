//! The rig supervisor: stands over a rig's actors, restarts one that crashes, and passes on what the root says.
//!
//! It owns no agent: each has an actor of its own. Those of polecats follow their directories; one of a crew member is made
//! once somebody asks for it. Whatever else a rig gets joins its children here.

use std::{collections::BTreeSet, fmt, sync::Arc};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};
use tokio::sync::Semaphore;

use super::{
    census::{Census, CensusMsg},
    dock,
    plan::RigPlan,
};
use crate::{
    agent::{
        actor::{AgentActor, AgentMsg, AgentPlan},
        identity::{AgentName, Identity, RigName},
        role::{Plain, Role},
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::snapshot::AgentSnapshot,
    panics::Named,
    polecat::{
        actor::{HealthMsg, HealthPlan, PolecatHealth, Roster},
        role::Polecat,
    },
    stopping,
    tree::{
        budget::Budget,
        children::{ChildStatus, Children, Ending, ending, stop_all, suspended},
        part::{Answers, Beat, Report, Word},
    },
    work::{Post, Work},
};

/// What a rig supervisor hears.
#[derive(Debug)]
pub enum RigMsg {
    /// From the root.
    Word(Word),
    /// From its census.
    SnapshotRead(Arc<AgentSnapshot>),
    /// From polecat health: who there is, by the directories.
    Listed(Roster),
    /// From the actor of a polecat that is not listed any more: nothing is going on there.
    Idle(AgentName),
    /// From its task: the actor of a polecat that is no more has ended.
    PolecatStopped(AgentName),
    /// From itself: a suspended child's time is over.
    TryAgain(RigChild),
    /// From anybody: how are you, and who is under you?
    Probe(RpcReplyPort<RigSnapshot>),
}

/// The children a rig has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RigChild {
    /// The reader of its agents' beads.
    Census,
    /// A crew member, once somebody asked for it.
    Crew(AgentName),
    /// A polecat.
    Polecat(AgentName),
    /// Polecat health, which lists the polecats.
    Polecats,
    /// The refinery.
    Refinery,
    /// The witness.
    Witness,
}

impl fmt::Display for RigChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RigChild::Census => f.write_str("census"),
            RigChild::Crew(name) => write!(f, "crew/{name}"),
            RigChild::Polecat(name) => write!(f, "polecats/{name}"),
            RigChild::Polecats => f.write_str("polecats"),
            RigChild::Refinery => f.write_str("refinery"),
            RigChild::Witness => f.write_str("witness"),
        }
    }
}

/// How each child is spoken to.
#[derive(Debug)]
enum ChildRef {
    Agent(ActorRef<AgentMsg>),
    Census(ActorRef<CensusMsg>),
    Polecats(ActorRef<HealthMsg>),
}

impl ChildRef {
    fn send(&self, word: Word) {
        // A message to an actor that just crashed is lost; its successor probes first.
        let _ = match self {
            ChildRef::Census(actor) => actor.cast(CensusMsg::Word(word)).map_err(drop),
            // The directory sends it to agents.
            ChildRef::Agent(_) => Ok(()),
            ChildRef::Polecats(actor) => actor.cast(HealthMsg::Word(word)).map_err(drop),
        };
    }
}

/// What a probe shows.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests read the rest"))]
pub struct RigSnapshot {
    /// Its name.
    pub name: RigName,
    /// Its actors.
    pub actors: Vec<ChildStatus>,
    /// Polecat health, if it runs.
    pub polecats: Option<ActorRef<HealthMsg>>,
    /// Its census, if it runs.
    pub census: Option<ActorRef<CensusMsg>>,
}

/// The actor.
#[derive(Debug)]
pub struct RigSupervisor;

/// Its state.
pub struct RigState {
    deps: Arc<Deps>,
    plan: RigPlan,
    answers: Answers,
    children: Children<RigChild, ChildRef>,
    /// Polecats whose actors are still ending: none gets a second one before the first is gone.
    stopping: BTreeSet<AgentName>,
    /// Crew whose session names are claimed.
    crew: BTreeSet<Identity>,
    /// Taken by the audits of polecats, one after the other.
    audit_turn: Arc<Semaphore>,
    work: Work<RigMsg>,
    post: Post<RigMsg>,
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
        let mut state = RigState {
            deps,
            plan,
            answers,
            children,
            stopping: BTreeSet::new(),
            crew: BTreeSet::new(),
            audit_turn: Arc::new(Semaphore::new(1)),
            work: Work::new(post.clone()),
            post,
        };
        for child in [RigChild::Witness, RigChild::Refinery, RigChild::Polecats, RigChild::Census] {
            state.spawn(&myself, child).await;
        }
        for child in state.asked_for() {
            state.spawn(&myself, child).await;
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
            RigMsg::Word(Word::Heartbeat(beat)) => state.heartbeat(&beat),
            RigMsg::Word(Word::Asked(identity)) => state.asked(&myself, &identity).await,
            RigMsg::Word(word) => state.pass_on(&word),
            RigMsg::SnapshotRead(snapshot) => state.snapshot_read(snapshot),
            RigMsg::Listed(roster) => state.listed(&myself, roster).await,
            RigMsg::Idle(name) => state.let_go(name),
            RigMsg::PolecatStopped(name) => {
                state.stopping.remove(&name);
                let identity = Identity::Polecat(state.plan.name.clone(), name);
                if state.is_asked_for(&identity) {
                    state.asked(&myself, &identity).await;
                }
            }
            RigMsg::TryAgain(child) => {
                if state.children.resume(&child) {
                    state.spawn(&myself, child).await;
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
        if let Some((actor, why)) = ending(event) {
            let what = state.children.ended(actor, &why, state.deps.now().mono);
            if let Some(child) = state.crashed(what, &why) {
                state.spawn(&myself, child).await;
                (state.answers)(Report::ActorRestarted);
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RigMsg>, state: &mut RigState) -> Result<(), ActorProcessingErr> {
        stop_all(state.children.remove_all(), stopping::LEAF).await;
        Ok(())
    }
}

impl RigState {
    /// The agent that a child stands for, if it is one's.
    fn identity(&self, child: &RigChild) -> Option<Identity> {
        let rig = self.plan.name.clone();
        match child {
            RigChild::Crew(name) => Some(Identity::Crew(rig, name.clone())),
            RigChild::Polecat(name) => Some(Identity::Polecat(rig, name.clone())),
            RigChild::Witness => Some(Identity::Witness(rig)),
            RigChild::Refinery => Some(Identity::Refinery(rig)),
            RigChild::Polecats | RigChild::Census => None,
        }
    }

    fn spec(&self, identity: Identity) -> AgentSpec {
        self.plan.spec(identity, self.deps.settings().tmux.naming)
    }

    /// Those that no listing need show: crew members, who get an actor only on request, polecats
    /// whose directory is gone, and all that a predecessor of this supervisor kept.
    fn asked_for(&self) -> BTreeSet<RigChild> {
        let (requests, holds) = (self.deps.requests.waiting(), self.deps.records.held());
        let crew = holds.into_iter().filter(|identity| matches!(identity, Identity::Crew(..)));
        let kept = self.deps.directory.actors().into_iter().map(|(identity, _)| identity);
        let theirs =
            requests.into_iter().chain(crew).chain(kept).filter(|it| it.rig() == Some(&self.plan.name));
        theirs.filter_map(|identity| child_of(&identity)).collect()
    }

    /// Gives the agent of a request an actor, unless it has one. That finds the request in the register.
    async fn asked(&mut self, myself: &ActorRef<RigMsg>, identity: &Identity) {
        if let Some(child) = child_of(identity).filter(|child| !self.children.contains(child)) {
            self.spawn(myself, child).await;
        }
    }

    /// What follows from a crash: the child that is to be made again now, if one is.
    fn crashed(&mut self, what: Ending<RigChild>, why: &str) -> Option<RigChild> {
        match what {
            Ending::Stranger => None,
            Ending::Restart(child) => {
                tracing::warn!("actor {}/{child} crashed ({why}), restarted", self.plan.name);
                Some(child)
            }
            Ending::Suspended(child, suspend_for) => {
                let text = suspended(&format!("{}/{child}", self.plan.name), suspend_for, why);
                self.deps.problems.report(self.problem(&child), text);
                self.work.after(suspend_for, RigMsg::TryAgain(child));
                None
            }
        }
    }

    /// Makes a child, unless it runs or is still ending: an agent never has two actors.
    async fn spawn(&mut self, myself: &ActorRef<RigMsg>, child: RigChild) {
        let is_ending = matches!(&child, RigChild::Polecat(name) if self.stopping.contains(name));
        let mut next = Some(child).filter(|child| !is_ending && self.children.get(child).is_none());
        while let Some(child) = next.take() {
            match self.try_spawn(myself, &child).await {
                Ok((actor, cell)) => {
                    self.deps.problems.clear(&self.problem(&child));
                    self.children.started(child, actor, cell);
                }
                Err(error) => {
                    let why = error.to_string();
                    let what = self.children.failed(child, &why, self.deps.now().mono);
                    next = self.crashed(what, &why);
                }
            }
        }
    }

    async fn try_spawn(
        &self,
        myself: &ActorRef<RigMsg>,
        child: &RigChild,
    ) -> Result<(ChildRef, ActorCell), SpawnErr> {
        let (deps, above) = (self.deps.clone(), myself.get_cell());
        let name = format!("{}/{child}", self.plan.name);
        Ok(match (child, self.identity(child)) {
            (_, Some(identity)) => {
                let (spec, role) = (self.spec(identity), self.role(child));
                let plan = AgentPlan { deps, spec, answers: self.answers(), role };
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(&name, AgentActor), plan, above).await?;
                (ChildRef::Agent(actor.clone()), actor.get_cell())
            }
            (RigChild::Census, _) => {
                let post = self.post.clone();
                let tell: Post<_> = Arc::new(move |snapshot| post(RigMsg::SnapshotRead(snapshot)));
                let arguments = (deps, self.plan.clone(), tell);
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(&name, Census), arguments, above).await?;
                (ChildRef::Census(actor.clone()), actor.get_cell())
            }
            _ => {
                let post = self.post.clone();
                let listed: Post<Roster> = Arc::new(move |roster| post(RigMsg::Listed(roster)));
                let plan = HealthPlan { deps, rig: self.plan.clone(), answers: self.answers.clone(), listed };
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(&name, PolecatHealth), plan, above).await?;
                (ChildRef::Polecats(actor.clone()), actor.get_cell())
            }
        })
    }

    fn problem(&self, child: &RigChild) -> String {
        match self.identity(child) {
            Some(identity @ Identity::Polecat(..)) => format!("rig/{}/{identity}/actor", self.plan.name),
            _ => format!("rig/{}/actor/{child}", self.plan.name),
        }
    }

    fn role(&self, child: &RigChild) -> Box<dyn Role> {
        match child {
            RigChild::Polecat(_) => Box::new(Polecat::new(self.audit_turn.clone())),
            _ => Box::new(Plain),
        }
    }

    /// Answers go to the root, but for what concerns this rig alone.
    fn answers(&self) -> Answers {
        let (answers, post) = (self.answers.clone(), self.post.clone());
        Arc::new(move |report| match report {
            Report::Idle(Identity::Polecat(_, name)) => post(RigMsg::Idle(name)),
            report => answers(report),
        })
    }

    /// Polecats that appeared get an actor; those that vanished lose it once nothing is going on with them.
    async fn listed(&mut self, myself: &ActorRef<RigMsg>, roster: Roster) {
        self.claim_crew(roster.crew);
        let there: BTreeSet<AgentName> = roster.polecats.into_iter().collect();
        for name in self.polecats().difference(&there).cloned().collect::<Vec<_>>() {
            match self.children.get(&RigChild::Polecat(name.clone())) {
                Some(ChildRef::Agent(actor)) => drop(actor.cast(AgentMsg::Unlisted)),
                _ => self.let_go(name),
            }
        }
        let new: Vec<AgentName> = there.difference(&self.polecats()).cloned().collect();
        let any_new = !new.is_empty();
        for name in new {
            self.spawn(myself, RigChild::Polecat(name)).await;
        }
        if any_new {
            // They have not been probed yet.
            (self.answers)(Report::ActorRestarted);
        }
        let known = self.polecats();
        let rig = &self.plan.name;
        let identities = known.iter().map(|name| Identity::Polecat(rig.clone(), name.clone())).collect();
        self.deps.incidents.keep_polecats(rig, &identities);
        if self.deps.incidents.is_unsaved() {
            let deps = self.deps.clone();
            self.work.run(async move { drop(deps.incidents.save(&deps).await) });
        }
        if let Some(ChildRef::Polecats(health)) = self.children.get(&RigChild::Polecats) {
            let _ = health.cast(HealthMsg::Known(known));
        }
    }

    /// The polecats that have an actor, suspended or not.
    fn polecats(&self) -> BTreeSet<AgentName> {
        let names = self.children.keys().filter_map(|child| match child {
            RigChild::Polecat(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    fn claim_crew(&mut self, crew: Vec<AgentName>) {
        let rig = &self.plan.name;
        let there: BTreeSet<Identity> =
            crew.into_iter().map(|name| Identity::Crew(rig.clone(), name)).collect();
        for identity in self.crew.difference(&there) {
            self.deps.directory.release(identity);
        }
        for identity in &there {
            self.deps.directory.claim(identity, &self.spec(identity.clone()).session);
        }
        self.crew = there;
    }

    fn is_asked_for(&self, identity: &Identity) -> bool {
        self.deps.requests.next(identity).is_some()
    }

    /// A polecat is no more, and nothing is remembered of it but its history; unless a request came meanwhile.
    fn let_go(&mut self, name: AgentName) {
        let identity = Identity::Polecat(self.plan.name.clone(), name.clone());
        if self.is_asked_for(&identity) {
            return;
        }
        let cell = self.children.remove(&RigChild::Polecat(name.clone()));
        self.stopping.insert(name.clone());
        let stopped = name.clone();
        self.work.spawn(
            async move {
                stop_all(cell.into_iter().collect(), stopping::LEAF).await;
                RigMsg::PolecatStopped(stopped)
            },
            RigMsg::PolecatStopped(name),
        );
        let spec = self.spec(identity.clone());
        let deps = self.deps.clone();
        deps.screens.unwant(&spec.session);
        deps.directory.release(&identity);
        deps.histories.gone(&identity, "its directory is gone", deps.now().wall);
        deps.problems.forget(&format!("rig/{}/{identity}/", self.plan.name));
        deps.records.forget(&identity);
    }

    /// Polecat health answers for itself, as each agent does.
    fn heartbeat(&self, beat: &Beat) {
        let rig = &self.plan.name;
        let health = vec![format!("{rig}/{}", RigChild::Polecats)];
        let (delegated, missed) = match self.children.get(&RigChild::Polecats) {
            Some(_) => (health, Vec::new()),
            None => (Vec::new(), health),
        };
        (self.answers)(Report::Looked { number: beat.number, part: format!("rig {rig}"), delegated, missed });
        self.pass_on(&Word::Heartbeat(beat.clone()));
    }

    /// Sends this to the children that are no agents' actors.
    fn pass_on(&self, word: &Word) {
        for (_, child) in self.children.running() {
            child.send(word.clone());
        }
    }

    /// Sends this to all in the rig.
    fn tell_all(&self, word: &Word) {
        self.pass_on(word);
        self.deps.directory.broadcast(word, |identity| identity.rig() == Some(&self.plan.name));
    }

    /// Keeps what was read, and passes it on to everybody; a label that was set or taken away changes what they may do.
    fn snapshot_read(&self, snapshot: Arc<AgentSnapshot>) {
        let label = dock::label(&snapshot.rig_bead);
        self.deps.snapshots.keep(snapshot.clone());
        self.tell_all(&Word::SnapshotRead(snapshot));
        if label.is_some_and(|label| self.deps.docked.update(&self.plan.name, label)) {
            self.tell_all(&Word::TownChanged);
        }
    }

    fn snapshot(&self) -> RigSnapshot {
        RigSnapshot {
            name: self.plan.name.clone(),
            actors: self.children.status(),
            polecats: self.children.running().find_map(|(_, child)| match child {
                ChildRef::Polecats(polecats) => Some(polecats.clone()),
                _ => None,
            }),
            census: self.children.running().find_map(|(_, child)| match child {
                ChildRef::Census(census) => Some(census.clone()),
                _ => None,
            }),
        }
    }
}

/// The child that stands for an agent of the rig.
fn child_of(identity: &Identity) -> Option<RigChild> {
    match identity {
        Identity::Witness(_) => Some(RigChild::Witness),
        Identity::Refinery(_) => Some(RigChild::Refinery),
        Identity::Polecat(_, name) => Some(RigChild::Polecat(name.clone())),
        Identity::Crew(_, name) => Some(RigChild::Crew(name.clone())),
        Identity::Mayor | Identity::Deacon | Identity::Boot => None,
    }
}
