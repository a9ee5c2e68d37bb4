//! The agent spec: what an owner must know of its agent, and what stands guard over it. OTP's child spec, for agents.

use crate::{
    ports::{Ports, problems::ProblemKey},
    town::{identity::Identity, rig_plan::Prefixes, settings::Naming},
};

/// One agent to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// Who it is.
    pub identity: Identity,
    /// The exact name of its session.
    pub session: String,
    /// The prefix of its rig's beads, without the trailing `-`; empty for those of no rig.
    pub prefix: String,
}

impl AgentSpec {
    /// This agent, whose rig has these prefixes.
    pub fn new(identity: Identity, naming: Naming, prefixes: &Prefixes) -> Self {
        let session = identity.session(naming, &prefixes.sessions);
        AgentSpec { identity, session, prefix: prefixes.beads.clone() }
    }

    /// This agent as it is in this town: under the session that is said of it, else under that of its role.
    pub fn of(ports: &Ports, identity: Identity, prefixes: &Prefixes) -> Self {
        match ports.standing(&identity) {
            Some(standing) => {
                AgentSpec { identity, session: standing.session.clone(), prefix: String::new() }
            }
            None => AgentSpec::new(identity, ports.settings().tmux.naming, prefixes),
        }
    }

    /// Those of which this town has one, in the order of their starts: all of a town of one file, and of a Gas Town those that are
    /// in no rig.
    pub fn of_town(ports: &Ports) -> Vec<AgentSpec> {
        let standings = ports.standings.borrow().clone();
        let identities: Vec<Identity> = match ports.dialect().is_gas_town() {
            true => Identity::of_town().collect(),
            false => standings.agents().cloned().collect(),
        };
        let none = Prefixes::default();
        identities.into_iter().map(|identity| AgentSpec::of(ports, identity, &none)).collect()
    }

    /// The key of what is wrong with it in this respect, among all [problems](crate::ports::problems); a rig's begin alike.
    pub fn problem_key(&self, what: &str) -> ProblemKey {
        let name = match self.identity.rig() {
            Some(rig) => format!("rig/{rig}/{}/{what}", self.identity),
            None => format!("{}/{what}", self.identity),
        };
        ProblemKey::from(name).of(&self.identity)
    }
}
