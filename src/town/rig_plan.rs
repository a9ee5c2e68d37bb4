//! The plan of a rig: what is known of it before any of its agents runs. Pure.

use crate::town::{
    identity::{RigName, Role, Scope},
    settings::Naming,
};

/// The prefixes of a rig, without the trailing `-`; both are empty for what belongs to no rig. In a 1.x town the two come from
/// different files, and are usually equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefixes {
    /// Of its beads' ids.
    pub beads: String,
    /// Of its agents' sessions, where these are named by prefix.
    pub sessions: String,
}

impl<T: Into<String>> From<T> for Prefixes {
    /// The same prefix for both.
    fn from(prefix: T) -> Self {
        let beads = prefix.into();
        Prefixes { sessions: beads.clone(), beads }
    }
}

/// The name and prefixes of a rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigPlan {
    /// Its name.
    pub name: RigName,
    /// Its prefixes.
    pub prefix: Prefixes,
}

impl RigPlan {
    /// Returns a test whether a session may be one of this rig's polecats: its name has their prefix (which another
    /// rig's agents may share) and is not that of another known agent. Built once for many sessions, as each rig
    /// checks all sessions of the town.
    pub fn polecats_sessions(&self, naming: Naming) -> impl Fn(&str) -> bool + use<> {
        let session = |role: Role| role.session(naming, &self.prefix.sessions, Some(&self.name), None);
        let begin = session(Role::Polecat);
        let others = Role::of_gas_town().filter(|role| *role != Role::Polecat);
        let others: Vec<_> = others.map(|role| (role.facts().scope, session(role))).collect();
        move |name| {
            let is_of = |(scope, session): &(Scope, String)| match scope {
                Scope::Town(_) | Scope::Own(_) => false,
                Scope::Rig(_) => name == session,
                Scope::Member(_) => name.starts_with(session),
            };
            name.len() > begin.len() && name.starts_with(&begin) && !others.iter().any(is_of)
        }
    }
}
