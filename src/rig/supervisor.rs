//! The rig supervisor: stands over a rig's actors, restarts one that crashes, and passes on what the root says.
//!
//! It owns no agent. Whatever else a rig gets joins its children here.

use std::{collections::BTreeSet, fmt, sync::Arc};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use super::{
    census::{Census, CensusMsg},
    dock,
    patrol::{Patrol, PatrolMsg},
};
use crate::{
    agent::{
        identity::{AgentName, Identity, RigName},
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::snapshot::AgentSnapshot,
    panics::Named,
    polecat::actor::{HealthMsg, PolecatHealth},
    sessions::death::Death,
    stopping,
    town::settings::Naming,
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
    /// The owner of a crew member, once somebody asked for it.
    Crew(AgentName),
    /// The owner of all polecats.
    Polecats,
    /// The owner of the refinery.
    Refinery,
    /// The owner of the witness.
    Witness,
}

impl RigChild {
    /// Whether it is a part, which answers heartbeats; who waits for `bd` is not.
    fn is_part(&self) -> bool {
        *self != RigChild::Census
    }
}

impl fmt::Display for RigChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RigChild::Census => f.write_str("census"),
            RigChild::Crew(name) => write!(f, "crew/{name}"),
            RigChild::Polecats => f.write_str("polecats"),
            RigChild::Refinery => f.write_str("refinery"),
            RigChild::Witness => f.write_str("witness"),
        }
    }
}

/// How each child is spoken to.
#[derive(Debug)]
enum ChildRef {
    Census(ActorRef<CensusMsg>),
    Patrol(ActorRef<PatrolMsg>),
    Polecats(ActorRef<HealthMsg>),
}

