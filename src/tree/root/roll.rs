//! The roll: the agents that are looked after, whether or not their actors answer now.
//!
//! An agent whose actor is suspended, has just been made again, or is silent does not cease to exist: whoever asks how the town
//! is, is told of it as unknown. It must not say how an agent is.

use std::collections::BTreeSet;

use super::{RootChild, RootState};
use crate::{
    agent::{
        identity::Identity,
        phase::{NOT_OBSERVED, Phase},
        status::AgentStatus,
    },
    tree::children::ChildStatus,
};

impl RootState {
    /// Each of them, as unknown.
    pub(super) fn roll(&self) -> Vec<AgentStatus> {
        let deps = &self.plan.deps;
        let naming = deps.settings().tmux.naming;
        let asked_for = |identity: &Identity| {
            deps.requests.next(identity).is_some() || deps.records.hold(identity).is_some()
        };
        let claimed = deps.directory.all().into_iter().filter(|(identity, _)| match identity {
            Identity::Mayor => self.children.contains(&RootChild::Mayor),
            // Nobody's business until somebody asks for them.
            Identity::Crew(..) => asked_for(identity),
            _ => true,
        });
        let kept = self.rigs.values().flat_map(|rig| {
            [Identity::Witness(rig.name.clone()), Identity::Refinery(rig.name.clone())].map(|identity| {
                let spec = rig.spec(identity, naming);
                (spec.identity, spec.session)
            })
        });
        let of_town = [Identity::Deacon, Identity::Boot].map(|it| (it.clone(), it.session(naming, "")));
        let all = claimed.chain(kept).chain(of_town);
        let mut roll: Vec<AgentStatus> = all
            .map(|(identity, session)| {
                let last = deps.histories.standing(&identity);
                let since = last.map_or(self.plan.process.started_at, |(_, since)| since);
                let why = match last {
                    None | Some((Phase::Unknown, _)) => NOT_OBSERVED.to_owned(),
                    Some((standing, _)) => format!("last known: {standing}"),
                };
                AgentStatus::unknown(&identity, session, since, why)
            })
            .collect();
        roll.sort_by(|a, b| a.identity.cmp(&b.identity));
        roll.dedup_by(|a, b| a.identity == b.identity);
        roll
    }
}

/// The actor that answers for an agent.
fn actor_of(agent: &AgentStatus) -> String {
    match agent.role.as_str() {
        "boot" => "boot".to_owned(),
        _ => agent.identity.clone(),
    }
}

/// Those of the roll that nobody answered for, with what is known of why.
pub fn unanswered(
    roll: Vec<AgentStatus>,
    answered: &[AgentStatus],
    actors: &[ChildStatus],
) -> Vec<AgentStatus> {
    let answered: BTreeSet<&str> = answered.iter().map(|agent| agent.identity.as_str()).collect();
    let missing = roll.into_iter().filter(|agent| !answered.contains(agent.identity.as_str()));
    missing
        .map(|mut agent| {
            let names = [agent.rig.as_ref().map(|rig| format!("rig {rig}")), Some(actor_of(&agent))];
            let suspended = actors.iter().find(|actor| {
                actor.parked.is_some() && names.iter().flatten().any(|name| *name == actor.name)
            });
            let reason = agent.reason.take().unwrap_or_default();
            agent.reason = Some(match suspended {
                Some(actor) => format!("actor {} is suspended; {reason}", actor.name),
                None => format!("its actor has not answered; {reason}"),
            });
            agent
        })
        .collect()
}
