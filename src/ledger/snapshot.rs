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
    databases::Database,
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
    if ledger.dialect().facts().work_bead_decides {
        return read_by_work(ledger, plan, polecats).await;
    }
    let begun = ledger.now();
    let ids = agent_ids(ledger, plan, polecats);
    let mut first: Vec<String> = ids.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let rig_bead = dock::bead_id(plan);
    // When those calls are full to the last id, the rig's own bead would cost one more: it is read with the hooks.
    let full = !first.is_empty() && first.len().is_multiple_of(ledger.dialect().facts().beads_per_run);
    if !full {
        first.push(rig_bead.clone());
    }
    let mut answers = ahead::read(ledger, &first).await;
    let agents = agents_among(ids, &answers);
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

/// Like [`read`], where the work beads decide: agent beads are in the town's database, which all rigs read together, the
/// rig's beads in another. Each polecat's hook
/// is the bead that is its work, whatever its agent bead names.
async fn read_by_work(ledger: &Ledger, plan: &RigPlan, polecats: &[AgentName]) -> AgentSnapshot {
    let begun = ledger.now();
    let (rig, prefix) = (&plan.name, &plan.prefix.beads);
    let own = ledger.database_of_rig(rig, prefix);
    let ids = agent_ids(ledger, plan, polecats);
    let all: Vec<String> = ids.iter().flat_map(|(_, ids)| ids.clone()).collect();
    let town = Database::town();
    let (answers, at_work) = futures::join!(beads::read_with_others(ledger, &town, &all), async {
        match polecats.is_empty() {
            true => Ok(Vec::new()),
            false => beads::at_work(ledger, &own, None).await,
        }
    });
    let mut agents = agents_among(ids, &answers);
    for (identity, answer) in &mut agents {
        let Answer::Found(agent) = answer else { continue };
        match &at_work {
            Ok(beads) => {
                let work = work_of(&identity.to_string(), agent.hook.as_deref(), beads);
                agent.hook = work.map(|bead| bead.id.clone()).or(agent.hook.take());
            }
            Err(why) if agent.hook.is_none() => *answer = Answer::Unknown(why.clone()),
            Err(_) => {}
        }
    }
    let mut hooked: BTreeMap<String, Answer<Bead>> =
        at_work.unwrap_or_default().into_iter().map(|bead| (bead.id.clone(), Answer::Found(bead))).collect();
    let rig_bead = dock::bead_id(plan);
    let mut rest = BTreeMap::from([(own, vec![rig_bead.clone()])]);
    let hooks: BTreeSet<String> = agents.values().filter_map(hook).collect();
    for id in hooks.iter().filter(|id| !hooked.contains_key(*id)) {
        rest.entry(ledger.database_of_work(rig, prefix, id)).or_default().push(id.clone());
    }
    let reads = rest.iter().map(|(database, ids)| beads::read_in(ledger, database, ids));
    hooked.extend(futures::future::join_all(reads).await.into_iter().flatten());
    let rig_bead = hooked.remove(&rig_bead).unwrap_or(Answer::NotAsked);
    hooked.retain(|id, _| hooks.contains(id));
    AgentSnapshot { rig: rig.clone(), begun, agents, hooked, rig_bead }
}

/// The bead among these that is this assignee's work: the one with the id `named`, else the first by id.
pub fn work_of<'a>(assignee: &str, named: Option<&str>, beads: &'a [Bead]) -> Option<&'a Bead> {
    let its = beads.iter().filter(|bead| bead.is_at_work() && bead.assignee.as_deref() == Some(assignee));
    its.min_by_key(|bead| (Some(bead.id.as_str()) != named, &bead.id))
}

/// The polecats of a rig, with the possible ids of their agent beads.
fn agent_ids(ledger: &Ledger, plan: &RigPlan, polecats: &[AgentName]) -> Vec<(Identity, Vec<String>)> {
    let identities = polecats.iter().map(|name| Identity::Polecat(plan.name.clone(), name.clone()));
    identities
        .map(|identity| {
            let ids = identity.agent_beads(&plan.prefix.beads, ledger.dialect());
            (identity, ids)
        })
        .collect()
}

fn agents_among(
    ids: Vec<(Identity, Vec<String>)>,
    answers: &BTreeMap<String, Answer<Bead>>,
) -> BTreeMap<Identity, Answer<AgentBead>> {
    let of = |ids: Vec<String>| {
        agents::first(ids.iter().map(|id| answers.get(id).cloned().unwrap_or(Answer::NotAsked)))
    };
    ids.into_iter().map(|(identity, ids)| (identity, of(ids))).collect()
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
    /// Why the rig is out of operation by its own bead, as last read; the outer `None` when it never was.
    label: Option<Option<Closed>>,
}

impl Snapshots {
    /// The last snapshot of this rig, however old; `None` until there is one.
    pub fn last(&self, rig: &RigName) -> Option<Arc<AgentSnapshot>> {
        self.0.lock().get(rig).map(|last| last.snapshot.clone())
    }

    /// Why this rig is out of operation by its bead's label when last read: the inner `None` when no label says so, the
    /// outer one when it was never read.
    pub fn label(&self, rig: &RigName) -> Option<Option<Closed>> {
        self.0.lock().get(rig)?.label
    }

    /// Stores a newer snapshot.
    pub fn keep(&self, snapshot: Arc<AgentSnapshot>) {
        let mut rigs = self.0.lock();
        let before = rigs.get(&snapshot.rig).and_then(|last| last.label);
        let label = dock::label(&snapshot.rig_bead).or(before);
        rigs.insert(snapshot.rig.clone(), Last { snapshot, label });
    }

    /// Forgets a rig that is no longer supervised.
    pub fn forget(&self, rig: &RigName) {
        self.0.lock().remove(rig);
    }
}
