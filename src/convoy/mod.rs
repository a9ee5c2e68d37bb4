//! Convoys: beads that track other beads, and are closed when all of those are.
//!
//! Closing them is Gas Town's own business (`gt convoy check`); this says when that is worth running. That a bead was closed
//! is told by `bd activity` ([`activity`], [`listener`]), which is a hint: it tells twice ([`news`]), falls silent, or is not there
//! at all. Whether a convoy waits for that bead is asked of the town's bead database ([`store`]), and of `bd` where that
//! cannot be read ([`look`]). So a town without open convoys costs nothing, and one whose hints are lost is late, not
//! wrong. Nothing here touches an agent. Formats of `bd` 0.47 to 0.49 and `gt` 0.2.6 to 0.3.

pub mod activity;
pub mod actor;
pub mod listener;
pub mod look;
pub mod news;
pub mod rules;
pub mod sqlite;
pub mod status;
pub mod store;
mod stream;
