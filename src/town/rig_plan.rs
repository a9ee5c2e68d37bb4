//! The plan of a rig: what is known of it before anything of it runs. Pure.

use crate::town::{
    identity::{Identity, RigName},
    settings::Naming,
};

/// The parts of a rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigPlan {
    /// Its name.
    pub name: RigName,
    /// Its bead prefix, without the trailing `-`.
    pub prefix: String,
}

impl RigPlan {
    /// Which sessions may be those of this rig's polecats: by the beginning of the name, which another rig's agents may share,
    /// and by being none of the agents known otherwise. Made once for many sessions, as each rig checks all of the town's.
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
