//! The operator watch: detects Gas Town's commands while they run, and notices when each one ends.
//!
//! When the `gt` binary is opened, it examines the newest processes three times, because a process gets its new name
//! some milliseconds after the file was opened. While a command that changes agents runs, it scans once per second
//! and waits for the command's exit. All results go into the [register](crate::operator::register::Operations), where
//! owners read them. It must not judge what a command means, and it acts on nothing.

mod allowance;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use self::allowance::Allowance;
use crate::{
    deps::Deps,
    operator::rules::{Operation, PROGRAM},
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
};

/// The delays between the start of a program and its quick scans: by the first one the process usually has its name.
const QUICK_SCANS: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(15), Duration::from_millis(30)];
/// Quick scans are aligned to multiples of this, so that a burst of starts does not cause a burst of scans.
const GRID: Duration = Duration::from_millis(5);
/// The time between two full scans while a command runs.
const EVERY: Duration = Duration::from_secs(1);
/// The least time between two checks of the program's path that its starts cause.
const CHECK: Duration = Duration::from_secs(1);

/// What the operator watch receives.
#[derive(Debug)]
pub enum OperatorMsg {
    /// From the port's counter: the program may have started, or its file was replaced.
    Begun,
    /// From its timer; one of an earlier generation does nothing.
    QuickScanDue(u64),
    /// From its task: the quick scan that began at this time ended.
    QuickScanned(Duration),
    /// From its timer: a command runs, make a full scan.
    FullScanDue,
    /// From its task: the full scan ended.
    FullScanned,
    /// From its task: the process of this id and start time has ended.
    Ended(u32, u64),
    /// From its supervisor: settings may have changed, or a heartbeat was made; locate the program again.
    Locate,
    /// From its task: the program was located.
    Located,
    /// A request for its status.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests ask"))]
    Status(RpcReplyPort<OperatorSnapshot>),
}

/// Its figures, for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSnapshot {
    /// The command lines of the running commands, as far as known.
    pub running: Vec<String>,
    /// The running commands, and those that ended within the last 10 s.
    pub recent: Vec<String>,
    /// Quick scans since its start.
    pub quick_scans: u64,
    /// Full scans since its start, only its own.
    pub full_scans: u64,
}

/// The actor that watches Gas Town's commands.
#[derive(Debug)]
pub struct OperatorWatch;

/// The operator watch as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::TownChanged | Broadcast::Heartbeat(_)).then_some(OperatorMsg::Locate)
    });
    ChildSpec::new("operator", || OperatorWatch, move || deps.clone(), contact)
}

/// The state of the [`OperatorWatch`].
pub struct OperatorState {
    deps: Arc<Deps>,
    work: Work<OperatorMsg>,
    /// When quick scans are due (monotonic).
    due: BTreeSet<Duration>,
    /// When the timer for the next one fires, if it is set.
    armed: Option<Duration>,
    timer: Timer,
    quick_scanning: bool,
    allowance: Allowance,
    /// Whether a full scan is due or in progress, because a command runs.
    watching: bool,
    /// The processes whose exit is awaited.
    held: BTreeSet<(u32, u64)>,
    /// When the program was last located; whether that is in progress follows.
    located: Option<Duration>,
    locating: bool,
    quick_scans: u64,
    full_scans: u64,
}

impl Actor for OperatorWatch {
    type Msg = OperatorMsg;
    type State = OperatorState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<OperatorMsg>,
        deps: Arc<Deps>,
    ) -> Result<OperatorState, ActorProcessingErr> {
        let post: ReplyTo<OperatorMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post.clone());
        let (tell, mut begun) = (post.clone(), deps.exec_watcher.begun());
        work.run(async move {
            while begun.changed().await.is_ok() {
                tell(OperatorMsg::Begun);
            }
        });
        let mut state = OperatorState {
            deps,
            work,
            due: BTreeSet::new(),
            armed: None,
            timer: Timer::default(),
            quick_scanning: false,
            allowance: Allowance::default(),
            watching: false,
            held: BTreeSet::new(),
            located: None,
            locating: false,
            quick_scans: 0,
            full_scans: 0,
        };
        state.locate();
        // The command that started us may still be running.
        state.full_scan();
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<OperatorMsg>,
        message: OperatorMsg,
        state: &mut OperatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            OperatorMsg::Begun => state.begun(),
            OperatorMsg::QuickScanDue(generation) if state.timer.is_latest(generation) => state.quick_scan(),
            OperatorMsg::QuickScanDue(_) => {}
            OperatorMsg::QuickScanned(began) => state.quick_scanned(began),
            OperatorMsg::FullScanDue => state.full_scan(),
            OperatorMsg::FullScanned => {
                state.watching = false;
                state.follow();
            }
            OperatorMsg::Ended(pid, born) => {
                state.held.remove(&(pid, born));
                let its = |it: &&Operation| (it.pid, it.born) == (pid, born);
                if let Some(operation) = state.deps.operations.recent(state.deps.now()).iter().find(its) {
                    state.deps.directory.read_beads(|rig| operation.relabels(rig));
                }
                state.deps.operations.ended(pid, born, state.deps.now());
            }
            OperatorMsg::Locate => state.locate(),
            OperatorMsg::Located => state.locating = false,
            OperatorMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

