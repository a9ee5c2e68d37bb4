//! The accounts' watch: wakes agents whose usage limit is over or whose login is back, one after the other, and reports both.
//!
//! The [`register`](crate::agent::accounts::register) says which accounts are held. [`rules`] say what is next, and the actor does
//! it. It must not decide that an account is held, nor start an agent: it releases one, and that agent's actor starts it.

pub mod actor;
pub mod reports;
pub mod rules;
