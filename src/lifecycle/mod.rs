//! Lifecycle requests: agents ask by mail to be stopped or started afresh.
//!
//! What a message asks for ([`rules`]), taking it so that it is carried out once ([`claim`]), and what became of each request,
//! on disk ([`register`]). [`actor`] reads the inbox. Carrying a request out is the agent's owner's part.

pub mod actor;
pub mod claim;
pub mod register;
pub mod rules;
