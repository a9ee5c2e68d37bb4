//! The operator: people and agents who change a town with Gas Town's own commands, detected while the commands run.
//!
//! `gt` kills sessions on purpose and reports it afterwards, or never. The process table shows what `gt` is doing,
//! and the rules use that to judge whether a death was deliberate. Nothing here acts on anything.

mod noted;
pub mod pid_file;
pub mod register;
pub mod rules;
mod words;
