//! The work of a polecat, read from `bd`: its agent bead, and the bead on its hook.
//!
//! It reads; [`rules`] judges. Nothing is cached: each call reads afresh, except when a snapshot is passed in.

use jiff::Timestamp;

use super::rules;
use crate::{
    agent::{confirmation::Assignment, spec::AgentSpec},
    ledger::{
        Ledger,
        agents::{self, AgentBead},
        answer::Answer,
        beads,
        snapshot::AgentSnapshot,
    },
    town::{
        bead::Bead,
        identity::{Identity, Wanted},
    },
};

/// Reads the polecat's agent bead and then the bead on its hook, and judges them. `prefix` is its rig's bead prefix
/// without the trailing `-`; `seen_alive` is when it was last seen alive. Agents of other roles are wanted even
/// without work.
pub async fn read(
    ledger: &Ledger,
    spec: &AgentSpec,
    prefix: &str,
    seen_alive: Option<Timestamp>,
) -> Assignment {
    if spec.identity.facts().wanted != Wanted::WithWork {
        return Assignment::Permanent;
    }
    read_with_agent(ledger, spec, prefix, seen_alive).await.0
}

/// Like [`read`], for a polecat; also returns the agent bead it was judged by, if there is one.
pub async fn read_with_agent(
    ledger: &Ledger,
    spec: &AgentSpec,
    prefix: &str,
    seen_alive: Option<Timestamp>,
) -> (Assignment, Option<AgentBead>) {
    let agent = agents::one(ledger, &spec.identity, prefix).await;
    let judge = |hooked: &Answer<Bead>| judge(ledger, &agent, hooked, seen_alive);
    // The bead on the hook is read only when the result depends on it.
    let assignment = match judge(&Answer::NotAsked) {
        Assignment::Hooked { hook } => judge(&beads::one(ledger, &hook).await),
        settled => settled,
    };
    match agent {
        Answer::Found(agent) => (assignment, Some(agent)),
        _ => (assignment, None),
    }
}

/// Judges one polecat by a snapshot of its rig, which can only nominate it. `None` when it was not one of the rig's
/// polecats at that time.
pub fn nominated(
    ledger: &Ledger,
    snapshot: &AgentSnapshot,
    polecat: &Identity,
    seen_alive: Option<Timestamp>,
) -> Option<Assignment> {
    let agent = snapshot.agents.get(polecat)?;
    let hook = match agent {
        Answer::Found(agent) => agent.hook.as_deref(),
        _ => None,
    };
    Some(judge(ledger, agent, hook.map_or(&Answer::NotAsked, |hook| snapshot.hooked(hook)), seen_alive))
}

fn judge(
    ledger: &Ledger,
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    seen_alive: Option<Timestamp>,
) -> Assignment {
    rules::assignment(agent, hooked, ledger.now().wall, seen_alive, ledger.settings().polecats.spawning_guard)
}
