//! Agents: the one lifecycle of every agent, whatever its role.
//!
//! Which program it is and how it is called ([`program`]), whether it lives ([`liveness`]), when it may be restarted
//! ([`restart`]), what happens to it next ([`lifecycle`]), and how it is started, nudged and ended. [Roles](crate::roles) add
//! only their guards; nothing here may know one rig from another.

pub mod actor;
pub mod adoption;
pub mod appearance;
pub mod command_line;
pub mod confirmation;
pub mod denial;
pub mod directory;
pub mod elsewhere;
pub mod environment;
pub mod foreign;
pub mod history;
pub mod holds;
pub mod hooks;
pub mod identify;
pub mod incidents;
pub mod kill;
pub mod lifecycle;
pub mod liveness;
pub mod mailing;
pub mod meanwhile;
pub mod nudge;
pub mod observe;
pub mod owner;
pub mod permission;
pub mod phase;
pub mod place;
pub mod polecat;
pub mod presync;
pub mod program;
pub mod programs;
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
pub mod start_slots;
pub mod starts;
pub mod stop;
pub mod texts;
pub mod waits;
pub mod workplace;
pub mod worktree;
