//! Whether an agent works: the one place that says so to others, by its lifecycle and its [health](super::health). It must not act.

use super::health::Health;
use crate::{deps::Deps, town::identity::Identity};

/// Whether this agent works: it is known to live, and where its health is checked, it is healthy. Not known is no.
pub fn works(deps: &Deps, identity: &Identity) -> bool {
    let Some((_, session)) = deps.records.living(identity) else { return false };
    let is_checked = deps.standing(identity).is_some_and(|it| it.health.is_some());
    let health = || deps.records.health(identity, &session.id).map(|course| course.health());
    !is_checked || health() == Some(Health::Healthy)
}
