//! Boot: the short-lived agent that checks the deacon from time to time.

pub mod role;
pub mod rules;
