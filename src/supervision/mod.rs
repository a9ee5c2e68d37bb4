//! Supervision: what actors are made of, independent of their purpose. A child as a value ([`child`]), the messages
//! between parents and children ([`messages`]), the answer to a heartbeat ([`heartbeat`]), and tasks and timers that
//! end with their actor ([`work`]).
//!
//! Nothing here knows an agent, a rig or a watch; they are built on it.

pub mod child;
pub mod heartbeat;
pub mod messages;
pub mod status;
pub mod work;
