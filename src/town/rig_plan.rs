//! The plan of a rig: what is known of it before any of its agents runs. Pure.

use crate::town::{
    identity::{Identity, RigName},
    settings::Naming,
};

/// The name and prefix of a rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigPlan {
    /// Its name.
    pub name: RigName,
    /// Its bead prefix, without the trailing `-`.
    pub prefix: String,
}

impl RigPlan {
    /// Returns a test whether a session may be one of this rig's polecats: its name has their prefix (which another
    /// rig's agents may share) and is not that of another known agent. Built once for many sessions, as each rig
    /// checks all sessions of the town.
    pub fn polecats_sessions(&self, naming: Naming) -> impl Fn(&str) -> bool + use<> {
        let witness = Identity::Witness(self.name.clone()).session(naming, &self.prefix);
        let refinery = Identity::Refinery(self.name.clone()).session(naming, &self.prefix);
        let begin = witness.strip_suffix("witness").unwrap_or(&witness).to_owned();
        move |session| {
            let rest = session.strip_prefix(&begin).filter(|rest| !rest.is_empty());
            rest.is_some_and(|rest| session != witness && session != refinery && !rest.starts_with("crew-"))
        }
    }
}
