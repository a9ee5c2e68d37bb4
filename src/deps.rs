//! Deps: everything an actor works with: the [`Ports`], the [`Ledger`], and the registers that survive the crash of any actor.
//!
//! Each is a wider view of the one before: what needs only the ports takes `&Ports`, what also runs `bd` takes `&Ledger`, and
//! only who needs a register takes `&Deps`. It must not grow decisions.

use std::ops::Deref;

use crate::{
    agent::{
        bindings::Bindings, directory::Directory, elsewhere::search::Elsewhere, history::Histories,
        programs::InDoubt, record::Records, role_bead::kept::RoleBeads, screens::Screens,
        start_slots::StartSlots, turns::Turns,
    },
    audit::incidents::Incidents,
    deaths::register::DeathRegister,
    feed::progress::FeedProgress,
    ledger::Ledger,
    lifecycle::register::Requests,
    operator::register::Operations,
    ports::Ports,
    rig::docked::Docked,
};

/// Everything an actor works with.
#[derive(Clone)]
pub struct Deps {
    /// The ports, and what is known of bead databases.
    pub ledger: Ledger,
    /// What is known of each agent.
    pub records: Records,
    /// Places for starts.
    pub start_slots: StartSlots,
    /// Whose turn it is to type into a session.
    pub turns: Turns,
    /// Which tmux server has this town's key bindings.
    pub bindings: Bindings,
    /// Which settings of agents are to be read again.
    pub in_doubt: InDoubt,
    /// The last search for agents out of sight.
    pub elsewhere: Elsewhere,
    /// Which agent has which session, and the actor that keeps it.
    pub directory: Directory,
    /// Which rigs are docked, by their beads.
    pub docked: Docked,
    /// Gas Town's running commands, as detected.
    pub operations: Operations,
    /// Confirmed deaths, and the pace of restarts after many.
    pub deaths: DeathRegister,
    /// What was last seen on agents' screens.
    pub screens: Screens,
    /// What role beads say about starting agents.
    pub role_beads: RoleBeads,
    /// Requests by mail that are not done yet.
    pub requests: Requests,
    /// What was mailed about whom, and is not over.
    pub incidents: Incidents,
    /// What happened to each agent, for people.
    pub histories: Histories,
    /// How far the feed is.
    pub feed: FeedProgress,
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
            requests: Requests::new(directory.clone()),
            role_beads: RoleBeads::new(directory.clone()),
            records: Records::new(directory.clone()),
            incidents: Incidents::new(directory.clone()),
            histories: Histories::new(directory.clone()),
            feed: FeedProgress::new(directory),
            directory: Directory::new(ports.problems.clone()),
            start_slots: StartSlots::new(),
            turns: Turns::default(),
            bindings: Bindings::default(),
            in_doubt: InDoubt::default(),
            elsewhere: Elsewhere::default(),
            docked: Docked::default(),
            operations: Operations::default(),
            deaths: DeathRegister::default(),
            screens: Screens::default(),
            ledger: Ledger::new(ports),
        }
    }
}
