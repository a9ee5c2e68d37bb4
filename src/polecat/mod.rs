//! Polecats: a rig's workers, each with one piece of hooked work.
//!
//! Which there are ([`roster`]), whether one that is gone is missed ([`rules`], [`work`]), and what is said about it
//! ([`texts`]). How one is restarted is the same for all agents and not here.

pub mod actor;
pub mod role;
pub mod roster;
pub mod rules;
pub mod texts;
pub mod work;
