//! The root: owns the tree of actors, keeps the heartbeat, and carries words between the parts.
//!
//! It restarts an actor that crashes, suspends one that crashes too often, follows the town as rigs come and go, and stops
//! everything in order. It owns no agent and decides nothing about one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};
use tokio::sync::watch;

use super::{
    budget::Budget,
    children::{ChildStatus, Children, Ending, ending, stop_all, suspended},
    chores::{self, Process},
    heartbeat::Heartbeat,
    part::{Answers, Report, Word},
    town_reading::{SettingsState, Town, TownReading},
};
use crate::{
    agent::{
        actor::{AgentActor, AgentPlan},
        directory::AgentRef,
        identity::{Identity, RigName},
        role::{Plain, Role},
        spec::AgentSpec,
        status::AgentStatus,
    },
    boot::actor::{Boot, BootMsg, BootPlan},
    control::actor::Control,
    convoy::actor::{ConvoyMsg, ConvoyWatch},
    deacon::role::Deacon,
    deaths::actor::{DeathWindow, DeathsMsg},
    deps::Deps,
    feed::actor::{Curator, FeedMsg},
    go_duration,
    lifecycle::actor::{DeaconMail, MailMsg},
    operator::actor::{OperatorMsg, OperatorWatch},
    panics::Named,
    rig::{
        plan::RigPlan,
        supervisor::{RigMsg, RigSupervisor},
    },
    sessions::{
        actor::{Seen, SessionWatch, Told, WatchMsg},
        sweep::Sweep,
    },
    stopping,
    town::{settings::Settings, watch::Hints},
    work::{Post, Timer, Work},
};

mod asking;
mod beating;
mod child;
mod following;
mod roll;

use child::ChildRef;
pub use child::RootChild;
pub use roll::unanswered;

/// How often it is looked whether somebody deleted the PID file.
const PID_CHECK: Duration = Duration::from_secs(5);
/// A burst of file changes is one reading.
const SETTLE: Duration = Duration::from_millis(100);
/// A burst of changes of the ledger is one reading of the mail,
const MAIL_SETTLE: Duration = Duration::from_secs(1);
/// and the next follows after so long at the earliest: an inbox is read by a program that may take its time.
const MAIL_PAUSE: Duration = Duration::from_secs(9);

/// What the root hears.
#[derive(Debug)]
pub enum RootMsg {
    /// From the process: SIGHUP — read the settings again.
    Reload,
    /// From the process: SIGUSR2 — read `daemon/restart_state.json` again.
    RereadRestartState,
    /// From the process: SIGUSR1 — look at everything at once.
    LookNow,
    /// From the control socket: begin a heartbeat now.
    BeatNow,
    /// From the control socket: whatever keeps this agent, or all, from being started at once is over.
    ClearBackoff(Option<Identity>),
    /// From its timer; one of an earlier generation does nothing.
    HeartbeatDue(u64),
    /// From its timer: the session watch has not swept for this heartbeat yet.
    SweepIsLate(u64),
    /// From its task: a sweep for this heartbeat, made without the session watch.
    Swept(u64, Arc<Sweep>),
    /// From its timer: this heartbeat has taken long enough.
    Deadline(u64),
    /// From the file watch, once it has settled.
    TownMayHaveChanged,
    /// From the file watch: the ledger changed, there may be mail. From the control socket: look whether there is.
    MailMayHaveCome,
    /// From its reading task; nothing when that was cut short by a fault.
    TownRead(Option<Box<TownReading>>),
    /// From its task: `daemon/restart_state.json`, or nothing when it could not be read.
    RestartStateRead(bool),
    /// From its task: the role beads were read, as far as they could be.
    RoleBeadsRead,
    /// From the session watch.
    Watched(Seen),
    /// From a part.
    Report(Report),
    /// From its timer: a suspended child's time is over.
    TryAgain(RootChild),
    /// From its task: the actors of a rig that vanished or changed are gone.
    RigStopped(RigName),
    /// From its timer.
    PidCheckDue,
    /// From anybody: how are you, and who is under you?
    Probe(RpcReplyPort<RootSnapshot>),
}

