//! The agent snapshot of a rig: what the ledger says about its polecats and the rig itself, read once per heartbeat
//! and shared by everything that needs it.
//!
//! It is read [ahead] for the whole rig and has the time of the reading. It nominates: before anything is done about
//! an agent, its beads are read again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    agents::{self, AgentBead},
    ahead,
    answer::Answer,
    beads,
};
use crate::{
    clock::Now,
    ledger::{Ledger, dock},
    town::{
        bead::Bead,
        identity::{AgentName, Identity, RigName},
        rig_plan::RigPlan,
        wisp::Closed,
    },
};

/// The content of a polecat's hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Nothing.
    Nothing,
    /// This bead.
    Bead(String),
}

/// The beads of one rig, as of one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSnapshot {
    /// Which rig.
    pub rig: RigName,
    /// When the reading started.
    pub begun: Now,
    /// The agent beads of its polecats.
    pub agents: BTreeMap<Identity, Answer<AgentBead>>,
    /// The beads on their hooks, by id.
    pub hooked: BTreeMap<String, Answer<Bead>>,
    /// The rig's own bead.
    pub rig_bead: Answer<Bead>,
}

/// Reads the snapshot of a rig with these polecats: [ahead], their agent beads and the rig's own, and then the beads
/// on their hooks, if there are any. With `bd`, that is one call each, or more when there are more ids than one call
/// takes. What could not be read is unknown in the snapshot.
pub async fn read(ledger: &Ledger, plan: &RigPlan, polecats: &[AgentName]) -> AgentSnapshot {
    let begun = ledger.now();
    let identities = polecats.iter().map(|name| Identity::Polecat(plan.name.clone(), name.clone()));
    let ids: Vec<(Identity, Vec<String>)> = identities
        .map(|identity| {
            let ids = identity.agent_beads(&plan.prefix.beads);
            (identity, ids)
        })
        .collect();
    let mut first: Vec<String> = ids.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let rig_bead = dock::bead_id(plan);
    // When those calls are full to the last id, the rig's own bead would cost one more: it is read with the hooks.
    let full = !first.is_empty() && first.len().is_multiple_of(beads::IDS_PER_CALL);
    if !full {
        first.push(rig_bead.clone());
    }
    let mut answers = ahead::read(ledger, &first).await;
    let agents: BTreeMap<Identity, Answer<AgentBead>> = ids
        .into_iter()
        .map(|(identity, ids)| {
            let of_it = ids.iter().map(|id| answers.get(id).cloned().unwrap_or(Answer::NotAsked));
            (identity, agents::first(of_it))
        })
        .collect();
    let hooks: BTreeSet<String> = agents.values().filter_map(hook).collect();
    let mut second = hooks.clone();
    if full {
        second.insert(rig_bead.clone());
    }
    answers.extend(ahead::read(ledger, &second.into_iter().collect::<Vec<_>>()).await);
    let answer = |id: &String| answers.get(id).cloned().unwrap_or(Answer::NotAsked);
    AgentSnapshot {
        rig: plan.name.clone(),
        begun,
        rig_bead: answer(&rig_bead),
        hooked: hooks.into_iter().map(|id| (id.clone(), answer(&id))).collect(),
        agents,
    }
}

fn hook(agent: &Answer<AgentBead>) -> Option<String> {
    match agent {
        Answer::Found(agent) => agent.hook.clone(),
        _ => None,
    }
}

impl AgentSnapshot {
    /// The agent bead of this agent; [`Answer::NotAsked`] when it was not one of the rig's polecats at that time.
    pub fn agent(&self, identity: &Identity) -> &Answer<AgentBead> {
        self.agents.get(identity).unwrap_or(&Answer::NotAsked)
    }

    /// The bead on a hook, if it was on one at that time.
    pub fn hooked(&self, hook: &str) -> &Answer<Bead> {
        self.hooked.get(hook).unwrap_or(&Answer::NotAsked)
    }

    /// What is on this polecat's hook; `None` when that is not known.
    pub fn hook(&self, identity: &Identity) -> Option<Hook> {
        match self.agent(identity) {
            Answer::Found(agent) => Some(agent.hook.clone().map_or(Hook::Nothing, Hook::Bead)),
            Answer::Missing => Some(Hook::Nothing),
            Answer::Unknown(_) | Answer::NotAsked => None,
        }
    }

    /// Why it is incomplete; `None` when it is not.
    pub fn doubt(&self) -> Option<&str> {
        let beads = self.hooked.values().chain([&self.rig_bead]).map(why);
        self.agents.values().map(why).chain(beads).find_map(|why| why)
    }
}

fn why<T>(answer: &Answer<T>) -> Option<&str> {
    match answer {
        Answer::Unknown(why) => Some(why),
        Answer::Found(_) | Answer::Missing | Answer::NotAsked => None,
    }
}

/// The last snapshot of each rig; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Arc<Mutex<BTreeMap<RigName, Last>>>);

#[derive(Debug)]
struct Last {
    snapshot: Arc<AgentSnapshot>,
    /// Why the rig is out of operation by its own bead, as last read.
    closed: Option<Closed>,
}

impl Snapshots {
    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn last(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.0.lock().get(rig).map(|last| last.snapshot.clone())
    }

    /// Why this rig is out of operation by its bead's label; `None` when no label says so.
    pub fn closed(&self, rig: &RigName) -> Option<Closed> {
        self.0.lock().get(rig)?.closed
    }

    /// Stores a newer snapshot; returns whether the rig's label changed.
    pub fn keep(&self, snapshot: Arc<AgentSnapshot>) -> bool {
        let mut rigs = self.0.lock();
        let before = rigs.get(&snapshot.rig).and_then(|last| last.closed);
        let closed = dock::label(&snapshot.rig_bead).unwrap_or(before);
        rigs.insert(snapshot.rig.clone(), Last { snapshot, closed });
        closed != before
    }

    /// Forgets a rig that is no longer supervised.
    pub fn forget(&self, rig: &RigName) {
        self.0.lock().remove(rig);
    }
}
