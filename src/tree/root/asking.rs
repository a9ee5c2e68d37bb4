//! The root and requests: passes a request on to the agent's owner, and creates the mayor's owner.

use std::{collections::BTreeSet, sync::Arc};

use ractor::ActorProcessingErr;

use super::RootState;
use crate::{
    supervision::messages::Broadcast,
    town::identity::{Identity, RigName},
    tree::rig,
};

impl RootState {
    pub(super) async fn asked(&mut self, identity: Identity) -> Result<(), ActorProcessingErr> {
        if self.plan.deps.directory.send(&identity, Broadcast::Asked(identity.clone())) {
            return Ok(());
        }
        // One that is suspended, or made now, finds it in the register.
        if let Some(rig) = identity.rig() {
            self.children.send(&rig::name(rig), Broadcast::Asked(identity));
        } else if identity == Identity::Mayor {
            self.start_mayor_if_asked_for().await?;
        }
        Ok(())
    }

    /// The mayor is not supervised until its stop or start is requested.
    pub(super) async fn start_mayor_if_asked_for(&mut self) -> Result<(), ActorProcessingErr> {
        let deps = &self.plan.deps;
        let asked_for = deps.records.open_requests(&Identity::Mayor) > 0
            || deps.records.hold(&Identity::Mayor).is_some()
            || deps.directory.is_kept(&Identity::Mayor);
        if asked_for { self.start(self.mayor()).await } else { Ok(()) }
    }

    /// Reports which rigs exist. A list that was never read well, or was not read yet, is not a town without rigs.
    pub(super) fn send_rigs(&self) {
        let rigs: BTreeSet<RigName> = self.rigs.keys().cloned().collect();
        if !rigs.is_empty() || !self.town.may_have_more_rigs() {
            self.children.broadcast(&Broadcast::Rigs(Arc::new(rigs)));
        }
    }
}
