//! Key bindings: which tmux server has this town's, so that they are bound once for each.

use std::sync::{Arc, Mutex, PoisonError};

/// What is bound where.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    prefixes: Vec<String>,
    bound_on: Option<u64>,
}

impl Bindings {
    /// The rigs' bead prefixes, which begin session names in one naming scheme. New ones are bound at the next start.
    pub fn set_prefixes(&self, prefixes: Vec<String>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.prefixes != prefixes {
            *inner = Inner { prefixes, bound_on: None };
        }
    }

    /// The prefixes to bind keys for on this incarnation of the server; `None` when it has its bindings.
    pub fn missing_on(&self, server: u64) -> Option<Vec<String>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.bound_on != Some(server)).then(|| inner.prefixes.clone())
    }

    /// This incarnation of the server has them now.
    pub fn bound_on(&self, server: u64) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).bound_on = Some(server);
    }
}
