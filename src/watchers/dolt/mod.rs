//! The Dolt watch: whether the database server of a town of Gas Town 1.x answers.
//!
//! While it does not, mail, hooks and slings fail for the whole town. That is reported within seconds, and what needs the server
//! pauses. Sessions stay as they are. The server is started again only where the town or the settings say so, and never stopped.

pub mod actor;
pub mod rules;
