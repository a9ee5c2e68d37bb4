//! draft
pub mod agent;
pub mod clock;
pub mod commands;
pub mod go_duration;
pub mod problems;
pub mod processes;
pub mod sessions;
pub mod town;