/// What a probe shows.
#[derive(Debug)]
pub struct RootSnapshot {
    /// Heartbeats completed since the start.
    pub heartbeats: u64,
    /// When the last one was.
    pub last_heartbeat: Option<Timestamp>,
    /// The parts that were late in it.
    pub late: Vec<String>,
    /// What the heartbeat under way waits for.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests read it"))]
    pub waiting_for: Vec<String>,
    /// Which settings are in force.
    pub settings: SettingsState,
    /// Its children.
    pub actors: Vec<ChildStatus>,
    /// The agents that are looked after, each as unknown.
    pub roll: Vec<AgentStatus>,
    /// What is wrong now.
    pub problems: BTreeMap<String, String>,
    /// The session watch, if it runs.
    pub session_watch: Option<ActorRef<WatchMsg>>,
    /// The operator watch, if it runs.
    pub operator_watch: Option<ActorRef<OperatorMsg>>,
    /// The actors of all agents, running or not.
    pub agents: Vec<(Identity, AgentRef)>,
    /// The death window's actor, if it runs.
    pub deaths: Option<ActorRef<DeathsMsg>>,
    /// The reader of the deacon's mail, if it runs.
    pub mail: Option<ActorRef<MailMsg>>,
    /// The curator of the feed, if it runs.
    pub feed: Option<ActorRef<FeedMsg>>,
    /// The convoy watcher, if it runs.
    pub convoys: Option<ActorRef<ConvoyMsg>>,
    /// The rigs' supervisors that run.
    pub rigs: Vec<(RigName, ActorRef<RigMsg>)>,
}

/// What the root is made with. It is made again from the same when it crashes.
#[derive(Clone)]
pub struct RootPlan {
    /// The ports and registers.
    pub deps: Arc<Deps>,
    /// Where new settings are put in force.
    pub settings: Arc<watch::Sender<Arc<Settings>>>,
    /// Tells when files of the town change.
    pub hints: Arc<dyn Hints>,
    /// This process.
    pub process: Process,
    /// Whether the root may fail when what everything depends on crashes too often: then it is made again, with everything
    /// under it. Otherwise that is suspended like any other.
    pub may_fail: bool,
}

/// The actor.
#[derive(Debug)]
pub struct Root;

/// Its state.
pub struct RootState {
    plan: RootPlan,
    children: Children<RootChild, ChildRef>,
    rigs: BTreeMap<RigName, RigPlan>,
    /// Rigs whose actors are still ending: their agents get no second owner before the first is gone.
    stopping: BTreeSet<RigName>,
    town: Town,
    heartbeat: Heartbeat,
    timer: Timer,
    /// Of the heartbeat under way: for its sweep, and for all of it.
    sweep_timer: Timer,
    deadline: Timer,
    deacon_held: bool,
    /// The town is being read, for this heartbeat if for one; and whether it is to be read once more after that.
    reading: Option<Option<u64>>,
    read_again: Option<Option<u64>>,
    /// `bd` is being asked for the role beads.
    reading_role_beads: bool,
    work: Work<RootMsg>,
    post: Post<RootMsg>,
}

impl Actor for Root {
    type Msg = RootMsg;
    type State = RootState;
    type Arguments = RootPlan;

