//! The agent snapshot of a rig: what the ledger says of its polecats and of the rig itself, read once per heartbeat and
//! shared by everything that needs it.
//!
//! It is read [ahead] for the whole rig and carries its age. It nominates: before anything is done, the
//! beads of the one agent it is about are read again.

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

/// What was on a polecat's hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Nothing.
    Nothing,
    /// This bead.
    Bead(String),
}

/// What was read of one rig.
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

/// Reads the snapshot of a rig with these polecats: [ahead], their agent beads and the rig's own, and then the beads on
/// their hooks, if there are any. Where `bd` is asked, that is one call each; more only where one call holds no more ids.
/// What could not be read is in it as unknown.
pub async fn read(ledger: &Ledger, plan: &RigPlan, polecats: &[AgentName]) -> AgentSnapshot {
    let begun = ledger.now();
    let identities = polecats.iter().map(|name| Identity::Polecat(plan.name.clone(), name.clone()));
    let ids: Vec<(Identity, Vec<String>)> = identities
        .map(|identity| {
            let ids = identity.agent_beads(&plan.prefix);
            (identity, ids)
        })
        .collect();
    let mut first: Vec<String> = ids.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let rig_bead = dock::bead_id(plan);
    // Where their calls are full to the last id, the rig's own bead would cost one more: it goes with the hooks.
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
    /// What it says of this agent; [`Answer::NotAsked`] when it was not one of the rig's polecats then.
    pub fn agent(&self, identity: &Identity) -> &Answer<AgentBead> {
        self.agents.get(identity).unwrap_or(&Answer::NotAsked)
    }

    /// What it says of the bead on a hook, if that was on one then.
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

    /// Why it does not say all it should, if it does not.
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

/// What was last read of each rig; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Arc<Mutex<BTreeMap<RigName, Last>>>);

#[derive(Debug)]
struct Last {
    snapshot: Arc<AgentSnapshot>,
    /// Why the rig is not operational by its own bead, as far as that could be read.
    closed: Option<Closed>,
}

impl Snapshots {
    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn last(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.0.lock().get(rig).map(|last| last.snapshot.clone())
    }

    /// Why this rig is not operational by its bead's label; `None` when nothing says so.
    pub fn closed(&self, rig: &RigName) -> Option<Closed> {
        self.0.lock().get(rig)?.closed
    }

    /// Keeps a newer one; returns whether the rig's label says otherwise than before.
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
