//! The town on disk: where its root is, and every file in it that the supervisor reads or writes.
//!
//! Parsing is pure and takes bytes; only [`files`], [`journal`], [`watch`] and, for the process itself, [`lock`],
//! [`pid`] and [`log`] touch the disk. Only [`opening`] opens files.

pub mod agent_state;
pub mod bead;
pub mod boot_status;
pub mod conversation_files;
pub mod daemon_state;
pub mod deacon_file;
pub mod dialect;
pub mod dialogs;
mod disk_queue;
pub mod disk_task;
pub mod environment;
pub mod events;
pub mod files;
pub mod go_time;
pub mod hold;
pub mod identity;
pub mod journal;
pub mod lock;
pub mod log;
pub mod login;
pub mod opening;
pub mod original;
pub mod own_directory;
pub mod paths;
pub mod pid;
pub mod reading;
pub mod restart_state;
pub mod rig_config;
pub mod rig_plan;
pub mod rigs;
pub mod root;
pub mod routes;
pub mod settings;
pub mod socket;
pub mod standing;
pub mod temporary;
pub mod usage_limit;
pub mod watch;
pub mod watched;
pub mod wisp;
