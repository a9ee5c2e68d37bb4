//! Control: how people and programs ask the supervisor, and tell it something, while it runs.
//!
//! HTTP on the socket `daemon/supervisor.sock` (mode 0600), so that `curl --unix-socket daemon/supervisor.sock
//! http://town/v1/status` works as well as our own commands. What is shown is a projection of what the actors know
//! (`report`); whoever asks is answered beside everything else and waits for nobody who is at work. What is told goes the
//! way signals go. Nothing here may decide anything about an agent.

pub mod actor;
mod answers;
mod changes;
pub mod client;
mod connections;
pub mod gather;
pub mod http;
mod left_behind;
mod reload;
pub mod report;
mod reporter;
pub mod socket;

pub use reload::Reloaded;
