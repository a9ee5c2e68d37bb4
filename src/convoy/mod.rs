//! Convoys: beads that track other beads, and are closed when all of those are.
//!
//! Closing them is Gas Town's own business (`gt convoy check`); this says when that is worth running: as soon as the bead
//! databases say that all beads of an open convoy are closed, and now and then while one is open. The databases are read only
//! when their files changed ([`look`]), so an idle town costs a few looks at files, and no run of `bd`. Where they cannot be
//! read, `bd` is asked in long intervals: convoys are closed late then, not wrongly. Nothing here touches an agent. Formats
//! of `bd` 0.47 to 0.49 and `gt` 0.2.6 to 0.3.

pub mod actor;
pub mod look;
pub mod rules;
pub mod sqlite;
pub mod status;
pub mod store;
