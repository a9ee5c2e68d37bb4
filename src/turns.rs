//! Turns: one lock for each key, taken first come, first served.
//!
//! A turn covers what its holder does until it drops it. A key that nobody holds or waits for is forgotten, so that the turns do
//! not grow with every key there ever was. It must not know what the keys are.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// The turns; clones share them.
#[derive(Debug, Clone)]
pub struct Turns<K>(Arc<Mutex<BTreeMap<K, Arc<tokio::sync::Mutex<()>>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Turns(Arc::default())
    }
}

impl<K: Ord> Turns<K> {
    /// Waits until no other caller holds this key. Dropping the future gives up the place in the queue.
    pub async fn take(&self, key: K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock();
            turns.retain(|other, turn| *other == key || Arc::strong_count(turn) > 1);
            turns.entry(key).or_default().clone()
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn one_holder_for_each_key_and_none_is_kept_for_ever() {
        let turns = Turns::default();
        let held = turns.take("a").now_or_never();
        assert!(held.is_some());
        assert!(turns.take("a").now_or_never().is_none());
        assert!(turns.take("b").now_or_never().is_some(), "another key");
        drop(held);
        assert!(turns.take("a").now_or_never().is_some());
        assert_eq!(turns.0.lock().len(), 1, "only the key of the last call");
    }
}
