//! The agents that are supervised, whether or not their actors answer now.
//!
//! An agent whose actor is suspended, was just recreated, or is silent does not vanish: the status shows it as unknown. This
//! module must not decide the state of an agent.

use jiff::Timestamp;

use super::RootState;
use crate::{
    agent::phase::{NOT_OBSERVED, Phase},
    supervision::status::AgentStatus,
    town::identity::Identity,
};

impl RootState {
    /// Each of them, as unknown.
    pub(super) fn supervised(&self) -> Vec<AgentStatus> {
        let deps = &self.plan.deps;
        let naming = deps.settings().tmux.naming;
        let asked_for = |identity: &Identity| {
            deps.records.open_requests(identity) > 0 || deps.records.hold(identity).is_some()
        };
        let claimed = deps.directory.all().into_iter().filter(|(identity, _)| match identity {
            Identity::Mayor => self.children.contains(&Identity::Mayor.actor_name()),
            // Nobody's business until somebody asks for them.
            Identity::Crew(..) => asked_for(identity),
            _ => true,
        });
        let kept = self.rigs.values().flat_map(|rig| {
            [Identity::Witness(rig.name.clone()), Identity::Refinery(rig.name.clone())].map(|identity| {
                let session = identity.session(naming, &rig.prefix);
                (identity, session)
            })
        });
        let of_town = [Identity::Deacon, Identity::Boot].map(|it| (it.clone(), it.session(naming, "")));
        let all = claimed.chain(kept).chain(of_town);
        let mut supervised: Vec<AgentStatus> = all
            .map(|(identity, session)| {
                let last = deps.records.phase(&identity);
                let since = last.map_or(self.plan.process.started_at, |(_, since)| since);
                let why = match last {
                    None | Some((Phase::Unknown, _)) => NOT_OBSERVED.to_owned(),
                    Some((phase, _)) => format!("last known: {phase}"),
                };
                unknown(&identity, session, since, why)
            })
            .collect();
        supervised.sort_by(|a, b| a.identity.cmp(&b.identity));
        supervised.dedup_by(|a, b| a.identity == b.identity);
        supervised
    }
}

/// An agent of which nothing can be said now, for this reason.
fn unknown(identity: &Identity, session: String, since: Timestamp, why: String) -> AgentStatus {
    AgentStatus {
        identity: identity.to_string(),
        role: identity.role().to_string(),
        rig: identity.rig().map(ToString::to_string),
        session,
        state: Phase::Unknown.as_str(),
        since,
        restarts: 0,
        backoff_until: None,
        reason: Some(why),
        reason_code: None,
        last_end: None,
    }
}
