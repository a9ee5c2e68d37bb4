//! The root: owns the tree of actors, keeps the heartbeat, and carries words between the parts.
//!
//! It restarts an actor that crashes, parks one that crashes too often, follows the town as rigs come and go, and stops
//! everything in order. It owns no agent and decides nothing about one.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::watch;

use super::{
    budget::Budget,
    children::{ChildStatus, Children, Ending, stop_all},
    chores::{self, Process},
    heartbeat::{Complete, Heartbeat},
    part::{Answers, Beat, Report, STOP_GRACE, Word},
    town_reading::{Town, TownReading, read_town, watched},
};
use crate::{
    agent::{
        identity::{Identity, RigName},
        restart::RestartHistory,
        spec::AgentSpec,
    },
    boot::actor::{Boot, BootMsg, BootPlan},
    deacon::actor::{Deacon, DeaconMsg},
    deps::Deps,
    go_duration,
    rig::supervisor::{RigMsg, RigPlan, RigSupervisor},
    sessions::actor::{Seen, SessionWatch, WatchMsg},
    town::{settings::Settings, watch::Hints},
    work::{Post, Work},
};

/// How often it is looked whether somebody deleted the PID file.
const PID_CHECK: Duration = Duration::from_secs(5);
/// A burst of file changes is one reading.
const SETTLE: Duration = Duration::from_millis(100);

/// What the root hears.
#[derive(Debug)]
pub enum RootMsg {
    /// From the process: SIGHUP — read the settings again.
    Reload,
    /// From the process: SIGUSR2 — read `daemon/restart_state.json` again.
    RereadRestartState,
    /// From the process: SIGUSR1 — look at everything at once.
    LookNow,
    /// From its timer; one of an earlier generation does nothing.
    HeartbeatDue(u64),
    /// From its timer: this heartbeat has taken long enough.
    Deadline(u64),
    /// From the file watch, once it has settled.
    TownMayHaveChanged,
    /// From its reading task; with the heartbeat that asked for it.
    TownRead(Option<u64>, Option<Box<TownReading>>),
    /// From its task: `daemon/restart_state.json`, or nothing when it could not be read.
    RestartStateRead(Option<BTreeMap<String, RestartHistory>>),
    /// From the session watch.
    Seen(Seen),
    /// From a part.
    Report(Report),
    /// From its timer: a parked child's time is over.
    TryAgain(RootChild),
    /// From its timer.
    PidCheckDue,
    /// From anybody: how are you, and who is under you?
    Probe(RpcReplyPort<RootSnapshot>),
}

/// The root's children.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RootChild {
    /// Looks at all sessions.
    SessionWatch,
    /// Owns the deacon.
    Deacon,
    /// Spawns boot.
    Boot,
    /// Stands over a rig.
    Rig(RigName),
}

impl fmt::Display for RootChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootChild::SessionWatch => f.write_str("sessions"),
            RootChild::Deacon => f.write_str("deacon"),
            RootChild::Boot => f.write_str("boot"),
            RootChild::Rig(rig) => write!(f, "rig {rig}"),
        }
    }
}

#[derive(Debug)]
enum ChildRef {
    SessionWatch(ActorRef<WatchMsg>),
    Deacon(ActorRef<DeaconMsg>),
    Boot(ActorRef<BootMsg>),
    Rig(ActorRef<RigMsg>),
}

impl ChildRef {
    /// Passes a word on to a part; the session watch is none.
    fn hear(&self, word: Word) {
        // A message to an actor that just crashed is lost; its successor looks for itself.
        let _ = match self {
            ChildRef::SessionWatch(_) => Ok(()),
            ChildRef::Deacon(actor) => actor.cast(DeaconMsg::Word(word)).map_err(drop),
            ChildRef::Boot(actor) => actor.cast(BootMsg::Word(word)).map_err(drop),
            ChildRef::Rig(actor) => actor.cast(RigMsg::Word(word)).map_err(drop),
        };
    }
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
    pub waiting_for: Vec<String>,
    /// Its children.
    pub actors: Vec<ChildStatus>,
    /// What is wrong now.
    pub problems: BTreeMap<String, String>,
    /// The session watch, if it runs.
    pub session_watch: Option<ActorRef<WatchMsg>>,
    /// The deacon's actor, if it runs.
    pub deacon: Option<ActorRef<DeaconMsg>>,
    /// Boot's actor, if it runs.
    pub boot: Option<ActorRef<BootMsg>>,
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
}

/// The actor.
#[derive(Debug)]
pub struct Root;

