//! A rig: one project inside the town, with its witness and refinery.
//!
//! [`supervisor`] stands over what a rig has; [`patrol`] owns its witness or its refinery, which are kept alike; [`census`]
//! reads what the ledger says of its agents and of itself.

pub mod census;
pub mod dock;
pub mod docked;
pub mod patrol;
pub mod supervisor;
