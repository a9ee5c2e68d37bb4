//! Lifecycle requests: agents ask by mail to be stopped or started afresh.
//!
//! What a message asks for ([`rules`]), and what became of each request, on disk ([`register`]). Carrying a request out is
//! the agent's owner's part.

pub mod register;
pub mod rules;
