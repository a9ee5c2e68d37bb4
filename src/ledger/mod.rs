//! The ledger: what the supervisor asks of and tells through Gas Town's own programs.
//!
//! Recovery must never depend on them: they may be down when they are needed most.

pub mod agents;
pub mod ahead;
pub mod answer;
pub mod bd;
pub mod beads;
pub mod crash;
pub mod databases;
pub mod events;
pub mod gt;
pub mod inbox;
pub mod inbox_output;
pub mod installed;
pub mod list_output;
pub mod mail;
pub mod notify;
pub mod questions;
pub mod show_output;
pub mod snapshot;
pub mod sqlite;
pub mod store;
pub mod turn;
pub mod version;
