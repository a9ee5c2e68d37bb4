//! The tree: the root supervisor, the heartbeat, one-for-one restarts and the ordered shutdown of the actors.
//!
//! Two kinds of supervision, never confused: actors are tasks of this process and are restarted here when they crash;
//! agents are processes in tmux sessions, and their owners supervise them. An actor's crash never starts, ends or
//! doubles an agent.

pub mod budget;
pub mod children;
pub mod housekeeping;
pub mod one_file;
pub mod rig;
pub mod rigs_plan;
pub mod root;
mod run;
pub mod town_reading;

pub use run::{RunError, run};
