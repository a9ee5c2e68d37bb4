//! Polecats: a rig's workers, each with one piece of hooked work.
//!
//! [`roster`] lists them, [`rules`] and [`work`] decide whether one that is gone is needed, and [`texts`] are the texts about it.
//! Restarts are the same for all agents and not here.

pub mod roster;
pub mod rules;
pub mod texts;
pub mod work;
