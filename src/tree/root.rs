//! The root: owns the tree of actors, runs the heartbeat, and passes messages between the parts.
//!
//! It restarts an actor that crashes, suspends one that crashes too often, adds and removes rigs as the town changes,
//! and stops everything in order. It owns no agent and decides nothing about one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use tokio::sync::{Semaphore, watch};

use super::{
    children::{ChildEvent, Children},
    housekeeping::{self, Process},
    town_reading::{SettingsState, Town, TownReading},
};
use crate::{
    agent::spec::AgentSpec,
    deps::Deps,
    go_duration, roles,
    sessions::scan::Scan,
    stopping,
    supervision::{
        child::{ActorReport, ChildSpec, ask},
        heartbeat::{Heartbeat, HeartbeatReport},
        messages::{Broadcast, Report, ReportTo},
        status::AgentStatus,
        work::{ReplyTo, Timer, Work},
    },
    town::{
        identity::{Identity, RigName, Wanted},
        rig_plan::{Prefixes, RigPlan},
        settings::Settings,
        watch::FsWatcher,
    },
    tree::{
        one_file::{FileReading, OneFile},
        rig,
    },
    watchers::{
        accounts::actor as accounts,
        activity::actor as activity,
        alerts::actor::RootAnswers,
        convoy::actor as convoy,
        deaths,
        dolt::actor as dolt,
        duties,
        feed::actor as feed,
        lifecycle_mail::actor as mail,
        operator,
        sessions::{self, Seen, WatchMsg},
    },
};

use going_down::Down;

mod agents;
mod asking;
mod beating;
mod following;
pub mod going_down;
mod supervised;

/// How often to check whether the PID file was deleted.
const PID_CHECK: Duration = Duration::from_secs(10);
/// File changes within this time cause one reading.
const SETTLE: Duration = Duration::from_millis(100);
/// Changes of the ledger within this time cause one reading of the mail,
const MAIL_SETTLE: Duration = Duration::from_secs(1);
/// and the next follows after this long at the earliest: the program that reads the inbox may be slow.
const MAIL_PAUSE: Duration = Duration::from_secs(9);

/// What the root receives.
#[derive(Debug)]
pub enum RootMsg {
    /// From the process: SIGHUP — read the settings again.
    Reload,
    /// From the process: SIGUSR2 — read `daemon/restart_state.json` again.
    RereadRestartState,
    /// From the process: SIGUSR1, scan everything now.
    HeartbeatNow,
    /// From the control socket: start a heartbeat now.
    BeatNow,
    /// From the control socket: clear what delays the start of this agent, or of all.
    ClearBackoff(Option<Identity>),
    /// From the control socket: end all agents of a town of one file, and then the process.
    GoDown(Box<Down>),
    /// From its timer; one of an earlier generation does nothing.
    HeartbeatDue(u64),
    /// From its timer: the session watch has not scanned for this heartbeat yet.
    ScanIsLate(u64),
    /// From its task: a scan for this heartbeat, made without the session watch.
    Scanned(u64, Arc<Scan>),
    /// From its timer: the deadline of this heartbeat has passed.
    Deadline(u64),
    /// From the file watch, after the debounce.
    TownMayHaveChanged,
    /// From the file watch: the ledger changed, there may be mail. From the control socket: read the inbox.
    MailMayHaveCome,
    /// From its reading task; `None` when that panicked.
    TownRead(Option<Read>),
    /// In a town of one file, from its task: something is known of an agent that was not.
    AgentsChanged,
    /// From its task: whether `daemon/restart_state.json` could be read.
    RestartStateRead(bool),
    /// From its task: the role beads were read, as far as possible.
    RoleBeadsRead,
    /// From the session watch.
    Watched(Seen),
    /// From a part.
    Report(Report),
    /// From its children.
    Child(ChildEvent),
    /// From its timer.
    PidCheckDue,
    /// A request for its status.
    Status(RpcReplyPort<RootSnapshot>),
}

/// What a reading task read.
#[derive(Debug)]
pub enum Read {
    /// The files of a Gas Town.
    Town(Box<TownReading>),
    /// The file that is the town.
    File(Box<FileReading>),
}

