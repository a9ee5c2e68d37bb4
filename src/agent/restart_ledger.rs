//! The restart ledger: every agent's restart history, in memory for all owners and on disk for the next supervisor.
//!
//! It survives the crash of any actor, so that a crashed owner cannot lose a backoff or a crash loop, nor — in memory
//! only — what it knew of its agent's life. Owners note changes here at once; writing `daemon/restart_state.json` is the
//! root's work, told by [`changed`](RestartLedger::changed).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    identity::{Identity, RigName},
    lifecycle::Lifecycle,
    restart::RestartHistory,
};

/// The shared ledger.
#[derive(Debug, Clone)]
pub struct RestartLedger {
    histories: Arc<Mutex<BTreeMap<String, RestartHistory>>>,
    lifecycles: Arc<Mutex<BTreeMap<Identity, Lifecycle>>>,
    changed: Arc<watch::Sender<u64>>,
}

impl RestartLedger {
    /// A ledger with what the file held, by identity.
    pub fn new(histories: BTreeMap<String, RestartHistory>) -> Self {
        RestartLedger {
            histories: Arc::new(Mutex::new(histories)),
            lifecycles: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    /// What is remembered of this agent.
    pub fn recall(&self, identity: &Identity) -> RestartHistory {
        self.locked().get(&identity.to_string()).cloned().unwrap_or_default()
    }

    /// Remembers this of this agent.
    pub fn keep(&self, identity: &Identity, history: &RestartHistory) {
        self.locked().insert(identity.to_string(), history.clone());
        self.changed.send_modify(|count| *count += 1);
    }

    /// Takes over what somebody wrote into the file. Agents it does not name have no history any more.
    pub fn replace(&self, histories: BTreeMap<String, RestartHistory>) {
        *self.locked() = histories;
    }

    /// Nothing is remembered of this agent, or of any, from now on.
    pub fn clear(&self, whose: Option<&Identity>) {
        match whose {
            Some(identity) => drop(self.locked().remove(&identity.to_string())),
            None => self.locked().clear(),
        }
        self.changed.send_modify(|count| *count += 1);
    }

    /// Everything, by identity.
    pub fn all(&self) -> BTreeMap<String, RestartHistory> {
        self.locked().clone()
    }

    /// Where the last owner of this agent left it; nothing when it never had one.
    pub fn left(&self, identity: &Identity) -> Option<Lifecycle> {
        self.lifecycles().get(identity).cloned()
    }

    /// For the next owner of this agent, should this one crash.
    pub fn leave(&self, identity: &Identity, lifecycle: &Lifecycle) {
        self.lifecycles().insert(identity.clone(), lifecycle.clone());
    }

    /// This agent is no more.
    pub fn forget(&self, identity: &Identity) {
        self.lifecycles().remove(identity);
    }

    /// A rig is no longer supervised: what happens to its agents meanwhile is not ours to judge later.
    pub fn forget_rig(&self, rig: &RigName) {
        self.lifecycles().retain(|identity, _| identity.rig() != Some(rig));
    }

    /// Moves with every change an owner made.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn lifecycles(&self) -> MutexGuard<'_, BTreeMap<Identity, Lifecycle>> {
        self.lifecycles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, RestartHistory>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
