//! The operator: people and agents who change a town with Gas Town's own commands, seen at work.
//!
//! `gt` kills sessions on purpose and says so afterwards or never. What it is doing is seen in the process table; from
//! that it is judged whether a death was meant. Nothing here acts on anything.

pub mod actor;
mod allowance;
pub mod beginnings;
mod noted;
pub mod register;
pub mod rules;
mod words;
