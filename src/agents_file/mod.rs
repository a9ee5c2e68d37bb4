//! The agents' file, `agents.toml`: a town that is one file, without Gas Town.
//!
//! [`grammar`] has its keys, [`reading`] makes a [plan](plan::Plan) of its text with every mistake at its line and column,
//! [`difference`] says what a new plan would change. Which file is meant is found [elsewhere](crate::town::root). All of it is pure:
//! bytes are passed in. It must not know how agents are started or watched.

pub mod difference;
pub mod grammar;
pub mod order;
pub mod plan;
pub mod reading;
#[cfg(feature = "test-support")]
pub mod schema;
pub mod values;
pub mod writing;
