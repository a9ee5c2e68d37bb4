//! The activity watch: keeps current what each agent is doing.
//!
//! It follows transcripts, as their files change, and looks at processes only where one may be hung; screens are read by the
//! session watch. What follows is weighed and noted by [`agent::activity`](crate::agent::activity). It must not start, end or type
//! to an agent.

pub mod actor;
mod follow;
mod hung;
