//! Dependencies: an agent is started once the agents work that it is to be started after ([`Standing::after`](crate::town::standing::Standing)).
//!
//! That is asked before each start and at no other time: what runs goes on, whatever its dependencies do. An agent that begins to
//! work wakes those that wait for it. Nothing here may start or end an agent.

use super::{
    confirmation::Permission,
    denial::Denial,
    health::Health,
    lifecycle::Lifecycle,
    permission,
    phase::{NOT_OBSERVED, Phase, Why},
    spec::AgentSpec,
};
use crate::{deps::Deps, supervision::messages::Broadcast, town::identity::Identity};

/// Whether this agent may be started now: its [permission], and what it is to be started after.
pub async fn may_start(deps: &Deps, spec: &AgentSpec) -> Permission {
    match permission::ask(deps, spec).await {
        Permission::Allowed => {
            waits_for(deps, &spec.identity).map_or(Permission::Allowed, Permission::Denied)
        }
        other => other,
    }
}

/// The first agent that this one is to be started after and that does not work, if there is one.
pub fn waits_for(deps: &Deps, identity: &Identity) -> Option<Denial> {
    let standing = deps.standing(identity)?;
    let waited_for = standing.after.iter().find(|agent| works(deps, agent).is_err())?;
    Some(Denial::WaitsForAgent(waited_for.clone()))
}

/// Whether an agent works, for those that are started after it; else what it is instead: it lives, and is healthy where that is
/// checked, or it has done all that it was to do. What is not known is no. This is the one place that says so.
pub fn works(deps: &Deps, identity: &Identity) -> Result<(), String> {
    deps.records.of_lifecycle(identity, |lifecycle| match lifecycle {
        Some(lifecycle) if is_up(lifecycle) => Ok(()),
        Some(lifecycle) => {
            let (phase, why) = (Phase::of(lifecycle).as_str().replace('_', " "), Why::of(lifecycle));
            Err(why.map_or_else(|| phase.clone(), |why| format!("{phase} ({})", why.text)))
        }
        None => Err(NOT_OBSERVED.to_owned()),
    })?;
    match unwell(deps, identity) {
        Some(health) => Err(format!("alive, its health is {}", health.as_str())),
        None => Ok(()),
    }
}

/// Its health, where it lives and that is checked, and it is not healthy.
fn unwell(deps: &Deps, identity: &Identity) -> Option<Health> {
    deps.standing(identity)?.health.as_ref()?;
    let (_, session) = deps.records.living(identity)?;
    let course = deps.records.health(identity, &session.id);
    let health = course.map_or(Health::Starting, |course| course.health());
    (health != Health::Healthy).then_some(health)
}

/// Whether it runs, or has done all that it was to do.
pub fn is_up(lifecycle: &Lifecycle) -> bool {
    Phase::of(lifecycle) == Phase::Alive || lifecycle.ended().is_some_and(|ended| ended.exit().is_well())
}

/// Why an agent waits for another one, for people: with what that one is now.
pub fn in_words(deps: &Deps, denial: &Denial) -> Option<String> {
    let Denial::WaitsForAgent(agent) = denial else { return None };
    let now = works(deps, agent).err().unwrap_or_else(|| "running".to_owned());
    Some(format!("{denial}, which is {now}"))
}

/// Has those probed that are to be started after this agent, which works from now on.
pub fn wake(deps: &Deps, identity: &Identity) {
    let standings = deps.standings.borrow().clone();
    let waits = |it: &&Identity| standings.of(it).is_some_and(|standing| standing.after.contains(identity));
    for agent in standings.agents().filter(waits) {
        deps.directory.send(agent, Broadcast::TownChanged);
    }
}
