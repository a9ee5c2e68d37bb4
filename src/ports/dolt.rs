//! Dolt: the server of a 1.x town's databases, as far as it is known, and the port that asks whether it answers.
//!
//! Where it listens is written by the root, whenever it reads the town's files; whether it is down by the Dolt watch. It must
//! not decide anything.

use std::{collections::BTreeMap, io, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::town::{dialect::dolt::Server, files::Files, paths::TownPaths};

/// Why a server does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The connection was refused: nobody listens there.
    Refused,
    /// It was not refused, and nothing that Dolt says came in time; the text says what happened.
    Silent(String),
}

/// Asks a Dolt server for a sign of life.
#[async_trait]
pub trait DoltServer: Send + Sync {
    /// Connects to this port of this machine and reads the greeting. Takes at most a few seconds.
    async fn greet(&self, port: u16) -> Result<(), NoAnswer>;
}

/// The town's Dolt server; clones share what is known of it.
#[derive(Clone)]
pub struct Dolt {
    /// Asks it for a sign of life.
    pub port: Arc<dyn DoltServer>,
    /// The variables of our own process that name it.
    inherited: Arc<BTreeMap<String, String>>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    server: Option<Server>,
    down_since: Option<Timestamp>,
}

impl std::fmt::Debug for Dolt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dolt").field(&*self.known.lock()).finish()
    }
}

impl Dolt {
    /// A server of which nothing is known yet. `inherited`: the variables of our own process that name it.
    pub fn new(port: Arc<dyn DoltServer>, inherited: BTreeMap<String, String>) -> Self {
        Dolt { port, inherited: Arc::new(inherited), known: Arc::default() }
    }

    /// Takes what `.dolt-data/config.yaml` and `env` of `mayor/daemon.json` say about where it listens. A file that is there
    /// and cannot be read changes nothing.
    pub fn follow(&self, config: &io::Result<Vec<u8>>, shared: &BTreeMap<String, String>) {
        let config = match config {
            Ok(bytes) => Some(bytes.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => return,
        };
        self.known.lock().server = Some(Server::find(config, &self.inherited, shared));
    }

    /// Where it listens; `None` until that is known.
    pub fn server(&self) -> Option<Server> {
        self.known.lock().server.clone()
    }

    /// Since when it is known to be down.
    pub fn down_since(&self) -> Option<Timestamp> {
        self.known.lock().down_since
    }

    /// Whether it is known to be down: what needs it need not be tried.
    pub fn is_down(&self) -> bool {
        self.down_since().is_some()
    }

    /// Notes whether it is down, and since when.
    pub fn set_down(&self, since: Option<Timestamp>) {
        self.known.lock().down_since = since;
    }
}

/// Reads `.dolt-data/config.yaml`.
pub async fn read_config(files: &dyn Files, paths: &TownPaths) -> io::Result<Vec<u8>> {
    files.read(&paths.dolt_config()).await
}
