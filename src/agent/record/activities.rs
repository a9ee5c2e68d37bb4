//! Activities: what the sources say of what each agent is doing. In memory only: another supervisor observes anew.
//!
//! What is known belongs to one incarnation of the agent's session, and goes with it. This module must not judge what it means.

use super::Records;
use crate::{
    agent::activity::{Evidence, Reading, weighing::following},
    town::identity::Identity,
};

/// What is known of what an agent is doing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Doing {
    /// The server's id for the session it is about.
    session: String,
    evidence: Evidence,
    reading: Option<Reading>,
}

impl Records {
    /// Changes what the sources say of an agent in this incarnation of its session; that of another one is dropped. Returns the
    /// reading that follows, if it is another one than before.
    pub fn weigh(
        &self,
        identity: &Identity,
        session: &str,
        change: impl FnOnce(&mut Evidence),
    ) -> Option<Option<Reading>> {
        let mut agents = self.agents.lock();
        let doing = &mut agents.get_mut(identity)?.doing;
        let is_same = doing.session == session;
        if !is_same {
            (doing.session, doing.evidence) = (session.to_owned(), Evidence::default());
        }
        change(&mut doing.evidence);
        let before = doing.reading.as_ref();
        let now = following(before.filter(|_| is_same), doing.evidence.reading());
        (before != now.as_ref()).then_some(now)
    }

    /// What the sources say of this agent, in this incarnation of its session.
    pub fn evidence(&self, identity: &Identity, session: &str) -> Option<Evidence> {
        let agents = self.agents.lock();
        let doing = &agents.get(identity)?.doing;
        (doing.session == session).then(|| doing.evidence.clone())
    }

    /// What this agent is doing, in the incarnation of its session with this id, or in the last one.
    pub fn activity(&self, identity: &Identity, session: Option<&str>) -> Option<Reading> {
        let agents = self.agents.lock();
        let doing = &agents.get(identity)?.doing;
        session.is_none_or(|session| doing.session == session).then(|| doing.reading.clone())?
    }

    /// The agents of which it is known what they are doing, each with the id of the session that is about.
    pub fn doing_something(&self) -> Vec<(Identity, String)> {
        let agents = self.agents.lock();
        let known = agents.iter().filter(|(_, record)| record.doing != Doing::default());
        known.map(|(identity, record)| (identity.clone(), record.doing.session.clone())).collect()
    }

    /// Notes what an agent is doing now. Returns what it did before. Wakes those who show it.
    pub fn set_activity(&self, identity: &Identity, reading: Option<Reading>) -> Option<Reading> {
        let mut agents = self.agents.lock();
        let record = agents.get_mut(identity)?;
        let before = std::mem::replace(&mut record.doing.reading, reading);
        self.changed.send_replace(());
        before
    }

    /// Drops all that was known of what this agent is doing.
    pub fn forget_activity(&self, identity: &Identity) {
        if let Some(record) = self.agents.lock().get_mut(identity) {
            record.doing = Doing::default();
        }
    }
}
