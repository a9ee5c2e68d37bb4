//! The ledger: what the supervisor asks of and tells through Gas Town's own programs.
//!
//! Recovery must never depend on them: they may be down when they are needed most.

pub mod agents;
pub mod answer;
pub mod beads;
pub mod crash;
pub mod events;
pub mod inbox;
pub mod mail;
pub mod notify;
pub mod show_output;
pub mod snapshot;
pub mod turn;
