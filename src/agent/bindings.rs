//! Key bindings: bound once for each tmux server, by whichever start comes first.

use std::sync::{Arc, Mutex, PoisonError};

use super::appearance;
use crate::{deps::Deps, sessions::SessionsError};

/// Whether the server that answers now has this town's bindings.
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
}

/// Binds the keys unless this server has them.
pub async fn bind(deps: &Deps) -> Result<(), SessionsError> {
    let server = deps.sessions.server_generation();
    let prefixes = {
        let inner = deps.bindings.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.bound_on == Some(server) {
            return Ok(());
        }
        inner.prefixes.clone()
    };
    let bindings = appearance::key_bindings(deps.settings().tmux.naming, &prefixes);
    deps.sessions.bind_keys(&bindings).await?;
    deps.bindings.inner.lock().unwrap_or_else(PoisonError::into_inner).bound_on = Some(server);
    Ok(())
}
