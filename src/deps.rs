//! Deps: everything an actor works with: the [`Ports`], the [`Ledger`], and the registers that survive the crash of any actor.
//!
//! Each is a wider view of the one before: what needs only the ports takes `&Ports`, what also runs `bd` takes `&Ledger`, and
//! only who needs a register takes `&Deps`. It must not grow decisions.

use std::ops::Deref;

use crate::{
    agent::{directory::Directory, record::Records, starts::Starts},
    deaths::register::DeathRegister,
    ledger::Ledger,
    operator::register::Operations,
    ports::Ports,
};

/// Everything an actor works with.
#[derive(Clone)]
pub struct Deps {
    /// The ports, and what is known of bead databases.
    pub ledger: Ledger,
    /// What is known of each agent.
    pub records: Records,
    /// What starts share.
    pub starts: Starts,
    /// Which agent has which session, and the actor that keeps it.
    pub directory: Directory,
    /// Gas Town's running commands, as detected.
    pub operations: Operations,
    /// Confirmed deaths, and the pace of restarts after many.
    pub deaths: DeathRegister,
}

impl Deref for Deps {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Deps {
    /// These ports with empty registers.
    pub fn new(ports: Ports) -> Self {
        let directory = ports.paths.supervisor_dir();
        Deps {
            records: Records::new(directory.clone()),
            directory: Directory::new(ports.problems.clone()),
            starts: Starts::new(directory),
            operations: Operations::default(),
            deaths: DeathRegister::default(),
            ledger: Ledger::new(ports),
        }
    }
}
