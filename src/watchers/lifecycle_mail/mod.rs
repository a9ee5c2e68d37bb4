//! Lifecycle requests: agents ask by mail to be stopped or restarted.
//!
//! [`rules`] interpret a message, [`claim`] makes sure that it is carried out once, and the
//! [register](crate::agent::requests) stores the state of each request on disk. [`actor`] reads the inbox. The
//! agent's owner carries a request out.

pub mod actor;
pub mod claim;
pub mod rules;
