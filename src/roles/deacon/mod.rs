//! The deacon, the town's patroller: kept running, and restarted when it makes no progress.

pub mod role;
pub mod rules;