impl OperatorState {
    fn begun(&mut self) {
        let now = self.deps.now().mono;
        self.due.extend(QUICK_SCANS.map(|after| on_grid(now + after)));
        self.arm();
        // Its file may have been replaced: then another file has to be watched.
        if self.located.is_none_or(|at| now.saturating_sub(at) >= CHECK) {
            self.locate();
        }
    }

    /// Sets the timer for the next quick scan, as soon as the allowance permits it.
    fn arm(&mut self) {
        let Some(due) = self.due.first().filter(|_| !self.quick_scanning) else {
            return;
        };
        let now = self.deps.now().mono;
        let at = (*due).max(now + self.allowance.wait(now));
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        self.timer.set(&mut self.work, at.saturating_sub(now), OperatorMsg::QuickScanDue);
    }

    /// Makes one quick scan for all that are due by now.
    fn quick_scan(&mut self) {
        self.armed = None;
        let began = self.deps.now().mono;
        self.due.retain(|due| *due > began);
        self.quick_scanning = true;
        self.quick_scans += 1;
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                // A scan that fails is reported when an owner asks for one.
                let _ = deps.operations.quick_scan(&deps).await;
                OperatorMsg::QuickScanned(began)
            },
            OperatorMsg::QuickScanned(began),
        );
    }

    fn quick_scanned(&mut self, began: Duration) {
        self.quick_scanning = false;
        let now = self.deps.now().mono;
        self.allowance.spent(now.saturating_sub(began), now);
        self.follow();
        self.arm();
    }

    /// Waits for the exit of each running command, and scans again later: a process may execute another program.
    fn follow(&mut self) {
        let running = self.deps.operations.running();
        for operation in &running {
            let (pid, born) = (operation.pid, operation.born);
            if self.held.insert((pid, born)) {
                tracing::debug!("running: `{}` (PID {pid})", operation.line);
                let deps = self.deps.clone();
                let ended = async move {
                    deps.processes.ended(pid, born).await;
                    OperatorMsg::Ended(pid, born)
                };
                self.work.spawn(ended, OperatorMsg::Ended(pid, born));
            }
        }
        if !running.is_empty() && !self.watching {
            self.watching = true;
            self.work.after(EVERY, OperatorMsg::FullScanDue);
        }
    }

    fn full_scan(&mut self) {
        self.watching = true;
        self.full_scans += 1;
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                let _ = deps.operations.full_scan(&deps).await;
                OperatorMsg::FullScanned
            },
            OperatorMsg::FullScanned,
        );
    }

    /// Locates the program and watches its file. A missing program is reported elsewhere.
    fn locate(&mut self) {
        if std::mem::replace(&mut self.locating, true) {
            return;
        }
        self.located = Some(self.deps.now().mono);
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                let mut programs: Vec<PathBuf> = Vec::new();
                for name in BTreeSet::from([PROGRAM.to_owned(), deps.settings().commands.gt.clone()]) {
                    programs.extend(deps.commands.locate(&name).await);
                }
                match deps.exec_watcher.watch(programs).await {
                    Some(why) => {
                        let text =
                            format!("{why}; commands that end sessions are detected only after a death");
                        deps.problems.report("operator/beginnings", text)
                    }
                    None => deps.problems.clear("operator/beginnings"),
                };
                OperatorMsg::Located
            },
            OperatorMsg::Located,
        );
    }

    fn snapshot(&self) -> OperatorSnapshot {
        let lines = |operations: Vec<Operation>| operations.into_iter().map(|it| it.line).collect();
        OperatorSnapshot {
            running: lines(self.deps.operations.running()),
            recent: lines(self.deps.operations.recent(self.deps.now())),
            quick_scans: self.quick_scans,
            full_scans: self.full_scans,
        }
    }
}

/// The next time on the grid.
fn on_grid(at: Duration) -> Duration {
    let over = Duration::from_nanos(u64::try_from(at.as_nanos() % GRID.as_nanos()).unwrap_or(0));
    if over.is_zero() { at } else { at + (GRID - over) }
}