/// Its state.
pub struct RootState {
    plan: RootPlan,
    children: Children<RootChild, ChildRef>,
    rigs: BTreeMap<RigName, RigPlan>,
    town: Town,
    heartbeat: Heartbeat,
    timer: u64,
    deacon_held: bool,
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
            town: Town::new(),
            heartbeat: Heartbeat::default(),
            timer: 0,
            deacon_held: false,
            work: Work::new(post.clone()),
            post,
        };
        for child in [RootChild::SessionWatch, RootChild::Deacon, RootChild::Boot] {
            state.spawn(&myself, child).await?;
        }
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
            RootMsg::RereadRestartState => state.read_restart_state(),
            RootMsg::LookNow => {
                state.hint_sweep();
                // What was left alone for a reason is looked at again too.
                state.read_town(None);
            }
            RootMsg::HeartbeatDue(generation) if generation == state.timer => state.begin_heartbeat(),
            RootMsg::HeartbeatDue(_) => {}
            RootMsg::Deadline(number) => {
                let complete = state.heartbeat.deadline(number, state.plan.deps.now());
                state.complete(complete);
            }
            RootMsg::TownRead(heartbeat, reading) => state.town_read(&myself, heartbeat, reading).await?,
            RootMsg::RestartStateRead(histories) => state.restart_state_read(histories),
            RootMsg::Seen(seen) => state.seen(seen),
            RootMsg::Report(report) => state.reported(report),
            RootMsg::TryAgain(child) => {
                if state.children.unpark(&child) {
                    state.spawn(&myself, child).await?;
                }
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
        let (actor, why) = match event {
            SupervisionEvent::ActorTerminated(actor, _, why) => {
                (actor.get_id(), why.unwrap_or_else(|| "it ended".to_owned()))
            }
            SupervisionEvent::ActorFailed(actor, error) => (actor.get_id(), error.to_string()),
            _ => return Ok(()),
        };
        let now = state.plan.deps.now().mono;
        match state.children.ended(actor, &why, now) {
            Ending::Stranger => {}
            Ending::Restart(child) => {
                tracing::warn!("actor {child} crashed ({why}), restarted");
                state.spawn(&myself, child).await?;
            }
            Ending::Parked(child, park_for) => {
                let text = format!("actor {child} crashed too often and is parked: {why}");
                state.plan.deps.problems.report(format!("actor/{child}"), text);
                state.work.after(park_for, RootMsg::TryAgain(child));
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RootMsg>, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        stop_all(state.children.remove_all(), STOP_GRACE * 2).await;
        let (deps, process) = (&state.plan.deps, state.plan.process);
        let (last, count) = (state.heartbeat.last(), state.heartbeat.count());
        let farewell = async {
            chores::write_restart_state(deps).await;
            chores::write_state(deps, process, false, last, count).await;
        };
        // A disk that hangs is the last resort's business.
        let _ = tokio::time::timeout(STOP_GRACE, farewell).await;
        Ok(())
    }
}

impl RootState {
    /// A child that cannot be spawned is no reason to end: `pre_start` only builds state, so this does not happen short
    /// of memory running out.
    async fn spawn(
        &mut self,
        myself: &ActorRef<RootMsg>,
        child: RootChild,
    ) -> Result<(), ActorProcessingErr> {
        let deps = self.plan.deps.clone();
        let above = myself.get_cell();
        let answers = self.answers();
        let spec = |identity: Identity| {
            let session = identity.session(deps.settings().tmux.naming, "");
            AgentSpec { identity, session }
        };
        let (actor, cell): (ChildRef, ActorCell) = match &child {
            RootChild::SessionWatch => {
                let post = self.post.clone();
                let tell: Post<Seen> = Arc::new(move |seen| post(RootMsg::Seen(seen)));
                let (actor, _) = Actor::spawn_linked(None, SessionWatch, (deps.clone(), tell), above).await?;
                (ChildRef::SessionWatch(actor.clone()), actor.get_cell())
            }
            RootChild::Deacon => {
                let arguments = (deps.clone(), spec(Identity::Deacon), answers);
                let (actor, _) = Actor::spawn_linked(None, Deacon, arguments, above).await?;
                (ChildRef::Deacon(actor.clone()), actor.get_cell())
            }
            RootChild::Boot => {
                let plan = BootPlan { boot: spec(Identity::Boot), deacon: spec(Identity::Deacon) };
                let (actor, _) =
                    Actor::spawn_linked(None, Boot, (deps.clone(), plan, answers), above).await?;
                let _ = actor.cast(BootMsg::DeaconHeld(self.deacon_held));
                (ChildRef::Boot(actor.clone()), actor.get_cell())
            }
            RootChild::Rig(name) => {
                let Some(plan) = self.rigs.get(name) else {
                    return Ok(()); // it vanished from the town meanwhile
                };
                let arguments = (deps.clone(), plan.clone(), answers);
                let (actor, _) = Actor::spawn_linked(None, RigSupervisor, arguments, above).await?;
                (ChildRef::Rig(actor.clone()), actor.get_cell())
            }
        };
        deps.problems.clear(&format!("actor/{child}"));
        self.children.started(child, actor, cell);
        // A successor observes first: the next sweep comes at once.
        self.hint_sweep();
        Ok(())
    }

    fn answers(&self) -> Answers {
        let post = self.post.clone();
        Arc::new(move |report| post(RootMsg::Report(report)))
    }

    fn begin_chores(&mut self) {
        let deps = self.plan.deps.clone();
        self.work.run(async move { chores::keep_restart_state(&deps).await });
        let (post, mut changes) = (self.post.clone(), self.plan.hints.changes());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::TownMayHaveChanged);
            }
        });
        self.work.after(PID_CHECK, RootMsg::PidCheckDue);
        self.work.after(Duration::ZERO, RootMsg::HeartbeatDue(self.timer));
    }

    fn begin_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        if let Some(number) = self.heartbeat.begin(deps.now()) {
            tracing::info!("Heartbeat starting (recovery-focused)");
            let deadline = deps.settings().heartbeat.deadline;
            self.work.after(deadline, RootMsg::Deadline(number));
            self.read_town(Some(number));
        }
    }

    fn read_town(&mut self, heartbeat: Option<u64>) {
        let deps = self.plan.deps.clone();
        self.work.spawn(
            async move { RootMsg::TownRead(heartbeat, Some(Box::new(read_town(&deps).await))) },
            RootMsg::TownRead(heartbeat, None),
        );
    }

    async fn town_read(
        &mut self,
        myself: &ActorRef<RootMsg>,
        heartbeat: Option<u64>,
        reading: Option<Box<TownReading>>,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(reading) = reading {
            let (settings, plans) = self.town.update(*reading, &self.plan.deps);
            if let Some(settings) = settings {
                self.put_in_force(settings);
            }
            self.follow_rigs(myself, plans).await?;
        }
        match heartbeat {
            Some(number) => {
                if let Some(ChildRef::SessionWatch(watch)) = self.children.get(&RootChild::SessionWatch) {
                    let _ = watch.cast(WatchMsg::SweepFor(number));
                }
            }
            None => self.tell_all(&Word::TownChanged),
        }
        Ok(())
    }

    fn put_in_force(&mut self, settings: Arc<Settings>) {
        let before = self.plan.deps.settings();
        tracing::info!("Settings changed, in force now");
        let needs_restart = settings.tmux.socket_name != before.tmux.socket_name
            || settings.tmux.socket_path != before.tmux.socket_path
            || settings.tmux.naming != before.tmux.naming
            || settings.commands.tmux != before.commands.tmux;
        if needs_restart {
            tracing::warn!(
                "tmux.socket_name, tmux.socket_path, tmux.naming and commands.tmux take effect at the next start"
            );
        }
        self.plan.settings.send_replace(settings);
        if !before.heartbeat.interval.is_zero() {
            self.arm_heartbeat();
        }
    }

    /// Rigs that appeared get their actors, those that vanished lose them; their sessions are left alone.
    async fn follow_rigs(
        &mut self,
        myself: &ActorRef<RootMsg>,
        plans: Vec<RigPlan>,
    ) -> Result<(), ActorProcessingErr> {
        let wanted: BTreeMap<RigName, RigPlan> =
            plans.into_iter().map(|plan| (plan.name.clone(), plan)).collect();
        let changed: Vec<RigName> = self
            .rigs
            .iter()
            .filter(|(name, plan)| wanted.get(*name) != Some(plan))
            .map(|(name, _)| name.clone())
            .collect();
        for name in changed {
            let cell = self.children.remove(&RootChild::Rig(name.clone()));
            self.work.run(async move { stop_all(cell.into_iter().collect(), STOP_GRACE).await });
            if !wanted.contains_key(&name) {
                tracing::info!(
                    "rig {name} is gone from mayor/rigs.json: no longer supervised, its sessions are left alone"
                );
                self.plan.deps.problems.forget(&format!("rig/{name}/"));
            }
        }
        let new: Vec<RigName> = wanted
            .keys()
            .filter(|name| !self.children.contains(&RootChild::Rig((*name).clone())))
            .cloned()
            .collect();
        self.rigs = wanted;
        let prefixes = self.rigs.values().map(|rig| rig.prefix.clone()).collect();
        self.plan.deps.bindings.set_prefixes(prefixes);
        for name in &new {
            self.spawn(myself, RootChild::Rig(name.clone())).await?;
        }
        let names: Vec<RigName> = self.rigs.keys().cloned().collect();
        let (hints, deps) = (self.plan.hints.clone(), self.plan.deps.clone());
        self.work.run(async move {
            match hints.retarget(watched(&deps, &names)).await {
                Some(why) => {
                    deps.problems.report("watch", format!("{why}; changes are seen at heartbeats only"))
                }
                None => deps.problems.clear("watch"),
            };
        });
        Ok(())
    }

    fn seen(&mut self, seen: Seen) {
        let Some(number) = seen.for_heartbeat else {
            return self.tell_all(&Word::Swept(seen.sweep));
        };
        let parts: Vec<String> = self
            .children
            .running()
            .filter(|(child, _)| **child != RootChild::SessionWatch)
            .map(|(child, _)| child.to_string())
            .collect();
        let complete = self.heartbeat.asked(number, parts, self.plan.deps.now());
        self.tell_all(&Word::Heartbeat(Beat { number, sweep: seen.sweep }));
        self.complete(complete);
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Looked { number, part, delegated } => {
                let complete = self.heartbeat.answered(number, &part, delegated, self.plan.deps.now());
                self.complete(complete);
            }
            Report::DeaconHeld(held) => {
                self.deacon_held = held;
                if let Some(ChildRef::Boot(boot)) = self.children.get(&RootChild::Boot) {
                    let _ = boot.cast(BootMsg::DeaconHeld(held));
                }
            }
            Report::CheckDeacon => {
                if let Some(ChildRef::Deacon(deacon)) = self.children.get(&RootChild::Deacon) {
                    let _ = deacon.cast(DeaconMsg::CheckNow);
                }
            }
        }
    }

    fn complete(&mut self, complete: Option<Complete>) {
        let Some(Complete { number, late }) = complete else {
            return;
        };
        let problems = &self.plan.deps.problems;
        if late.is_empty() {
            problems.clear("heartbeat/late");
        } else {
            let late = late.into_iter().collect::<Vec<_>>().join(", ");
            problems.report("heartbeat/late", format!("late in the heartbeat: {late}"));
        }
        tracing::info!("Heartbeat complete (#{number})");
        let (deps, process, last) = (self.plan.deps.clone(), self.plan.process, self.heartbeat.last());
        self.work.run(async move { chores::write_state(&deps, process, true, last, number).await });
        self.arm_heartbeat();
    }

    fn arm_heartbeat(&mut self) {
        let deps = &self.plan.deps;
        let due = self.heartbeat.next_in(deps.settings().heartbeat.interval, deps.now());
        self.timer += 1;
        self.work.after(due, RootMsg::HeartbeatDue(self.timer));
    }

    fn read_restart_state(&mut self) {
        let deps = self.plan.deps.clone();
        self.work.spawn(
            async move { RootMsg::RestartStateRead(chores::read_restart_state(&deps).await) },
            RootMsg::RestartStateRead(None),
        );
    }

    fn restart_state_read(&mut self, histories: Option<BTreeMap<String, RestartHistory>>) {
        if let Some(histories) = histories {
            tracing::info!("Restart state read again");
            self.plan.deps.restarts.replace(histories);
            self.tell_all(&Word::RestartStateChanged);
        }
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

    fn tell_all(&self, word: &Word) {
        for (_, child) in self.children.running() {
            child.hear(word.clone());
        }
    }

    fn snapshot(&self) -> RootSnapshot {
        let mut snapshot = RootSnapshot {
            heartbeats: self.heartbeat.count(),
            last_heartbeat: self.heartbeat.last(),
            late: self.heartbeat.late().iter().cloned().collect(),
            waiting_for: self.heartbeat.waiting_for(),
            actors: self.children.status(),
            problems: self.plan.deps.problems.open(),
            session_watch: None,
            deacon: None,
            boot: None,
            rigs: Vec::new(),
        };
        for (child, actor) in self.children.running() {
            match (child, actor) {
                (_, ChildRef::SessionWatch(actor)) => snapshot.session_watch = Some(actor.clone()),
                (_, ChildRef::Deacon(actor)) => snapshot.deacon = Some(actor.clone()),
                (_, ChildRef::Boot(actor)) => snapshot.boot = Some(actor.clone()),
                (RootChild::Rig(name), ChildRef::Rig(actor)) => {
                    snapshot.rigs.push((name.clone(), actor.clone()))
                }
                (_, ChildRef::Rig(_)) => {}
            }
        }
        snapshot
    }
}

/// The first line of a running daemon; people and scripts look for it.
pub fn running_line(interval: Duration) -> String {
    format!("Daemon running, recovery heartbeat interval {}", go_duration::format(interval))
}