    async fn pre_start(
        &self,
        myself: ActorRef<RootMsg>,
        plan: RootPlan,
    ) -> Result<RootState, ActorProcessingErr> {
        let itself = myself.clone();
        let post: Post<RootMsg> = Arc::new(move |message| drop(itself.cast(message)));
        let mut state = RootState {
            plan,
            children: Children::new(Budget::default()),
            rigs: BTreeMap::new(),
            stopping: BTreeSet::new(),
            town: Town::new(),
            heartbeat: Heartbeat::default(),
            timer: Timer::default(),
            sweep_timer: Timer::default(),
            deadline: Timer::default(),
            deacon_held: false,
            reading: None,
            read_again: None,
            reading_role_beads: false,
            work: Work::new(post.clone()),
            post,
        };
        for child in [
            RootChild::SessionWatch,
            RootChild::OperatorWatch,
            RootChild::DeathWindow,
            RootChild::Deacon,
            RootChild::Boot,
            RootChild::DeaconMail,
            RootChild::Curator,
            RootChild::Convoy,
            RootChild::Control,
        ] {
            state.spawn(&myself, child).await?;
        }
        state.spawn_mayor_if_asked_for(&myself).await?;
        state.begin_chores();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<RootMsg>,
        message: RootMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Reload | RootMsg::TownMayHaveChanged => state.read_town(None),
            RootMsg::MailMayHaveCome => state.read_mail(),
            RootMsg::RereadRestartState => state.read_restart_state(),
            RootMsg::LookNow => {
                state.hint_sweep();
                state.read_mail();
                // What was left alone for a reason is looked at again too.
                state.read_town(None);
            }
            RootMsg::HeartbeatDue(generation) if state.timer.is_latest(generation) => state.begin_heartbeat(),
            RootMsg::HeartbeatDue(_) => {}
            RootMsg::BeatNow => state.begin_heartbeat(),
            RootMsg::ClearBackoff(whose) => state.clear_backoff(whose),
            RootMsg::SweepIsLate(number) => state.sweep_without_the_watch(number),
            RootMsg::Swept(number, sweep) => state.ask_parts(number, sweep),
            RootMsg::Deadline(number) => {
                let complete = state.heartbeat.deadline(number, state.plan.deps.now());
                state.complete(complete);
            }
            RootMsg::TownRead(reading) => state.town_read(&myself, reading).await?,
            RootMsg::RestartStateRead(could_be_read) => state.restart_state_read(could_be_read),
            RootMsg::RoleBeadsRead => state.reading_role_beads = false,
            RootMsg::Watched(seen) => state.seen(seen),
            RootMsg::Report(Report::Asked(identity)) => state.asked(&myself, identity).await?,
            RootMsg::Report(report) => state.reported(report),
            RootMsg::TryAgain(child) => {
                if state.children.resume(&child) {
                    state.spawn(&myself, child).await?;
                }
            }
            RootMsg::RigStopped(name) => {
                state.stopping.remove(&name);
                state.spawn_rig(&myself, name).await?;
            }
            RootMsg::PidCheckDue => state.check_pid_file(),
            RootMsg::Probe(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<RootMsg>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((actor, why)) = ending(event) {
            let what = state.children.ended(actor, &why, state.plan.deps.now().mono);
            if let Some(child) = state.crashed(what, &why)? {
                state.spawn(&myself, child).await?;
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RootMsg>, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        stop_all(state.children.remove_all(), stopping::BRANCH).await;
        let (deps, process) = (&state.plan.deps, state.plan.process);
        let (last, count) = (state.heartbeat.last(), state.heartbeat.count());
        let farewell = async {
            tokio::join!(
                chores::write_state(deps, process, false, last, count),
                deps.records.save(deps),
                chores::close_histories(deps),
            )
        };
        // A disk that hangs is the last resort's business.
        let _ = tokio::time::timeout(stopping::FILES, farewell).await;
        Ok(())
    }
}

impl RootState {
    /// What follows from a crash: the child that is to be made again now, if one is. An error ends the root, and everything
    /// under it with it.
    fn crashed(
        &mut self,
        what: Ending<RootChild>,
        why: &str,
    ) -> Result<Option<RootChild>, ActorProcessingErr> {
        match what {
            Ending::Stranger => Ok(None),
            Ending::Restart(child) => {
                tracing::warn!("actor {child} crashed ({why}), restarted");
                Ok(Some(child))
            }
            Ending::Suspended(child, _) if child.is_significant() && self.plan.may_fail => {
                tracing::error!("actor {child} crashed too often, everything is restarted with it: {why}");
                Err(format!("actor {child} crashed too often: {why}").into())
            }
            Ending::Suspended(child, suspend_for) => {
                let text = suspended(&child.to_string(), suspend_for, why);
                self.plan.deps.problems.report(format!("actor/{child}"), text);
                self.work.after(suspend_for, RootMsg::TryAgain(child));
                Ok(None)
            }
        }
    }

    /// Makes a child, unless it runs: an agent never has two actors.
    async fn spawn(
        &mut self,
        myself: &ActorRef<RootMsg>,
        child: RootChild,
    ) -> Result<(), ActorProcessingErr> {
        let mut next = Some(child).filter(|child| self.children.get(child).is_none());
        while let Some(child) = next.take() {
            match self.try_spawn(myself, &child).await {
                Ok(Some((actor, cell))) => {
                    self.plan.deps.problems.clear(&format!("actor/{child}"));
                    self.children.started(child, actor, cell);
                    // A successor observes first: the next sweep comes at once.
                    self.hint_sweep();
                }
                Ok(None) => {}
                Err(error) => {
                    let why = error.to_string();
                    let what = self.children.failed(child, &why, self.plan.deps.now().mono);
                    next = self.crashed(what, &why)?;
                }
            }
        }
        Ok(())
    }

    /// Nothing for a rig that vanished from the town meanwhile.
    async fn try_spawn(
        &mut self,
        myself: &ActorRef<RootMsg>,
        child: &RootChild,
    ) -> Result<Option<(ChildRef, ActorCell)>, SpawnErr> {
        let deps = self.plan.deps.clone();
        let above = myself.get_cell();
        let answers = self.answers();
        let spec = |identity: Identity| {
            let session = identity.session(deps.settings().tmux.naming, "");
            AgentSpec { identity, session, prefix: String::new() }
        };
        let (actor, cell): (ChildRef, ActorCell) = match child {
            RootChild::SessionWatch => {
                let (post, directory) = (self.post.clone(), deps.directory.clone());
                let tell: Post<Told> = Arc::new(move |told| match told {
                    Told::Seen(seen) => post(RootMsg::Watched(seen)),
                    // Straight to the agent's actor; what is nobody's is no death of an agent.
                    Told::Died(death) => {
                        let session = death.session.clone();
                        directory.send_to_session(&session, Word::Died(death));
                    }
                });
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, SessionWatch), (deps.clone(), tell), above)
                        .await?;
                (ChildRef::SessionWatch(actor.clone()), actor.get_cell())
            }
            RootChild::OperatorWatch => {
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, OperatorWatch), deps.clone(), above).await?;
                (ChildRef::OperatorWatch(actor.clone()), actor.get_cell())
            }
            RootChild::Deacon | RootChild::Mayor => {
                let (identity, role): (_, Box<dyn Role>) = match child {
                    RootChild::Deacon => (Identity::Deacon, Box::<Deacon>::default()),
                    _ => (Identity::Mayor, Box::new(Plain)),
                };
                if *child == RootChild::Deacon {
                    // A new one has not found out yet whether it is held; it will say so.
                    self.reported(Report::DeaconHeld(false));
                }
                let plan = AgentPlan { deps: deps.clone(), spec: spec(identity), answers, role };
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, AgentActor), plan, above).await?;
                (ChildRef::Agent(actor.clone()), actor.get_cell())
            }
            RootChild::Boot => {
                let plan = BootPlan { boot: spec(Identity::Boot), deacon: spec(Identity::Deacon) };
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, Boot), (deps.clone(), plan, answers), above)
                        .await?;
                let _ = actor.cast(BootMsg::DeaconHeld(self.deacon_held));
                (ChildRef::Boot(actor.clone()), actor.get_cell())
            }
            RootChild::DeathWindow => {
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, DeathWindow), deps.clone(), above).await?;
                (ChildRef::DeathWindow(actor.clone()), actor.get_cell())
            }
            RootChild::DeaconMail => {
                let rigs = self.known_rigs();
                let (actor, _) = Actor::spawn_linked(
                    None,
                    Named::new(child, DeaconMail),
                    (deps.clone(), rigs, answers),
                    above,
                )
                .await?;
                (ChildRef::DeaconMail(actor.clone()), actor.get_cell())
            }
            RootChild::Curator => {
                let arguments = (deps.clone(), self.plan.hints.events());
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, Curator), arguments, above).await?;
                (ChildRef::Curator(actor.clone()), actor.get_cell())
            }
            RootChild::Convoy => {
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, ConvoyWatch), deps.clone(), above).await?;
                (ChildRef::Convoy(actor.clone()), actor.get_cell())
            }
            RootChild::Control => {
                let arguments = (deps.clone(), self.plan.process, myself.clone());
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, Control), arguments, above).await?;
                (ChildRef::Control(actor.clone()), actor.get_cell())
            }
            RootChild::Rig(name) => {
                let Some(plan) = self.rigs.get(name) else {
                    return Ok(None);
                };
                let arguments = (deps.clone(), plan.clone(), answers);
                let (actor, _) =
                    Actor::spawn_linked(None, Named::new(child, RigSupervisor), arguments, above).await?;
                (ChildRef::Rig(actor.clone()), actor.get_cell())
            }
        };
        Ok(Some((actor, cell)))
    }

    fn answers(&self) -> Answers {
        let post = self.post.clone();
        Arc::new(move |report| post(RootMsg::Report(report)))
    }

    fn begin_chores(&mut self) {
        let deps = self.plan.deps.clone();
        self.work.run(async move { chores::keep_records(&deps).await });
        let deps = self.plan.deps.clone();
        self.work.run(async move { chores::keep_histories(&deps).await });
        let deps = self.plan.deps.clone();
        self.work.run(async move { chores::keep_writing(&deps).await });
        let (post, mut changes) = (self.post.clone(), self.plan.hints.changes());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::TownMayHaveChanged);
            }
        });
        let (post, mut changes) = (self.post.clone(), self.plan.hints.ledger());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(MAIL_SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::MailMayHaveCome);
                tokio::time::sleep(MAIL_PAUSE).await;
            }
        });
        self.work.after(PID_CHECK, RootMsg::PidCheckDue);
        self.timer.set(&mut self.work, Duration::ZERO, RootMsg::HeartbeatDue);
    }

    fn check_pid_file(&mut self) {
        let (deps, pid) = (self.plan.deps.clone(), self.plan.process.pid);
        self.work.run(async move { chores::keep_pid_file(&deps, pid).await });
        self.work.after(PID_CHECK, RootMsg::PidCheckDue);
    }

    fn hint_sweep(&self) {
        if let Some(ChildRef::SessionWatch(watch)) = self.children.get(&RootChild::SessionWatch) {
            let _ = watch.cast(WatchMsg::Hint);
        }
    }

    /// Sends this to the actors of all agents, and to all others.
    fn tell_all(&self, word: &Word) {
        for (_, child) in self.children.running() {
            child.hear(word.clone());
        }
        self.plan.deps.directory.broadcast(word, |_| true);
    }

    fn snapshot(&self) -> RootSnapshot {
        let mut snapshot = RootSnapshot {
            heartbeats: self.heartbeat.count(),
            last_heartbeat: self.heartbeat.last(),
            late: self.heartbeat.late().iter().cloned().collect(),
            waiting_for: self.heartbeat.waiting_for(),
            settings: self.town.settings_state().clone(),
            actors: self.children.status(),
            roll: self.roll(),
            problems: self.plan.deps.problems.open(),
            session_watch: None,
            operator_watch: None,
            agents: self.plan.deps.directory.actors(),
            deaths: None,
            mail: None,
            feed: None,
            convoys: None,
            rigs: Vec::new(),
        };
        for (child, actor) in self.children.running() {
            match (child, actor) {
                (_, ChildRef::SessionWatch(actor)) => snapshot.session_watch = Some(actor.clone()),
                (_, ChildRef::OperatorWatch(actor)) => snapshot.operator_watch = Some(actor.clone()),
                (_, ChildRef::DeathWindow(actor)) => snapshot.deaths = Some(actor.clone()),
                (_, ChildRef::DeaconMail(actor)) => snapshot.mail = Some(actor.clone()),
                (_, ChildRef::Curator(actor)) => snapshot.feed = Some(actor.clone()),
                (_, ChildRef::Convoy(actor)) => snapshot.convoys = Some(actor.clone()),
                (RootChild::Rig(name), ChildRef::Rig(actor)) => {
                    snapshot.rigs.push((name.clone(), actor.clone()))
                }
                (_, ChildRef::Agent(_) | ChildRef::Boot(_) | ChildRef::Rig(_) | ChildRef::Control(_)) => {}
            }
        }
        snapshot
    }
}

/// The first line of a running daemon; people and scripts look for it.
pub fn running_line(interval: Duration) -> String {
    format!("Daemon running, recovery heartbeat interval {}", go_duration::format(interval))
}
