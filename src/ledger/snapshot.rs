//! The agent snapshot of a rig: what the ledger says of its polecats and of the rig itself, read once per heartbeat and
//! shared by everything that needs it.
//!
//! It is read with one or two calls of `bd` for the whole rig and carries its age. It nominates: before anything is done, the
//! beads of the one agent it is about are read again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{agents::AgentBead, answer::Answer, beads::Bead};
use crate::{
    agent::{
        holds::Hook,
        identity::{Identity, RigName},
    },
    clock::Now,
};

/// What was read of one rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSnapshot {
    /// Which rig.
    pub rig: RigName,
    /// When the reading was begun.
    pub begun: Now,
    /// The agent beads of its polecats.
    pub agents: BTreeMap<Identity, Answer<AgentBead>>,
    /// The beads on their hooks, by id.
    pub hooked: BTreeMap<String, Answer<Bead>>,
    /// The rig's own bead.
    pub rig_bead: Answer<Bead>,
}

impl AgentSnapshot {
    /// What is on this polecat's hook; `None` when that is not known.
    pub fn hook(&self, identity: &Identity) -> Option<Hook> {
        match self.agents.get(identity)? {
            Answer::Found(agent) => Some(agent.hook.clone().map_or(Hook::Nothing, Hook::Bead)),
            Answer::Missing => Some(Hook::Nothing),
            Answer::Unknown(_) | Answer::NotAsked => None,
        }
    }
}

/// The last snapshot of each rig; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Arc<Mutex<BTreeMap<RigName, Arc<AgentSnapshot>>>>);

impl Snapshots {
    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn last(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(rig).cloned()
    }

    /// What is on this polecat's hook, by the last snapshot; `None` when that is not known.
    pub fn hook(&self, identity: &Identity) -> Option<Hook> {
        self.last(identity.rig()?)?.hook(identity)
    }

    /// Keeps a newer one.
    pub fn keep(&self, snapshot: Arc<AgentSnapshot>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(snapshot.rig.clone(), snapshot);
    }
}
