//! Agents: the one lifecycle of every agent, whatever its role.
//!
//! Who it is ([`identity`]), which program it is and how it is called ([`program`]), whether it lives ([`liveness`]),
//! when it may be restarted ([`restart`]), what happens to it next ([`lifecycle`]), and how it is started, nudged and
//! ended. The roles' own folders add only their guards; nothing here may know one rig from another.

pub mod appearance;
pub mod command_line;
pub mod environment;
pub mod hooks;
pub mod identity;
pub mod liveness;
pub mod place;
pub mod program;
pub mod readiness;
pub mod texts;
