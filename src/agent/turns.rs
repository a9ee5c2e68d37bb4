//! Turns: who may type into which session now, so that two nudges to one session never interleave.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Who may type into which session now.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    sessions: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Turns {
    /// Waits until nobody else types into this session, first come first served.
    pub async fn take(&self, session: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            // Turns nobody waits for are forgotten, so that the map does not grow with every session that ever was.
            sessions.retain(|name, turn| name == session || Arc::strong_count(turn) > 1);
            sessions.entry(session.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}
