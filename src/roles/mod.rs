//! Roles: what a role adds to an agent, as a value with hooks ([`crate::agent::role`]). Witness, refinery, crew and mayor add nothing.
//!
//! A role must not start, end or type into anything itself.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    agent::{
        actor,
        role::{Plain, Role as Hooks},
    },
    deps::Deps,
    supervision::{child::ChildSpec, messages::ReportTo},
    town::{
        identity::{Identity, Role},
        rig_plan::Prefixes,
    },
};

pub mod audit;
pub mod boot;
pub mod deacon;
pub mod idle;
pub mod own;
pub mod polecat;

/// The actor of an agent, whose rig has these prefixes, as a child. Agents with the same `turn` take turns when their
/// roles run `bd` and send mail.
pub fn child(
    deps: &Arc<Deps>,
    (identity, prefixes): (Identity, &Prefixes),
    answers: &ReportTo,
    turn: &Arc<Semaphore>,
) -> ChildSpec {
    let (role, turn) = (identity.role(), turn.clone());
    actor::child(deps, (identity, prefixes), answers, move || hooks(role, &turn))
}

fn hooks(role: Role, turn: &Arc<Semaphore>) -> Box<dyn Hooks> {
    match role {
        Role::Deacon => Box::<deacon::role::Deacon>::default(),
        Role::Boot => Box::<boot::role::Boot>::default(),
        Role::Polecat => Box::new(polecat::Polecat::new(turn.clone())),
        Role::Agent => Box::<own::Own>::default(),
        Role::Mayor | Role::Witness | Role::Refinery | Role::Crew => Box::new(Plain),
    }
}
