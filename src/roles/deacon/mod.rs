//! The deacon: the town's patroller, kept running and kept making progress.

pub mod role;
pub mod rules;
