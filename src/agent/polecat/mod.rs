//! Polecats: a rig's workers, each with one piece of hooked work.
//!
//! [`roster`] lists them, [`rules`] and [`work`] decide whether an absent one is needed, and [`texts`] holds the
//! texts about it. Restarts are the same for all agents and are not here.

pub mod roster;
pub mod rules;
pub mod texts;
pub mod work;
