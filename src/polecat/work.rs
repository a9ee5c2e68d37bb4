//! What work a polecat has, asked of `bd`: its agent bead, and the bead on its hook.
//!
//! It asks; [`rules`] judge. Nothing is kept: each call reads afresh.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::rules;
use crate::{
    agent::{
        confirmation::Assignment,
        identity::{Identity, Role},
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::{agents, agents::AgentBead, answer::Answer, beads, beads::Bead},
};

/// Reads the polecat's agent bead and then the bead on its hook, and judges them. `prefix` is its rig's bead prefix without
/// the trailing `-`; `seen_alive` when it was last seen alive. Agents of other roles are wanted without work.
pub async fn read(deps: &Deps, spec: &AgentSpec, prefix: &str, seen_alive: Option<Timestamp>) -> Assignment {
    if spec.identity.role() != Role::Polecat {
        return Assignment::Standing;
    }
    read_with_agent(deps, spec, prefix, seen_alive).await.0
}

/// As [`read`], for a polecat, and the agent bead it was judged by, if there is one.
pub async fn read_with_agent(
    deps: &Deps,
    spec: &AgentSpec,
    prefix: &str,
    seen_alive: Option<Timestamp>,
) -> (Assignment, Option<AgentBead>) {
    let agent = agent_bead(deps, &spec.identity, prefix).await;
    let judge = |hooked: &Answer<Bead>| judge(deps, &agent, hooked, seen_alive);
    // The bead on the hook is asked for only where something hangs on it.
    let assignment = match judge(&Answer::NotAsked) {
        Assignment::Hooked { hook } => judge(&hooked_bead(deps, hook).await),
        settled => settled,
    };
    match agent {
        Answer::Found(agent) => (assignment, Some(agent)),
        _ => (assignment, None),
    }
}

/// Judges many polecats of one rig, with one call of `bd` (two where the prefix is the rig's name) for their agent beads
/// and one for the beads on the hooks of those wanted by that, if there are any: who is wanted is only nominated. Without
/// the last, one whose work is finished and still on its hook would be nominated for ever. Keys are the polecats, values when each was last seen alive.
pub async fn nominate(
    deps: &Deps,
    prefix: &str,
    polecats: &BTreeMap<Identity, Option<Timestamp>>,
) -> BTreeMap<Identity, Assignment> {
    let mut answers: BTreeMap<&Identity, Answer<AgentBead>> =
        polecats.keys().map(|identity| (identity, Answer::Missing)).collect();
    for round in 0.. {
        let asked: BTreeMap<String, &Identity> = answers
            .iter()
            .filter(|(_, answer)| **answer == Answer::Missing)
            .filter_map(|(identity, _)| Some((identity.agent_beads(prefix).get(round)?.clone(), *identity)))
            .collect();
        if asked.is_empty() {
            break;
        }
        let ids: Vec<String> = asked.keys().cloned().collect();
        let found = agents::read(deps, &ids).await;
        for (id, identity) in asked {
            let answer = match &found {
                Ok(found) => found.get(&id).cloned().map_or(Answer::Missing, Answer::Found),
                Err(why) => Answer::Unknown(why.clone()),
            };
            answers.insert(identity, answer);
        }
    }
    let judge = |identity: &Identity, hooked: &Answer<Bead>| {
        let seen_alive = polecats.get(identity).copied().flatten();
        judge(deps, answers.get(identity).unwrap_or(&Answer::NotAsked), hooked, seen_alive)
    };
    let mut nominated: BTreeMap<Identity, Assignment> =
        polecats.keys().map(|identity| (identity.clone(), judge(identity, &Answer::NotAsked))).collect();
    let hooks: BTreeSet<String> = nominated.values().filter_map(hook_of).collect();
    if hooks.is_empty() {
        return nominated;
    }
    // What cannot be read now is read by the owner, who does not act without it.
    let Ok(beads) = beads::show(deps, &hooks.into_iter().collect::<Vec<_>>()).await else { return nominated };
    for (identity, assignment) in &mut nominated {
        if let Some(hook) = hook_of(assignment) {
            let bead = beads.iter().find(|bead| bead.id == hook).cloned();
            *assignment = judge(identity, &bead.map_or(Answer::Missing, Answer::Found));
        }
    }
    nominated
}

fn hook_of(assignment: &Assignment) -> Option<String> {
    match assignment {
        Assignment::Hooked { hook } => Some(hook.clone()),
        _ => None,
    }
}

fn judge(
    deps: &Deps,
    agent: &Answer<AgentBead>,
    hooked: &Answer<Bead>,
    seen_alive: Option<Timestamp>,
) -> Assignment {
    rules::assignment(agent, hooked, deps.now().wall, seen_alive, deps.settings().polecats.spawning_guard)
}

async fn agent_bead(deps: &Deps, identity: &Identity, prefix: &str) -> Answer<AgentBead> {
    for id in identity.agent_beads(prefix) {
        match agents::read(deps, std::slice::from_ref(&id)).await {
            Ok(mut found) => {
                if let Some(agent) = found.remove(&id) {
                    return Answer::Found(agent);
                }
            }
            Err(why) => return Answer::Unknown(why),
        }
    }
    Answer::Missing
}

async fn hooked_bead(deps: &Deps, hook: String) -> Answer<Bead> {
    match beads::show(deps, &[hook]).await {
        Ok(mut found) => found.pop().map_or(Answer::Missing, Answer::Found),
        Err(why) => Answer::Unknown(why),
    }
}
