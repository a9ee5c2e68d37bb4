//! The town on disk: where its root is, and every file in it that the supervisor reads or writes.
//!
//! Parsing is pure and takes bytes; only [`files`] (and, for the process itself, [`lock`] and [`log`]) touch the disk.

pub mod files;
pub mod settings;
