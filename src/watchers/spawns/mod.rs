//! Pending spawns: polecats that `gt` just started and that wait for their first instruction.
//!
//! Mail in the deacon's inbox names them. [`rules`] parses it, [`attend`] handles one message, and [`rounds`] handles
//! all messages of a rig. They must not type into any session but the polecat's own, nor twice because of one message.

pub mod attend;
pub mod rounds;
pub mod rules;
