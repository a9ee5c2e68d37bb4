//! Control: how people and programs query and command a running supervisor.
//!
//! HTTP on the town's socket, `daemon/supervisor.sock` in a Gas Town (mode 0600), so that `curl --unix-socket daemon/supervisor.sock
//! http://town/v1/status` works as well as our own commands. Where the settings say so, what can only be read is also served on the
//! network, with a page for people (`web`). A response is a projection of what the actors know
//! (`report`). A request does not wait for work in progress and does not delay it. A command takes the same path as a
//! signal, or as a request by mail (`orders`). Nothing here may decide anything about an agent.

pub(crate) mod acting;
pub mod actor;
mod answers;
mod changes;
pub mod client;
mod connections;
pub(crate) mod following;
pub mod gather;
pub(crate) mod going_down;
pub(crate) mod histories;
pub mod http;
mod left_behind;
pub mod metrics;
pub(crate) mod nudging;
mod orders;
pub(crate) mod peer;
pub mod programs;
mod reload;
pub mod report;
mod reporter;
pub(crate) mod screens;
pub mod summary;
pub(crate) mod web;

pub use reload::Reloaded;
