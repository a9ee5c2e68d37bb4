//! The world: a whole town behind the supervisor's ports, generated from one seed.
//!
//! Sessions, processes, files, commands and both clocks are views of one state, so that they can never contradict
//! each other by accident: a killed process ends its session, a parked rig is a file, a hung deacon writes no
//! heartbeat. Everything runs on tokio's paused clock on one thread, all random numbers come from the world's own
//! generator, and every call of a port is noted; the same seed gives the same notes. The world also checks the
//! supervisor: what it must never do is checked inside the call that would do it ([`rules`]).
#![allow(dead_code, reason = "shared by test crates that each use a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "the world keeps its own tasks")]

mod accounts;
mod agents;
mod bd_v1;
mod bead_store;
mod clock;
mod commands;
mod conversing;
mod convoys;
mod files;
mod gas_town_1;
mod git;
mod gt_starts;
mod journals;
#[path = "../limits.rs"]
pub mod limits;
mod mailbox;
mod memory;
mod network;
pub mod operator;
mod own;
mod polecats;
mod processes;
mod requests;
mod rules;
mod sessions;
mod simulate;
mod supervisor;
mod timeline;
mod trace;
mod transcripts;
mod weather;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gastown_supervisor::sessions::Fact;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};

#[allow(unused_imports, reason = "not every test has accounts")]
pub use accounts::{Accounts, LOGGED_OUT};
#[allow(unused_imports, reason = "not every test has agents that ask something")]
pub use agents::Asks;
pub use agents::{By, Condition, FakeSession};
pub use bead_store::BeadFiles;
pub use conversing::FakeConversations;
#[allow(unused_imports, reason = "not every test has convoys")]
pub use convoys::{Convoys, Database};
#[allow(unused_imports, reason = "not every test is about Gas Town 1.x")]
pub use gas_town_1::{Answers, GasTown1};
#[allow(unused_imports, reason = "not every test has a town of 1.x")]
pub use gt_starts::{Fault, GtStarts};
#[allow(unused_imports, reason = "not every test has mail")]
pub use mailbox::{Left, Mailbox};
#[allow(unused_imports, reason = "not every test is about memory")]
pub use memory::{GIB, Machine, TMUX_GROUP};
#[allow(unused_imports, reason = "not every test looks at the network")]
pub use network::{FakeNetwork, Serves};
#[allow(unused_imports, reason = "not every test has a town of one file")]
pub use own::AGENTS_FILE;
#[allow(unused_imports, reason = "not every test has polecats")]
pub use polecats::{Polecat, agent_bead, polecat, work_of};
#[allow(unused_imports, reason = "not every test lets virtual time pass")]
pub use simulate::simulate;
#[allow(unused_imports, reason = "not every test runs a whole supervisor")]
pub use supervisor::Supervisor;
#[allow(unused_imports, reason = "not every test replays a recording")]
pub use timeline::Timeline;
pub use weather::Weather;

/// The town's directory.
pub const TOWN: &str = "/town";
/// The deacon's session.
pub const DEACON: &str = "hq-deacon";
/// The mayor's session.
pub const MAYOR: &str = "hq-mayor";
/// Boot's session.
pub const BOOT: &str = "gt-boot";

/// Whether this is boot's session, by either naming.
pub fn is_boot(session: &str) -> bool {
    session == BOOT || session == "hq-boot"
}

/// A duration in seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A duration in minutes.
pub const fn mins(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// A duration in milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The session of a rig's witness.
pub fn witness(rig: &str) -> String {
    format!("gt-{rig}-witness")
}

/// The session of a rig's refinery.
pub fn refinery(rig: &str) -> String {
    format!("gt-{rig}-refinery")
}

/// The world; clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    origin: Instant,
    /// Changes when the set of sessions may have changed.
    sessions_changed: watch::Sender<u64>,
    /// The facts of the sessions port.
    facts: broadcast::Sender<Fact>,
    /// Changes when `gt` starts.
    gt_begun: watch::Sender<u64>,
    /// Changes when watched files may have changed.
    files_changed: watch::Sender<u64>,
    ledger_changed: watch::Sender<u64>,
    databases_changed: watch::Sender<u64>,
    events_changed: watch::Sender<u64>,
    /// The transcripts that changed.
    transcripts_changed: broadcast::Sender<PathBuf>,
    /// Notified when the agenda changed.
    agenda_changed: Notify,
    /// Notified when hanging calls may continue.
    released: Notify,
}

