//! The root and requests: passes a request on to the agent's owner, and creates the mayor's actor.

use std::{collections::BTreeSet, sync::Arc};

use ractor::ActorProcessingErr;

use super::RootState;
use crate::{
    supervision::messages::Broadcast,
    town::identity::{Identity, RigName, Wanted},
    tree::rig,
};

impl RootState {
    pub(super) async fn asked(&mut self, identity: Identity) -> Result<(), ActorProcessingErr> {
        if self.plan.deps.directory.send(&identity, Broadcast::Asked(identity.clone())) {
            return Ok(());
        }
        // An actor that is suspended, or created now, finds the request in the register.
        if let Some(rig) = identity.rig() {
            self.children.send(&rig::name(rig), Broadcast::Asked(identity));
        } else {
            self.start_if_asked_for(&identity).await?;
        }
        Ok(())
    }

    /// Who runs on request is not supervised until its stop or start is requested, or the settings keep it.
    pub(super) async fn start_if_asked_for(&mut self, identity: &Identity) -> Result<(), ActorProcessingErr> {
        let deps = &self.plan.deps;
        let asked_for = identity.wanted(&deps.settings()) != Wanted::OnRequest
            || deps.records.open_requests(identity) > 0
            || deps.records.hold(identity).is_some()
            || deps.directory.is_kept(identity);
        if identity.facts().wanted == Wanted::OnRequest && asked_for {
            self.start(self.agent(identity.clone())).await?;
        }
        Ok(())
    }

    /// Sends the list of rigs. A list that was not read yet, or never without errors, does not mean a town without rigs.
    pub(super) fn send_rigs(&self) {
        let rigs: BTreeSet<RigName> = self.rigs.keys().cloned().collect();
        if !rigs.is_empty() || !self.town.may_have_more_rigs() {
            self.children.broadcast(&Broadcast::Rigs(Arc::new(rigs)));
        }
    }
}
