//! The ledger: everything the supervisor does through Gas Town's own programs, `bd` and `gt`.
//!
//! Recovery must never depend on them: they may be down when they are needed most.

pub mod agents;
pub mod ahead;
pub mod answer;
pub mod bd;
pub mod bead;
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

use std::ops::Deref;

use self::{
    ahead::Ahead, databases::Databases, events::Outbox, questions::Questions, snapshot::Snapshots,
    turn::LedgerTurn, version::BdVersion,
};
use crate::ports::Ports;

/// What is known of bead databases and of who is using them, with the ports; clones share it.
#[derive(Clone)]
pub struct Ledger {
    /// The ports.
    pub ports: Ports,
    /// Whose turn it is to run `bd`.
    pub ledger_turn: LedgerTurn,
    /// Which database a bead belongs to.
    pub databases: Databases,
    /// What `bd` last said, where only it can be asked.
    pub ahead: Ahead,
    /// Ids of beads that wait to be looked up together.
    pub questions: Questions,
    /// Which version of `bd` there is.
    pub bd_version: BdVersion,
    /// What the ledger last said of each rig's agents.
    pub snapshots: Snapshots,
    /// Events that wait to be written.
    pub outbox: Outbox,
}

impl Ledger {
    /// Nothing is known yet.
    pub fn new(ports: Ports) -> Self {
        Ledger {
            ports,
            ledger_turn: LedgerTurn::default(),
            databases: Databases::default(),
            ahead: Ahead::default(),
            questions: Questions::default(),
            bd_version: BdVersion::default(),
            snapshots: Snapshots::default(),
            outbox: Outbox::default(),
        }
    }
}

impl Deref for Ledger {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}