type Deed = Box<dyn FnOnce(&World) + Send>;

/// The whole state.
pub struct State {
    /// The source of random numbers.
    pub rng: fastrand::Rng,
    /// Which Gas Town this is.
    pub gas_town: gastown_supervisor::town::dialect::recognise::Recognised,
    /// What only a town of Gas Town 1.x has.
    pub gas_town_1: GasTown1,
    /// How reliable the ports are.
    pub weather: Weather,
    /// How agents behave.
    pub nature: agents::Nature,
    /// The accounts they use.
    pub accounts: accounts::Accounts,
    /// Running sessions by name.
    pub sessions: BTreeMap<String, FakeSession>,
    /// Agents out of the supervisor's sight, by session, with the server they run in while its pane exists.
    pub hidden: BTreeMap<String, (FakeSession, Option<u32>)>,
    /// Whether the socket file of the supervisor's server is deleted.
    pub socket_deleted: bool,
    /// The incarnation of the tmux server.
    pub generation: u64,
    /// How `gt` starts agents, in a town of 1.x.
    pub gt_starts: GtStarts,
    /// Files by path.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// The memory of its machine.
    pub machine: Machine,
    /// The network.
    pub network: network::FakeNetwork,
    /// The identities of files that were opened as journals.
    pub file_ids: BTreeMap<PathBuf, u64>,
    /// When another program last changed a file.
    pub modified: BTreeMap<PathBuf, Timestamp>,
    /// Existing directories.
    pub directories: BTreeSet<PathBuf>,
    /// Directories that look like worktrees but are none.
    pub no_repositories: BTreeSet<PathBuf>,
    /// Whether `gt down` holds its lock.
    pub lock_held: bool,
    /// The programs on `PATH`.
    pub programs: BTreeSet<String>,
    /// When rigs were added to a town that had some already: they may be noticed only at the next heartbeat.
    pub rigs_came: BTreeMap<String, Duration>,
    /// The commands that run outside of sessions, or inside of one.
    pub invocations: Vec<operator::FakeInvocation>,
    /// The offset of the wall clock from the monotonic one.
    pub wall_offset: SignedDuration,
    /// When it last jumped by more than a minute (monotonic).
    pub jumped_at: Option<Duration>,
    /// When the deacon last wrote its heartbeat (monotonic).
    pub beat_at: Option<Duration>,
    /// Calls that hang until released, with the number of calls that get through before.
    pub hanging: BTreeMap<&'static str, u32>,
    /// Calls that fail.
    pub failing: BTreeSet<&'static str>,
    /// What commands of this name print instead of their usual output.
    pub prints: BTreeMap<&'static str, String>,
    /// Whether a `gt mail delete` or `archive` that hangs or fails has done its work before.
    pub breaks_late: bool,
    /// The deacon's inbox.
    pub mailbox: Mailbox,
    /// How long `git` takes to contact a remote.
    pub git_takes: Duration,
    /// How long `bd` takes.
    pub bd_takes: Duration,
    /// The clock panics at its n-th next reading.
    pub clock_panics_in: Option<u32>,
    /// The clock panics when this actor reads it, this many times.
    pub clock_panics_for: Option<(String, u32)>,
    /// Whether operators act at the worst moments.
    pub adversary: bool,
    /// The transcripts that agents' programs wrote.
    pub transcripts: BTreeMap<PathBuf, transcripts::FakeTranscript>,
    /// The calls of the ports.
    pub trace: Vec<trace::Line>,
    /// Mails sent: recipient and subject.
    pub mails: Vec<(Duration, String, String)>,
    /// The bodies of these mails.
    pub bodies: Vec<String>,
    /// The alerts that `notify.command` got.
    pub alerts: Vec<serde_json::Value>,
    /// What `bd` knows, by id: each bead as `bd show` prints it.
    pub beads: BTreeMap<String, serde_json::Value>,
    /// What agents' programs keep of their conversations.
    pub conversations: FakeConversations,
    /// What can be read of their databases without `bd`.
    pub bead_files: BeadFiles,
    /// Whether `bd` uses its daemon, where one missing id fails a whole call.
    pub bd_daemon: bool,
    /// What `bd version` prints.
    pub bd_version: &'static str,
    /// The error that each `bd` with this subcommand prints, in a 1.x town.
    pub bd_errors: BTreeMap<&'static str, String>,
    /// Databases on which `bd` runs now.
    bd_at_work: BTreeSet<String>,
    /// The convoys.
    pub convoys: Convoys,
    /// All polecats there ever were, by session.
    pub polecats: BTreeMap<String, Polecat>,
    /// Crashes reported with `gt log crash`: its arguments.
    pub crash_logs: Vec<(Duration, Vec<String>)>,
    /// The supervisor's relevant actions, in order.
    pub deeds: Vec<(Duration, rules::Deed)>,
    /// With which signal and grace the processes of a session were ended, in order.
    pub signals: Vec<(String, rustix::process::Signal, Duration)>,
    /// What the supervisor did although it must never do it.
    pub violations: Vec<String>,
    watch: rules::Watch,
    wishes: requests::Wishes,
    agenda: BTreeMap<(Duration, u64), Deed>,
    next: u64,
}

