//! Ports: the traits through which a supervisor reaches the world, and the facts about its town.
//!
//! Nothing here changes except behind methods: the settings in force (the root replaces them), the open [`Problems`],
//! the [`Metrics`] that are counted and the [`Writes`] that are retried. It must not grow decisions or registers.

pub mod bead_store;
pub mod convoy_store;
pub mod dolt;
pub mod memory;
pub mod metrics;
pub mod outbox;
pub mod persisted;
pub mod problems;
pub mod writes;

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    clock::{Clock, Now},
    commands::Commands,
    network::Network,
    ports::{
        bead_store::BeadStore, convoy_store::ConvoyStore, dolt::Dolt, metrics::Metrics, problems::Problems,
        writes::Writes,
    },
    processes::{Processes, exec_watcher::ExecWatcher},
    sessions::Sessions,
    town::{
        conversation_files::ConversationFiles,
        dialect::{Dialect, recognise::Recognised},
        files::Files,
        identity::Identity,
        journal::Journals,
        paths::TownPaths,
        settings::Settings,
        socket::ControlListener,
        standing::{Standing, Standings},
    },
    transcripts::Transcripts,
};

/// The ports of one supervisor, and the facts about its town.
#[derive(Clone)]
pub struct Ports {
    /// Sessions of the tmux server.
    pub sessions: Arc<dyn Sessions>,
    /// The process table.
    pub processes: Arc<dyn Processes>,
    /// Runs other programs.
    pub commands: Arc<dyn Commands>,
    /// Reaches other machines.
    pub network: Arc<dyn Network>,
    /// Reads and writes files.
    pub files: Arc<dyn Files>,
    /// Files that grow, such as the event log.
    pub journals: Arc<dyn Journals>,
    /// The wall clock and the monotonic clock.
    pub clock: Arc<dyn Clock>,
    /// What agents' programs write about their sessions.
    pub transcripts: Arc<dyn Transcripts>,
    /// Reports that Gas Town's program starts.
    pub exec_watcher: Arc<dyn ExecWatcher>,
    /// Reads convoys from the town's bead database.
    pub convoys: Arc<dyn ConvoyStore>,
    /// Reads bead databases without `bd`.
    pub beads: Arc<dyn BeadStore>,
    /// The files in which agents' programs keep their conversations.
    pub conversation_files: Arc<dyn ConversationFiles>,
    /// The Dolt server of a 1.x town.
    pub dolt: Dolt,
    /// Where the supervisor answers requests.
    pub control_listener: Arc<dyn ControlListener>,
    /// Random numbers for delays.
    pub jitter: Jitter,
    /// The paths of this town.
    pub paths: TownPaths,
    /// Which Gas Town this is; it stays for the life of the process.
    pub gas_town: Recognised,
    /// The settings in force; only the root replaces them.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What is said of each agent of a town of one file; none in a Gas Town. Only the root replaces them.
    pub standings: watch::Receiver<Arc<Standings>>,
    /// `GT_DEGRADED=true`: boot does mechanical triage.
    pub degraded: bool,
    /// Where problems are reported.
    pub problems: Problems,
    /// Where it is counted what happens.
    pub metrics: Metrics,
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

    /// What `agents.toml` says of this agent; nothing in a Gas Town.
    pub fn standing(&self, identity: &Identity) -> Option<Arc<Standing>> {
        self.standings.borrow().of(identity)
    }

    /// The dialect of this town.
    pub fn dialect(&self) -> Dialect {
        self.gas_town.dialect
    }

    /// The variables that lead a program to the town's Dolt server; none where there is no such server, or where it is
    /// not known where it listens.
    pub fn dolt_variables(&self) -> BTreeMap<String, String> {
        let server = self.dolt.server().filter(|_| self.dialect().facts().has_dolt);
        server.map_or_else(BTreeMap::new, |server| server.variables(self.paths.root()))
    }

    /// The current time on both clocks.
    pub fn now(&self) -> Now {
        self.clock.now()
    }
}

/// Random numbers from a seed, so that a simulation can be repeated.
#[derive(Debug, Clone)]
pub struct Jitter(Arc<Mutex<fastrand::Rng>>);

impl Jitter {
    /// The same numbers for the same seed.
    #[cfg(feature = "test-support")]
    pub fn seeded(seed: u64) -> Self {
        Jitter(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Other numbers each time.
    pub fn fresh() -> Self {
        Jitter(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// A random UUID (version 4).
    pub fn uuid(&self) -> String {
        let random = self.0.lock().u128(..);
        let marked = random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62;
        let digits = format!("{marked:032x}");
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    }

    /// A number from 0 to 1.
    pub fn roll(&self) -> f64 {
        self.0.lock().f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        for _ in 0..100 {
            let uuid = Jitter::fresh().uuid();
            let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{uuid}");
            assert!(uuid[14..].starts_with('4') && "89ab".contains(&uuid[19..20]), "{uuid}");
        }
    }
}
