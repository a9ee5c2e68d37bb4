//! The death window: when deaths become an alert, and what may have caused them. Pure.

use crate::{agent::identity::Identity, clock::Now};

/// One confirmed death that neither we nor anybody's command caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedDeath {
    /// Who died.
    pub agent: Identity,
    /// Its session's exact name.
    pub session: String,
    /// When it was noticed, which is before it was confirmed.
    pub noticed: Now,
    /// Its exit status as a shell tells it, where it is known.
    pub exit: Option<i32>,
    /// True when it ended with its tmux server.
    pub with_server: bool,
}
