//! The root and what is asked for: passing a request on to the agent's owner, and giving the mayor one.

use std::collections::BTreeSet;

use ractor::{ActorProcessingErr, ActorRef};

use super::{RootChild, RootMsg, RootState, child::ChildRef};
use crate::{
    agent::identity::{Identity, RigName},
    lifecycle::actor::MailMsg,
    tree::part::Word,
};

impl RootState {
    pub(super) async fn asked(
        &mut self,
        myself: &ActorRef<RootMsg>,
        identity: Identity,
    ) -> Result<(), ActorProcessingErr> {
        if self.plan.deps.directory.send(&identity, Word::Asked(identity.clone())) {
            return Ok(());
        }
        // One that is suspended, or made now, finds it in the register.
        match (&identity, identity.rig()) {
            (Identity::Mayor, _) => self.spawn_mayor_if_asked_for(myself).await?,
            (_, Some(rig)) => {
                if let Some(rig) = self.children.get(&RootChild::Rig(rig.clone())) {
                    rig.hear(Word::Asked(identity));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The mayor is nobody's business until somebody asks for it to be stopped or started.
    pub(super) async fn spawn_mayor_if_asked_for(
        &mut self,
        myself: &ActorRef<RootMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let deps = &self.plan.deps;
        let asked_for = deps.requests.next(&Identity::Mayor).is_some()
            || deps.records.hold(&Identity::Mayor).is_some()
            || deps.directory.is_kept(&Identity::Mayor);
        if asked_for && !self.children.contains(&RootChild::Mayor) {
            self.spawn(myself, RootChild::Mayor).await?;
        }
        Ok(())
    }

    pub(super) fn read_mail(&self) {
        if let Some(ChildRef::DeaconMail(mail)) = self.children.get(&RootChild::DeaconMail) {
            let _ = mail.cast(MailMsg::ReadNow);
        }
    }

    pub(super) fn tell_mail_its_rigs(&self) {
        if let (Some(ChildRef::DeaconMail(mail)), Some(rigs)) =
            (self.children.get(&RootChild::DeaconMail), self.known_rigs())
        {
            let _ = mail.cast(MailMsg::Rigs(rigs));
        }
    }

    /// The rigs there are. A list that was never read well, or was not read yet, is no town without rigs.
    pub(super) fn known_rigs(&self) -> Option<BTreeSet<RigName>> {
        let rigs: BTreeSet<RigName> = self.rigs.keys().cloned().collect();
        let known = !rigs.is_empty() || !self.town.may_have_more_rigs();
        known.then_some(rigs)
    }
}
