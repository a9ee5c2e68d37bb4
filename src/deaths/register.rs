//! The register of deaths: where owners note confirmed deaths, and ask whether restarts are paced.
//!
//! A register and not an actor's state, so that a restart that follows a death in the same breath is paced by it, and so
//! that it survives the crash of any actor.

use std::time::Duration;

use super::rules::ConfirmedDeath;
use crate::{clock::Now, town::settings::Deaths as Policy};

/// The register.
#[derive(Debug, Clone, Default)]
pub struct DeathRegister {}

impl DeathRegister {
    /// Notes a death. From here on, an alert may be pending and restarts may be paced.
    pub fn record(&self, _death: ConfirmedDeath, _now: Now, _policy: &Policy) {}

    /// How long a restart wanted now has to wait for its turn; zero when it may be made at once.
    pub fn pace(&self, _now: Now) -> Duration {
        Duration::ZERO
    }

    /// Takes the turn that [`pace`](Self::pace) just told of, so that the next one comes later.
    pub fn take_turn(&self, _now: Now, _policy: &Policy) {}
}
