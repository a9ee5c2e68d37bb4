//! Problems: what is wrong right now, each told once per change.
//!
//! A broken file or a missing tool is seen again at every heartbeat; people want to read of it once, and to see it in
//! the status as long as it lasts. Whoever finds something wrong [`report`](Problems::report)s it under a stable key,
//! whoever finds it well again [`clear`](Problems::clear)s the key; only a change reaches the log.
//! It must not decide anything, and nothing may depend on what it holds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The register, shared by all parts of one supervisor.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    open: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Problems {
    /// An empty register.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `key` is wrong in this way; logged as a warning when that is news. Returns whether it was.
    pub fn report(&self, key: impl Into<String>, text: impl Into<String>) -> bool {
        let (key, text) = (key.into(), text.into());
        let mut open = self.locked();
        if open.get(&key) == Some(&text) {
            return false;
        }
        tracing::warn!("{text}");
        open.insert(key, text);
        true
    }

    /// Notes that `key` is well again; logged when it was wrong before. Returns whether it was.
    pub fn clear(&self, key: &str) -> bool {
        let was = self.locked().remove(key);
        if let Some(text) = &was {
            tracing::info!("Resolved: {text}");
        }
        was.is_some()
    }

    /// Forgets every key that begins with `prefix`, without a word: the thing it was about is no longer supervised.
    pub fn forget(&self, prefix: &str) {
        self.locked().retain(|key, _| !key.starts_with(prefix));
    }

    /// Whether anything whose key begins with `prefix` is wrong.
    pub fn any(&self, prefix: &str) -> bool {
        self.locked().keys().any(|key| key.starts_with(prefix))
    }

    /// Everything that is wrong now: key and text, ordered by key.
    pub fn open(&self) -> BTreeMap<String, String> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_only_what_changed() {
        let problems = Problems::new();
        assert!(problems.report("rigs", "rigs.json is broken"));
        assert!(!problems.report("rigs", "rigs.json is broken"));
        assert!(problems.report("rigs", "rigs.json is broken elsewhere"));
        assert!(problems.clear("rigs"));
        assert!(!problems.clear("rigs"));
        assert!(problems.report("rigs", "rigs.json is broken"), "news again");
    }

    #[test]
    fn forgets_by_prefix() {
        let problems = Problems::new();
        problems.report("rig/a/gate", "x");
        problems.report("rig/ab/gate", "y");
        assert!(problems.any("rig/a/") && !problems.any("rig/b"));
        problems.forget("rig/a/");
        assert_eq!(problems.open().into_keys().collect::<Vec<_>>(), ["rig/ab/gate"]);
    }
}
