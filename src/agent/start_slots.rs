//! Start slots: how many starts may be on their way to an agent's first process at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places, shared by all owners.
#[derive(Debug, Clone)]
pub struct StartSlots {
    current: Arc<Mutex<(usize, Arc<Semaphore>)>>,
}

impl StartSlots {
    /// No places taken.
    pub fn new() -> Self {
        StartSlots { current: Arc::new(Mutex::new((1, Arc::new(Semaphore::new(1))))) }
    }

    /// Waits for a place among `limit` (`start.max_concurrent`), first come first served. Dropping the permit frees it.
    /// When the limit changes, starts under way keep their old places.
    pub async fn acquire(&self, limit: usize) -> Option<OwnedSemaphorePermit> {
        let semaphore = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.0 != limit {
                *current = (limit, Arc::new(Semaphore::new(limit.max(1))));
            }
            current.1.clone()
        };
        semaphore.acquire_owned().await.ok()
    }
}

impl Default for StartSlots {
    fn default() -> Self {
        Self::new()
    }
}
