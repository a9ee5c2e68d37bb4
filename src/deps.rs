//! Deps: the ports and shared registers one supervisor works with, handed to every actor.
//!
//! What is here is either a port, an immutable fact about the town, or a register that survives the crash of any actor.
//! It must not grow decisions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::{
    agent::{
        bindings::Bindings, directory::Directory, elsewhere::Elsewhere, history::Histories, holds::Holds,
        lives::Lives, restart_ledger::RestartLedger, role_bead::RoleBeads, screens::Screens,
        start_slots::StartSlots, turns::Turns, waits::Waits,
    },
    audit::incidents::Incidents,
    clock::{Clock, Now},
    commands::Commands,
    control::socket::Door,
    convoy::store::ConvoyStore,
    deaths::register::DeathRegister,
    feed::progress::FeedProgress,
    ledger::{
        ahead::Ahead, databases::Databases, events::Outbox, questions::Questions, snapshot::Snapshots,
        store::BeadStore, turn::LedgerTurn, version::BdVersion,
    },
    lifecycle::register::Requests,
    operator::{beginnings::Beginnings, register::Operations},
    problems::Problems,
    processes::Processes,
    rig::docked::Docked,
    sessions::Sessions,
    town::{files::Files, journal::Journals, paths::TownPaths, settings::Settings},
    writes::Writes,
};

/// Everything an actor needs from outside.
#[derive(Clone)]
pub struct Deps {
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Processes.
    pub processes: Arc<dyn Processes>,
    /// Commands.
    pub commands: Arc<dyn Commands>,
    /// Files.
    pub files: Arc<dyn Files>,
    /// Files that grow.
    pub journals: Arc<dyn Journals>,
    /// Clocks.
    pub clock: Arc<dyn Clock>,
    /// Who tells that Gas Town's program begins.
    pub beginnings: Arc<dyn Beginnings>,
    /// What the town's bead database says of convoys.
    pub convoys: Arc<dyn ConvoyStore>,
    /// What bead databases say, read without `bd`.
    pub beads: Arc<dyn BeadStore>,
    /// Where the supervisor can be asked.
    pub door: Arc<dyn Door>,
    /// Jitter.
    pub dice: Dice,
    /// Where things are in this town.
    pub paths: TownPaths,
    /// The settings in force; only the root replaces them.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What is wrong now.
    pub problems: Problems,
    /// The restart histories of all agents.
    pub restarts: RestartLedger,
    /// Places for starts.
    pub start_slots: StartSlots,
    /// Whose turn it is to type into a session.
    pub turns: Turns,
    /// Which tmux server has this town's key bindings.
    pub bindings: Bindings,
    /// The last search for agents out of sight.
    pub elsewhere: Elsewhere,
    /// Which agent has which session, and the actor that keeps it.
    pub directory: Directory,
    /// Whose turn it is to run `bd`.
    pub ledger_turn: LedgerTurn,
    /// Which database a bead belongs to.
    pub databases: Databases,
    /// What `bd` last said, where only it can be asked.
    pub ahead: Ahead,
    /// Beads that are to be looked up together.
    pub questions: Questions,
    /// Which version of `bd` there is.
    pub bd_version: BdVersion,
    /// Which rigs are docked, by their beads.
    pub docked: Docked,
    /// Gas Town's commands seen at work.
    pub operations: Operations,
    /// Confirmed deaths, and the pace of restarts after many.
    pub deaths: DeathRegister,
    /// What was last seen on agents' screens.
    pub screens: Screens,
    /// What the ledger last said of each rig's agents.
    pub snapshots: Snapshots,
    /// What role beads say about starting agents.
    pub role_beads: RoleBeads,
    /// Requests by mail that are not done yet.
    pub requests: Requests,
    /// Agents stopped on request.
    pub holds: Holds,
    /// Agents that were seen alive, and whose end is not accounted for.
    pub lives: Lives,
    /// Agents that ended for a reason of their own, and are tried again later.
    pub waits: Waits,
    /// What was mailed about whom, and is not over.
    pub incidents: Incidents,
    /// What happened to each agent, for people.
    pub histories: Histories,
    /// Files of ours that could not be written yet.
    pub writes: Writes,
    /// How far the feed is.
    pub feed: FeedProgress,
    /// Events that wait to be written.
    pub outbox: Outbox,
    /// `GT_DEGRADED=true`: boot does mechanical triage.
    pub degraded: bool,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// The ports alone.
pub struct Ports {
    /// Sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Processes.
    pub processes: Arc<dyn Processes>,
    /// Commands.
    pub commands: Arc<dyn Commands>,
    /// Files.
    pub files: Arc<dyn Files>,
    /// Files that grow.
    pub journals: Arc<dyn Journals>,
    /// Clocks.
    pub clock: Arc<dyn Clock>,
    /// Who tells that Gas Town's program begins.
    pub beginnings: Arc<dyn Beginnings>,
    /// What the town's bead database says of convoys.
    pub convoys: Arc<dyn ConvoyStore>,
    /// What bead databases say, read without `bd`.
    pub beads: Arc<dyn BeadStore>,
    /// Where the supervisor can be asked.
    pub door: Arc<dyn Door>,
}

impl Deps {
    /// These ports for this town, with empty registers; not degraded.
    pub fn new(ports: Ports, dice: Dice, paths: TownPaths, settings: watch::Receiver<Arc<Settings>>) -> Self {
        let Ports { sessions, processes, commands, files, journals, clock, beginnings, convoys, beads, door } =
            ports;
        let problems = Problems::new();
        Deps {
            sessions,
            processes,
            commands,
            files,
            journals,
            clock,
            beginnings,
            convoys,
            beads,
            door,
            dice,
            requests: Requests::new(paths.supervisor_dir()),
            role_beads: RoleBeads::new(paths.supervisor_dir()),
            holds: Holds::new(paths.supervisor_dir()),
            lives: Lives::new(paths.supervisor_dir()),
            waits: Waits::new(paths.supervisor_dir()),
            incidents: Incidents::new(paths.supervisor_dir()),
            histories: Histories::new(paths.supervisor_dir()),
            feed: FeedProgress::new(paths.supervisor_dir()),
            outbox: Outbox::default(),
            writes: Writes::default(),
            paths,
            settings,
            directory: Directory::new(problems.clone()),
            ledger_turn: LedgerTurn::default(),
            databases: Databases::default(),
            ahead: Ahead::default(),
            questions: Questions::default(),
            bd_version: BdVersion::default(),
            problems,
            restarts: RestartLedger::new(BTreeMap::new()),
            start_slots: StartSlots::new(),
            turns: Turns::default(),
            bindings: Bindings::default(),
            elsewhere: Elsewhere::default(),
            docked: Docked::default(),
            operations: Operations::default(),
            deaths: DeathRegister::default(),
            screens: Screens::default(),
            snapshots: Snapshots::default(),
            degraded: false,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        self.clock.now()
    }
}

/// Chance, from a seed, so that a simulation can be run twice.
#[derive(Debug, Clone)]
pub struct Dice(Arc<Mutex<fastrand::Rng>>);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Dice(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Dice that fall differently each time.
    pub fn fresh() -> Self {
        Dice(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// A number from 0 to 1.
    pub fn roll(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}
