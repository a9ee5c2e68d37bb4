//! Watchers: the actors that have no agent. Each watches one thing and reports it: sessions, Gas Town's running
//! commands, deaths, mail, beads, polecats' directories, convoys, the event log, what agents are doing,
//! and what people are sent.
//!
//! They must not start or end an agent; that is the job of the agent's actor.

pub mod accounts;
pub mod activity;
pub mod alerts;
pub mod census;
pub mod convoy;
pub mod deaths;
pub mod dolt;
pub mod duties;
pub mod feed;
pub mod lifecycle_mail;
pub mod operator;
pub mod polecats;
pub mod sessions;
pub mod spawns;
