//! Roles: what a role adds to an agent, as a value with hooks ([`crate::agent::role`]). Witness, refinery, crew and mayor add nothing.
//!
//! A role must not start, end or type into anything itself.

pub mod audit;
pub mod boot;
pub mod deacon;
pub mod polecat;
