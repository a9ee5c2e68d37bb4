//! Supervision: what actors are made of, whatever they are about. A child as a value ([`child`]), what parents and children say to
//! each other ([`messages`]), how a heartbeat is answered ([`heartbeat`]), and tasks and timers that end with their actor ([`work`]).
//!
//! Nothing here knows an agent, a rig or a watch; they are built on it.

pub mod child;
pub mod heartbeat;
pub mod messages;
pub mod status;
pub mod work;
