//! draft
pub mod agent;
pub mod clock;
pub mod commands;
pub mod problems;
pub mod processes;
pub mod sessions;
pub mod town;
