//! Held back: an agent whose start is delayed is not started by the hook of its tmux session either.
//!
//! `gt` 1.x gives the sessions of deacon and mayor a hook that starts the agent again 3 s after its process ended, however often
//! that happens. While the supervisor waits with a restart, the hook and the dead pane are removed. A pane that a person opened
//! in that session stays. The same for one that is not started again because of how it ended.

use super::Owner;
use crate::agent::{
    confirmation::{Observation, Permission, Presence, SessionKey},
    denial::Denial,
    elsewhere, kill,
};

/// The session in which this probe shows what is left of the agent and nothing of it that lives, if it may be touched.
pub(super) fn left(seen: &Observation) -> Option<SessionKey> {
    match (&seen.presence, &seen.permission) {
        (Presence::Dead(session), Permission::Allowed | Permission::Denied(Denial::WaitsForAgent(_))) => {
            Some(session.clone())
        }
        _ => None,
    }
}

impl Owner {
    /// Clears away what is left of it in this session.
    pub(super) fn hold_back(&mut self, left: SessionKey) {
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            // A process that the server does not report may go on.
            let session = deps.sessions.find(&spec.session).await.ok().flatten();
            if session.is_none_or(|session| session.has_lost_sight())
                && elsewhere::why_not(&deps, &spec, elsewhere::JUST_SEARCHED).await.is_some()
            {
                return;
            }
            if let Err(why) = kill::clear_away(&deps, &spec.session, &left).await {
                tracing::warn!(agent = %spec.identity, "its tmux hook may start it although it is held back: {why}");
            }
        });
    }
}
