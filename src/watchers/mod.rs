//! Watchers: the actors that have no agent. Each watches one thing and reports it: sessions, Gas Town's running
//! commands, deaths, mail, beads, polecats' directories, convoys, the event log.
//!
//! They must not start or end an agent; that is the job of the agent's actor.

pub mod accounts;
pub mod census;
pub mod convoy;
pub mod deaths;
pub mod dolt;
pub mod feed;
pub mod lifecycle_mail;
pub mod operator;
pub mod polecats;
pub mod scheduler;
pub mod sessions;
pub mod spawns;
