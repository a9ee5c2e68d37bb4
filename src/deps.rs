//! Deps: everything an actor works with: the [`Ports`], the [`Ledger`], and the registers that survive the crash of
//! any actor.
//!
//! Each is a wider view of the one before: a function that needs only the ports takes `&Ports`, one that also runs
//! `bd` takes `&Ledger`, and only one that needs a register takes `&Deps`. It must not grow decisions.

use std::ops::Deref;

use crate::{
    agent::{accounts::register::Accounts, directory::Directory, record::Records, starts::Starts},
    alerts::register::Alerts,
    deaths::register::DeathRegister,
    ledger::Ledger,
    operator::register::Operations,
    ports::Ports,
    town::identity::Identity,
};

/// The ledger and the registers; clones share them.
#[derive(Clone)]
pub struct Deps {
    /// The ports, and what is known of bead databases.
    pub ledger: Ledger,
    /// One record for each agent.
    pub records: Records,
    /// What starts share.
    pub starts: Starts,
    /// Which agent has which session, and which actor.
    pub directory: Directory,
    /// Gas Town's running commands, as detected.
    pub operations: Operations,
    /// Which agent uses which account, and which accounts are held.
    pub accounts: Accounts,
    /// What people are to be sent.
    pub alerts: Alerts,
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
        let agents = Directory::new(ports.problems.clone());
        if !ports.dialect().facts().has_gt {
            agents.release(&Identity::Mayor); // there is none whose session could be taken
        }
        Deps {
            records: Records::new(directory.clone()),
            accounts: Accounts::new(&directory),
            alerts: Alerts::new(&directory),
            directory: agents,
            starts: Starts::new(directory, ports.problems.clone()),
            operations: Operations::default(),
            deaths: DeathRegister::default(),
            ledger: Ledger::new(ports),
        }
    }
}