/// What the town's files are read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reason {
    /// The heartbeat that waits for it, if one does.
    heartbeat: Option<u64>,
    /// Whether somebody asks for what is in them now.
    asked: bool,
}

impl Reason {
    /// Both.
    fn and(self, other: Reason) -> Reason {
        Reason { heartbeat: other.heartbeat.or(self.heartbeat), asked: self.asked || other.asked }
    }
}

/// The root's part of the status.
#[derive(Debug)]
pub struct RootSnapshot {
    /// The supervisor's heartbeat.
    pub heartbeat: HeartbeatReport,
    /// The parts that the heartbeat in progress waits for.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests read it"))]
    pub waiting_for: Vec<String>,
    /// Which settings are in force.
    pub settings: SettingsState,
    /// Its children.
    pub actors: Vec<ActorReport>,
    /// The supervised agents, each with the state unknown.
    pub supervised: Vec<AgentStatus>,
}

/// The arguments of the root. It is created again from them when it crashes.
#[derive(Clone)]
pub struct RootPlan {
    /// The ports and registers.
    pub deps: Arc<Deps>,
    /// Creates the actor that answers on the control socket, given the root.
    pub control: Arc<dyn Fn(ActorRef<RootMsg>) -> ChildSpec + Send + Sync>,
    /// Creates the actor that delivers alerts, given how the root is asked.
    pub alerts: Arc<dyn Fn(RootAnswers) -> ChildSpec + Send + Sync>,
    /// The sender of the settings in force.
    pub settings: Arc<watch::Sender<Arc<Settings>>>,
    /// What it needs in a town of one file; `None` in a Gas Town.
    pub one_file: Option<OneFile>,
    /// Reports changes of the town's files.
    pub fs_watcher: Arc<dyn FsWatcher>,
    /// Ends this process, as TERM does.
    pub ends: Arc<dyn Fn() + Send + Sync>,
    /// This process.
    pub process: Process,
    /// Whether the root may fail when a significant child crashes too often: then it is created again, with
    /// everything under it. Otherwise that child is suspended like any other.
    pub may_fail: bool,
}

/// The root actor.
#[derive(Debug)]
pub struct Root;

