//! Agents: the one lifecycle of every agent, whatever its role.
//!
//! [`program`] says which program an agent is and how to call it, [`liveness`] whether it lives, [`restart`] when it
//! may be restarted, and [`lifecycle`] what happens to it next. The other modules start, nudge and end it.
//! [Roles](crate::roles) only add their guards. Nothing here may treat one rig differently from another.

pub mod account;
pub mod accounts;
pub mod activity;
pub mod actor;
pub mod adoption;
pub mod answering;
pub mod appearance;
pub mod command_line;
pub mod confirmation;
pub mod conversation;
pub mod denial;
pub mod dependencies;
pub mod directory;
pub mod elsewhere;
pub mod ended;
pub mod environment;
pub mod foreign;
pub mod health;
pub mod heartbeats;
pub mod history;
pub mod holds;
pub mod hooks;
pub mod identify;
pub mod idleness;
pub mod incidents;
pub mod kill;
pub mod last_screen;
pub mod lifecycle;
pub mod liveness;
pub mod mailing;
pub mod meanwhile;
mod need;
pub mod nudge;
pub mod observe;
pub mod oom;
pub mod owner;
pub mod permission;
pub mod phase;
pub mod polecat;
pub mod pollers;
pub mod presync;
pub mod program;
pub mod programs;
pub mod prompt;
pub mod questions;
pub mod readiness;
pub mod reason;
pub mod record;
pub mod requests;
pub mod restart;
pub mod role;
pub mod role_bead;
pub mod screens;
pub mod spec;
pub mod start;
pub mod start_memory;
pub mod start_slots;
pub mod starts;
pub mod stop;
pub mod texts;
pub mod waits;
pub mod workplace;
pub mod worktree;
