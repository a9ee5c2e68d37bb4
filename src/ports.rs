//! Ports: what a supervisor reaches the world through, and the facts about its town.
//!
//! Nothing here is mutable but what its owner keeps behind methods: the settings in force (the root replaces them), what is
//! wrong now ([`Problems`]) and the writes that are retried ([`Writes`]). It must not grow decisions or registers.

pub mod bead_store;
pub mod convoy_store;
pub mod outbox;
pub mod persisted;
pub mod problems;
pub mod writes;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    clock::{Clock, Now},
    commands::Commands,
    ports::{bead_store::BeadStore, convoy_store::ConvoyStore, problems::Problems, writes::Writes},
    processes::{Processes, exec_watcher::ExecWatcher},
    sessions::Sessions,
    town::{files::Files, journal::Journals, paths::TownPaths, settings::Settings, socket::ControlListener},
};

/// The ports of one supervisor, and the facts about its town.
#[derive(Clone)]
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
    /// Reports that Gas Town's program starts.
    pub exec_watcher: Arc<dyn ExecWatcher>,
    /// What the town's bead database says of convoys.
    pub convoys: Arc<dyn ConvoyStore>,
    /// What bead databases say, read without `bd`.
    pub beads: Arc<dyn BeadStore>,
    /// Where the supervisor can be asked.
    pub control_listener: Arc<dyn ControlListener>,
    /// Jitter.
    pub jitter: Jitter,
    /// Where things are in this town.
    pub paths: TownPaths,
    /// The settings in force; only the root replaces them.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// `GT_DEGRADED=true`: boot does mechanical triage.
    pub degraded: bool,
    /// What is wrong now.
    pub problems: Problems,
    /// Files of ours that could not be written yet.
    pub writes: Writes,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Ports {
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
pub struct Jitter(Arc<Mutex<fastrand::Rng>>);

impl Jitter {
    /// Dice that fall the same way for the same seed.
    #[cfg(feature = "test-support")]
    pub fn seeded(seed: u64) -> Self {
        Jitter(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Dice that fall differently each time.
    pub fn fresh() -> Self {
        Jitter(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// A number from 0 to 1.
    pub fn roll(&self) -> f64 {
        self.0.lock().f64()
    }
}