/// The state of the [`Root`].
pub struct RootState {
    plan: RootPlan,
    children: Children,
    rigs: BTreeMap<RigName, RigPlan>,
    town: Town,
    heartbeat: Heartbeat,
    timer: Timer,
    /// The timer of the heartbeat's scan; the one for the whole heartbeat follows.
    scan_timer: Timer,
    deadline: Timer,
    deacon_held: bool,
    /// The reading of the town in progress. Then what it is to be read for once more.
    reading: Option<Reason>,
    read_again: Option<Reason>,
    /// The file of a town of one file.
    file: agents::File,
    /// Moves when somebody has the agents run: what ends them all is over.
    brought_up: watch::Sender<()>,
    /// Whether a task is reading the role beads.
    reading_role_beads: bool,
    work: Work<RootMsg>,
    post: ReplyTo<RootMsg>,
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
        let post: ReplyTo<RootMsg> = Arc::new(move |message| drop(itself.cast(message)));
        let events = post.clone();
        let events: ReplyTo<ChildEvent> = Arc::new(move |event| events(RootMsg::Child(event)));
        let children = Children::new(plan.deps.clone(), myself.get_cell(), stopping::BRANCH, events);
        let mut state = RootState {
            plan,
            children,
            rigs: BTreeMap::new(),
            town: Town::new(),
            heartbeat: Heartbeat::default(),
            timer: Timer::default(),
            scan_timer: Timer::default(),
            deadline: Timer::default(),
            deacon_held: false,
            reading: None,
            read_again: None,
            reading_role_beads: false,
            file: agents::File::default(),
            brought_up: watch::Sender::new(()),
            work: Work::new(post.clone()),
            post,
        };
        for child in state.list(&myself) {
            state.start(child).await?;
        }
        for spec in AgentSpec::of_town(&state.plan.deps) {
            state.start_if_asked_for(&spec.identity).await?;
        }
        state.follow_agents(false).await?;
        state.begin_housekeeping();
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<RootMsg>,
        message: RootMsg,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RootMsg::Reload => {
                state.take_downs_back();
                state.read_town(Reason { asked: true, ..Reason::default() });
            }
            RootMsg::TownMayHaveChanged => state.read_town(Reason::default()),
            RootMsg::MailMayHaveCome => state.children.broadcast(&Broadcast::ReadMail),
            RootMsg::RereadRestartState => state.read_restart_state(),
            RootMsg::HeartbeatNow => {
                state.hint_scan();
                state.children.broadcast(&Broadcast::ReadMail);
                // Probes what was left alone for a reason, too.
                state.read_town(Reason::default());
            }
            RootMsg::HeartbeatDue(generation) if state.timer.is_latest(generation) => state.begin_heartbeat(),
            RootMsg::HeartbeatDue(_) => {}
            RootMsg::BeatNow => state.begin_heartbeat(),
            RootMsg::GoDown(down) => state.go_down(*down),
            RootMsg::ClearBackoff(whose) => state.clear_backoff(whose),
            RootMsg::ScanIsLate(number) => state.scan_without_the_watch(number),
            RootMsg::Scanned(number, scan) => {
                state.look_for_left_behind(&scan);
                state.ask_parts(number, scan);
            }
            RootMsg::Deadline(number) => {
                let complete = state.heartbeat.deadline(number, state.plan.deps.now());
                state.complete(complete);
            }
            RootMsg::TownRead(reading) => state.town_read(reading).await?,
            RootMsg::AgentsChanged => state.follow_agents(false).await?,
            RootMsg::RestartStateRead(could_be_read) => state.restart_state_read(could_be_read),
            RootMsg::RoleBeadsRead => state.reading_role_beads = false,
            RootMsg::Watched(seen) => state.seen(seen),
            RootMsg::Report(Report::Asked(identity)) => state.asked(identity).await?,
            RootMsg::Report(report) => state.reported(report),
            RootMsg::Child(event) => {
                if state.children.handle(event).await? {
                    state.welcome();
                }
            }
            RootMsg::PidCheckDue => state.check_pid_file(),
            RootMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<RootMsg>,
        event: SupervisionEvent,
        state: &mut RootState,
    ) -> Result<(), ActorProcessingErr> {
        if state.children.ended(event).await? {
            state.welcome();
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RootMsg>, state: &mut RootState) -> Result<(), ActorProcessingErr> {
        state.children.stop_all().await;
        let (deps, process) = (&state.plan.deps, state.plan.process);
        let (last, count) = (state.heartbeat.last(), state.heartbeat.count());
        let farewell = async {
            tokio::join!(
                housekeeping::write_state(deps, process, false, last, count),
                deps.records.save(deps),
                housekeeping::close_histories(deps),
                async {
                    if let Some(own) = &state.plan.one_file {
                        let _ = own.kept.save(deps).await;
                    }
                },
            )
        };
        // The last resort handles a disk that hangs.
        let _ = tokio::time::timeout(stopping::FILES, farewell).await;
        Ok(())
    }
}

impl RootState {
    /// The actors that every town has, in the order in which they start.
    fn list(&self, myself: &ActorRef<RootMsg>) -> Vec<ChildSpec> {
        let (deps, answers, post) = (&self.plan.deps, &self.answers(), self.post.clone());
        let facts = deps.dialect().facts();
        let mut all = vec![sessions::child(deps, Arc::new(move |seen| post(RootMsg::Watched(seen))))];
        if facts.has_gt {
            all.push(operator::child(deps));
        }
        let settings = deps.settings();
        let agents = AgentSpec::of_town(deps).into_iter().map(|spec| spec.identity);
        let agents = agents.filter(|it| it.wanted(&settings) != Wanted::OnRequest);
        all.extend(agents.map(|identity| self.agent(identity)));
        all.extend([deaths::child(deps), accounts::child(deps)]);
        if facts.has_gt {
            all.extend([
                mail::child(deps, answers),
                feed::child(deps, &self.plan.fs_watcher),
                convoy::child(deps, &self.plan.fs_watcher),
            ]);
        }
        all.extend([
            activity::child(deps),
            (self.plan.control)(myself.clone()),
            (self.plan.alerts)(root_answers(myself.clone())),
        ]);
        if facts.has_dolt {
            all.extend([dolt::child(deps, answers), duties::child(deps)]);
        }
        all
    }