impl World {
    /// A town without rigs, in good weather.
    pub fn new(seed: u64) -> Self {
        limits::watched();
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            gas_town: Default::default(),
            gas_town_1: GasTown1::default(),
            weather: Weather::default(),
            nature: agents::Nature::default(),
            accounts: accounts::Accounts::default(),
            sessions: BTreeMap::new(),
            hidden: BTreeMap::new(),
            socket_deleted: false,
            generation: 1,
            gt_starts: GtStarts::default(),
            files: BTreeMap::new(),
            machine: Machine::default(),
            network: network::FakeNetwork::default(),
            file_ids: BTreeMap::new(),
            modified: BTreeMap::new(),
            directories: BTreeSet::new(),
            no_repositories: BTreeSet::new(),
            lock_held: false,
            programs: ["claude", "git", "gt", "bd"].map(str::to_owned).into(),
            rigs_came: BTreeMap::new(),
            invocations: Vec::new(),
            wall_offset: SignedDuration::ZERO,
            jumped_at: None,
            beat_at: None,
            hanging: BTreeMap::new(),
            failing: BTreeSet::new(),
            prints: BTreeMap::new(),
            breaks_late: false,
            mailbox: Mailbox::default(),
            git_takes: millis(200),
            bd_takes: millis(50),
            clock_panics_in: None,
            clock_panics_for: None,
            adversary: false,
            transcripts: BTreeMap::new(),
            trace: Vec::new(),
            mails: Vec::new(),
            bodies: Vec::new(),
            alerts: Vec::new(),
            beads: BTreeMap::new(),
            conversations: FakeConversations::default(),
            bead_files: BeadFiles::default(),
            bd_daemon: false,
            bd_version: "bd version 0.47.2 (dev)\n",
            bd_errors: BTreeMap::new(),
            bd_at_work: BTreeSet::new(),
            convoys: Convoys::default(),
            polecats: BTreeMap::new(),
            crash_logs: Vec::new(),
            deeds: Vec::new(),
            signals: Vec::new(),
            violations: Vec::new(),
            watch: rules::Watch::default(),
            wishes: requests::Wishes::default(),
            agenda: BTreeMap::new(),
            next: 100,
        };
        let world = World(Arc::new(Shared {
            state: Mutex::new(state),
            origin: Instant::now(),
            sessions_changed: watch::Sender::new(0),
            facts: broadcast::Sender::new(1024),
            gt_begun: watch::Sender::new(0),
            files_changed: watch::Sender::new(0),
            ledger_changed: watch::Sender::new(0),
            databases_changed: watch::Sender::new(0),
            events_changed: watch::Sender::new(0),
            transcripts_changed: broadcast::Sender::new(1024),
            agenda_changed: Notify::new(),
            released: Notify::new(),
        }));
        world.write("mayor/town.json", "{}");
        world.write("daemon/daemon.pid", "4242");
        world.set_rigs(&[]);
        world
    }

    /// Locks the state; never held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual time since the world began.
    pub fn time(&self) -> Duration {
        self.0.origin.elapsed()
    }

    /// The time on the wall clock.
    pub fn wall(&self) -> Timestamp {
        let offset = self.state().wall_offset;
        wall_at(self.time(), offset)
    }

    /// Schedules an action.
    pub fn after(&self, delay: Duration, deed: impl FnOnce(&World) + Send + 'static) {
        let due = self.time() + delay;
        let mut state = self.state();
        state.next += 1;
        let key = (due, state.next);
        state.agenda.insert(key, Box::new(deed));
        drop(state);
        self.0.agenda_changed.notify_one();
    }

    /// Runs the agenda, each action at its time. Never returns.
    async fn live(self) {
        loop {
            let now = self.time();
            let next = self.state().agenda.first_key_value().map(|(key, _)| *key);
            match next {
                Some(key) if key.0 <= now => {
                    let deed = self.state().agenda.remove(&key);
                    if let Some(deed) = deed {
                        deed(&self);
                    }
                }
                Some((due, _)) => {
                    let at = self.0.origin + due;
                    tokio::select! {
                        biased;
                        () = self.0.agenda_changed.notified() => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => self.0.agenda_changed.notified().await,
            }
        }
    }

    /// Waits until the condition holds; fails with `what` when it does not within `limit` of virtual time.
    pub async fn until(&self, what: &str, limit: Duration, mut holds: impl FnMut(&State) -> bool) {
        let begun = self.time();
        let step = (limit / 2000).clamp(millis(1), millis(100));
        while !holds(&self.state()) {
            assert!(self.time() - begun <= limit, "waited {limit:?} for {what}");
            tokio::time::sleep(step).await;
        }
        limits::moved();
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        limits::moved();
    }

    /// The machine sleeps: only the wall clock continues. Negative: somebody sets the clock back.
    pub fn jump(&self, by: SignedDuration) {
        let now = self.time();
        let mut state = self.state();
        state.wall_offset += by;
        // Less than a minute is no sleep: there is no time to wake up.
        if by.abs() > SignedDuration::from_secs(60) {
            state.jumped_at = Some(now);
        }
        state.unhold_all(); // a hold ends at a time of the wall clock
        state.note(now, true, || format!("the wall clock jumps by {by:?}"));
    }

    /// Makes calls of this name hang, until [`release`](Self::release)d.
    pub fn hang(&self, call: &'static str) {
        self.hang_after(0, call);
    }

    /// Makes calls of this name hang after `count` more of them.
    pub fn hang_after(&self, count: u32, call: &'static str) {
        self.state().hanging.insert(call, count);
    }

    /// Makes calls of this name answer again.
    pub fn release(&self, call: &'static str) {
        self.state().hanging.remove(call);
        self.0.released.notify_waiters();
    }

    /// Makes calls of this name fail, or succeed again.
    pub fn fail(&self, call: &'static str, fails: bool) {
        let mut state = self.state();
        if fails {
            state.failing.insert(call);
        } else {
            state.failing.remove(call);
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// True with this probability; draws nothing when that is zero.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    /// A duration in a range of milliseconds.
    pub fn some(&mut self, range: &std::ops::Range<u64>) -> Duration {
        if range.end <= range.start + 1 { millis(range.start) } else { millis(self.rng.u64(range.clone())) }
    }
}

/// The wall clock at a virtual time.
pub fn wall_at(time: Duration, offset: SignedDuration) -> Timestamp {
    let base: Timestamp = "2026-02-02T08:00:00Z".parse().unwrap();
    base + SignedDuration::try_from(time).unwrap() + offset
}

/// A path of the town.
pub fn path(relative: impl AsRef<Path>) -> PathBuf {
    Path::new(TOWN).join(relative)
}