impl ChildRef {
    fn hear(&self, word: Word) {
        // A message to an actor that just crashed is lost; its successor looks for itself.
        let _ = match self {
            ChildRef::Census(actor) => actor.cast(CensusMsg::Word(word)).map_err(drop),
            ChildRef::Patrol(actor) => actor.cast(PatrolMsg::Word(word)).map_err(drop),
            ChildRef::Polecats(actor) => actor.cast(HealthMsg::Word(word)).map_err(drop),
        };
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

impl RigPlan {
    /// What is to be known of its witness, refinery, or one of its polecats.
    pub fn spec(&self, identity: Identity, naming: Naming) -> AgentSpec {
        let session = identity.session(naming, &self.prefix);
        AgentSpec { identity, session, prefix: self.prefix.clone() }
    }

    /// Whether a session may be one of this rig's polecats': by the beginning of its name, which another rig's agents may
    /// share, and by being none of the agents known otherwise.
    pub fn may_be_a_polecats(&self, session: &str, naming: Naming) -> bool {
        self.polecats_sessions(naming)(session)
    }

    /// The same for many sessions: every one of the town's is asked about in every rig, at every look at everything.
    pub fn polecats_sessions(&self, naming: Naming) -> impl Fn(&str) -> bool + use<> {
        let witness = Identity::Witness(self.name.clone()).session(naming, &self.prefix);
        let refinery = Identity::Refinery(self.name.clone()).session(naming, &self.prefix);
        let begin = witness.strip_suffix("witness").unwrap_or(&witness).to_owned();
        move |session| {
            let rest = session.strip_prefix(&begin).filter(|rest| !rest.is_empty());
            rest.is_some_and(|rest| session != witness && session != refinery && !rest.starts_with("crew-"))
        }
    }
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
    /// The owner of its polecats, if it runs.
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
        let mut state = RigState { deps, plan, answers, children, work: Work::new(post.clone()), post };
        for child in [RigChild::Witness, RigChild::Refinery, RigChild::Polecats, RigChild::Census] {
            state.spawn(&myself, child).await?;
        }
        for name in state.crew_asked_for() {
            state.spawn(&myself, RigChild::Crew(name)).await?;
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
            RigMsg::Word(Word::Asked(identity)) => state.asked(&myself, identity).await?,
            RigMsg::Word(word) => state.tell_all(&word),
            RigMsg::SnapshotRead(snapshot) => state.snapshot_read(snapshot),
            RigMsg::TryAgain(child) => {
                if state.children.resume(&child) {
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
            Ending::Suspended(child, suspend_for) => {
                let name = &state.plan.name;
                let text = suspended(&format!("{name}/{child}"), suspend_for, &why);
                state.deps.problems.report(key(&child), text);
                state.work.after(suspend_for, RigMsg::TryAgain(child));
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
    /// The one agent that a patrol owns.
    fn spec(&self, child: &RigChild) -> Option<AgentSpec> {
        let rig = self.plan.name.clone();
        let identity = match child {
            RigChild::Crew(name) => Identity::Crew(rig, name.clone()),
            RigChild::Witness => Identity::Witness(rig),
            RigChild::Refinery => Identity::Refinery(rig),
            RigChild::Polecats | RigChild::Census => return None,
        };
        Some(self.plan.spec(identity, self.deps.settings().tmux.naming))
    }

    /// Passes a death on to the owner of the session, if it is one of this rig's.
    fn died(&self, death: Death) {
        let naming = self.deps.settings().tmux.naming;
        let owner = self.children.running().find(|(child, _)| match (child, self.spec(child)) {
            (_, Some(spec)) => spec.session == death.session,
            (RigChild::Polecats, _) => self.plan.may_be_a_polecats(&death.session, naming),
            _ => false,
        });
        if let Some((_, child)) = owner {
            child.hear(Word::Died(death));
        }
    }

    /// Crew members are nobody's business until somebody asks for one to be stopped or started.
    fn crew_asked_for(&self) -> BTreeSet<AgentName> {
        let asked_for = self.deps.requests.waiting().into_iter().chain(self.deps.holds.all());
        asked_for
            .filter_map(|identity| match identity {
                Identity::Crew(rig, name) if rig == self.plan.name => Some(name),
                _ => None,
            })
            .collect()
    }

    /// Passes a request on to its agent's owner. One that is suspended finds it in the register.
    async fn asked(
        &mut self,
        myself: &ActorRef<RigMsg>,
        identity: Identity,
    ) -> Result<(), ActorProcessingErr> {
        let child = match &identity {
            Identity::Witness(_) => RigChild::Witness,
            Identity::Refinery(_) => RigChild::Refinery,
            Identity::Polecat(..) => RigChild::Polecats,
            Identity::Crew(_, name) => RigChild::Crew(name.clone()),
            Identity::Mayor | Identity::Deacon | Identity::Boot => return Ok(()),
        };
        if matches!(child, RigChild::Crew(_)) && !self.children.contains(&child) {
            self.spawn(myself, child.clone()).await?;
        }
        if let Some(owner) = self.children.get(&child) {
            owner.hear(Word::Asked(identity));
        }
        Ok(())
    }

    async fn spawn(&mut self, myself: &ActorRef<RigMsg>, child: RigChild) -> Result<(), ActorProcessingErr> {
        let (deps, answers, above) = (self.deps.clone(), self.answers.clone(), myself.get_cell());
        let name = format!("{}/{child}", self.plan.name);
        let (actor, cell) = match (&child, self.spec(&child)) {
            (_, Some(spec)) => {
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(&name, Patrol), (deps, spec, answers), above)
                        .await?;
                (ChildRef::Patrol(actor.clone()), actor.get_cell())
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
                let arguments = (deps, self.plan.clone(), answers);
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(&name, PolecatHealth), arguments, above).await?;
                (ChildRef::Polecats(actor.clone()), actor.get_cell())
            }
        };
        self.deps.problems.clear(&format!("rig/{}/actor/{child}", self.plan.name));
        self.children.started(child, actor, cell);
        Ok(())
    }

    /// Its parts answer for themselves.
    fn pass_on(&self, beat: &Beat) {
        let rig = &self.plan.name;
        let parts = self.children.running().filter(|(child, _)| child.is_part());
        let delegated = parts.map(|(child, _)| format!("{rig}/{child}")).collect();
        let missed = self.children.not_running().filter(|child| child.is_part());
        let missed = missed.map(|child| format!("{rig}/{child}")).collect();
        let part = format!("rig {rig}");
        (self.answers)(Report::Looked { number: beat.number, part, delegated, missed });
        for (_, child) in self.children.running() {
            child.hear(Word::Heartbeat(beat.clone()));
        }
    }

    fn tell_all(&self, word: &Word) {
        for (_, child) in self.children.running() {
            child.hear(word.clone());
        }
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
            patrols: self
                .children
                .running()
                .filter_map(|(_, child)| match child {
                    ChildRef::Patrol(patrol) => Some(patrol.clone()),
                    _ => None,
                })
                .collect(),
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
