//! Starts: what the starts of all agents share, so that they do not get into each other's way.
//!
//! Whose turn it is to be started ([`start_slots`](super::start_slots)), who may type into which session now, so that two texts
//! never interleave, and which tmux server has this town's key bindings, so that they are bound once for each.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::{
    elsewhere::search::Elsewhere,
    programs::InDoubt,
    role_bead::kept::RoleBeads,
    start_slots::{Slot, StartSlots},
};
use crate::{town::identity::Role, turns::Turns};

/// What starts share; survives the crash of any actor, clones share it.
#[derive(Debug, Clone)]
pub struct Starts {
    /// What role beads last said about starting agents.
    pub role_beads: RoleBeads,
    /// The last search for agents out of sight: nothing is started that runs elsewhere.
    pub(super) elsewhere: Elsewhere,
    /// Which settings that name an agent's program are to be read again.
    pub(super) in_doubt: InDoubt,
    slots: StartSlots,
    typing: Turns<String>,
    bindings: Arc<Mutex<Bindings>>,
}

#[derive(Debug, Default)]
struct Bindings {
    prefixes: Vec<String>,
    bound_on: Option<u64>,
}

impl Starts {
    /// Nothing was started yet; files are in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Starts {
            role_beads: RoleBeads::new(directory),
            elsewhere: Elsewhere::default(),
            in_doubt: InDoubt::default(),
            slots: StartSlots::default(),
            typing: Turns::default(),
            bindings: Arc::default(),
        }
    }

    /// Waits for its turn, as [`StartSlots::acquire`] says.
    pub async fn slot(&self, limit: usize, role: Role, asked: bool) -> Slot {
        self.slots.acquire(limit, role, asked).await
    }

    /// Waits until nobody else types into this session, first come first served.
    pub async fn turn_to_type(&self, session: &str) -> OwnedMutexGuard<()> {
        self.typing.take(session.to_owned()).await
    }

    /// The rigs' bead prefixes, which begin session names in one naming scheme. New ones are bound at the next start.
    pub fn set_prefixes(&self, prefixes: Vec<String>) {
        let mut bindings = self.bindings.lock();
        if bindings.prefixes != prefixes {
            *bindings = Bindings { prefixes, bound_on: None };
        }
    }

    /// The prefixes to bind keys for on this incarnation of the server; `None` when it has its bindings.
    pub fn unbound_on(&self, server: u64) -> Option<Vec<String>> {
        let bindings = self.bindings.lock();
        (bindings.bound_on != Some(server)).then(|| bindings.prefixes.clone())
    }

    /// This incarnation of the server has them now.
    pub fn bound_on(&self, server: u64) {
        self.bindings.lock().bound_on = Some(server);
    }
}
