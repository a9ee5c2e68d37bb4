//! The supervised agents, whether or not their actors answer now.
//!
//! An agent whose actor is suspended, was just recreated, or is silent does not vanish: the status shows it as
//! unknown. This module must not decide the state of an agent.

use jiff::Timestamp;

use super::RootState;
use crate::{
    agent::{
        phase::{NOT_OBSERVED, Phase},
        spec::AgentSpec,
    },
    supervision::status::AgentStatus,
    town::identity::{Identity, Wanted},
};

impl RootState {
    /// Each of them, with the state unknown.
    pub(super) fn supervised(&self) -> Vec<AgentStatus> {
        let deps = &self.plan.deps;
        let settings = deps.settings();
        let naming = settings.tmux.naming;
        // The others are supervised only on request.
        let is_supervised = |identity: &Identity| match identity.rig() {
            _ if identity.wanted(&settings) != Wanted::OnRequest => true,
            None => self.children.contains(&identity.actor_name()),
            Some(_) => deps.records.open_requests(identity) > 0 || deps.records.hold(identity).is_some(),
        };
        let of_rigs = self
            .rigs
            .values()
            .flat_map(|rig| Identity::of_rig(&rig.name).map(|it| AgentSpec::new(it, naming, &rig.prefix)));
        let listed = of_rigs.chain(AgentSpec::of_town(deps)).map(|spec| (spec.identity, spec.session));
        let all = deps.directory.all().into_iter().chain(listed).filter(|(it, _)| is_supervised(it));
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

/// An agent whose state is unknown, for this reason.
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
        activity: None,
        activity_doubt: None,
        last_end: None,
        program: None,
        pid: None,
        hook: None,
        started_at: None,
        last_exit: None,
        health: None,
    }
}
