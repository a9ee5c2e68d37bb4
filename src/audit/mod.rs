//! Audit: work that stands still. A live polecat that makes no progress with its hooked work violates GUPP ("if there is work
//! on your hook, you run it"); a dead one that nobody brings back leaves orphaned work. Both are mailed, once.

pub mod incidents;
