//! Health: what the checks of each agent say. In memory only: another supervisor begins anew.

use super::Records;
use crate::{agent::health::Course, town::identity::Identity};

impl Records {
    /// What the checks of this agent say, in the incarnation of its session with this id.
    pub fn health(&self, identity: &Identity, session: &str) -> Option<Course> {
        let agents = self.agents.lock();
        agents.get(identity)?.health.clone().filter(|course| course.session() == session)
    }

    /// Notes what the checks of this agent say now; `None` when it is not checked. Wakes those who show it.
    pub fn set_health(&self, identity: &Identity, course: Option<Course>) {
        let mut agents = self.agents.lock();
        let Some(record) = agents.get_mut(identity) else { return };
        if record.health != course {
            record.health = course;
            self.changed.send_replace(());
        }
    }
}