    /// The actor of an agent of no rig; the mayor's is created on request, unless it is kept.
    fn agent(&self, identity: Identity) -> ChildSpec {
        let agent = (identity, &Prefixes::default());
        roles::child(&self.plan.deps, agent, &self.answers(), &Arc::new(Semaphore::new(1)))
    }

    /// The supervisor of a rig.
    fn rig(&self, plan: &RigPlan) -> ChildSpec {
        rig::child(&self.plan.deps, plan, &self.answers())
    }

    async fn start(&mut self, mut child: ChildSpec) -> Result<(), ActorProcessingErr> {
        child.significant &= self.plan.may_fail;
        if self.children.start(child).await? {
            self.hint_scan();
        }
        Ok(())
    }

    /// A new actor observes first, so the next scan comes at once; and it gets the messages that were sent before it
    /// existed.
    fn welcome(&self) {
        self.hint_scan();
        self.plan.deps.directory.send(&Identity::Boot, Broadcast::DeaconHeld(self.deacon_held));
        self.send_rigs();
    }

    fn answers(&self) -> ReportTo {
        let post = self.post.clone();
        Arc::new(move |report| post(RootMsg::Report(report)))
    }

    fn begin_housekeeping(&mut self) {
        let deps = self.plan.deps.clone();
        self.work.run(async move { housekeeping::keep_records(&deps).await });
        let deps = self.plan.deps.clone();
        self.work.run(async move { housekeeping::keep_accounts(&deps).await });
        let deps = self.plan.deps.clone();
        self.work.run(async move { housekeeping::keep_histories(&deps).await });
        let deps = self.plan.deps.clone();
        self.work.run(async move { housekeeping::keep_writing(&deps).await });
        let (post, mut changes) = (self.post.clone(), self.plan.fs_watcher.changes());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::TownMayHaveChanged);
            }
        });
        if self.plan.deps.dialect().facts().has_gt {
            self.await_mail();
        }
        if self.plan.one_file.is_some() {
            self.await_agents();
        }
        self.work.after(PID_CHECK, RootMsg::PidCheckDue);
        self.timer.set(&mut self.work, Duration::ZERO, RootMsg::HeartbeatDue);
    }

    fn await_mail(&mut self) {
        let (post, mut changes) = (self.post.clone(), self.plan.fs_watcher.ledger());
        self.work.run(async move {
            while changes.changed().await.is_ok() {
                tokio::time::sleep(MAIL_SETTLE).await;
                changes.mark_unchanged();
                post(RootMsg::MailMayHaveCome);
                tokio::time::sleep(MAIL_PAUSE).await;
            }
        });
    }

    fn check_pid_file(&mut self) {
        let (deps, pid) = (self.plan.deps.clone(), self.plan.process.pid);
        self.work.run(async move { housekeeping::keep_pid_file(&deps, pid).await });
        self.work.after(PID_CHECK, RootMsg::PidCheckDue);
    }

    fn hint_scan(&self) {
        self.children.cast(sessions::NAME, WatchMsg::Hint);
    }

    /// Sends a broadcast to the actors of all agents, and to all other children.
    fn broadcast(&self, message: &Broadcast) {
        self.children.broadcast(message);
        self.plan.deps.directory.broadcast(message, |_| true);
    }

    fn snapshot(&self) -> RootSnapshot {
        RootSnapshot {
            heartbeat: self.heartbeat.report(),
            waiting_for: self.heartbeat.waiting_for(),
            settings: self.town.settings_state().clone(),
            actors: self.children.report(),
            supervised: self.supervised(),
        }
    }
}

/// Whether the root answers.
fn root_answers(root: ActorRef<RootMsg>) -> RootAnswers {
    Arc::new(move |limit| {
        let root = root.clone();
        async move { ask(&root, RootMsg::Status, limit).await.is_some() }.boxed()
    })
}

/// The first line of a running daemon; people and scripts search for it.
pub fn running_line(interval: Duration) -> String {
    format!("Daemon running, recovery heartbeat interval {}", go_duration::format(interval))
}
