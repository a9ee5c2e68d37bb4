//! A rig: one project inside the town, with its witness and refinery.
//!
//! [`supervisor`] stands over what a rig has: an actor for each of its agents, and [`census`], which
//! reads what the ledger says of its agents and of itself.

pub mod census;
pub mod dock;
pub mod plan;
pub mod supervisor;
