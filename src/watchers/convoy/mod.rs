//! Convoys: beads that track other beads, and are closed when all of those are.
//!
//! Closing them is Gas Town's job (`gt convoy check`). This folder decides when to run that: as soon as the bead
//! databases show that all beads of an open convoy are closed, and at long intervals while a convoy is open. The
//! databases are read only when their files changed ([`round`]), so an idle town costs a few `stat` calls and no run
//! of `bd`. Where they cannot be read, `bd` is run at long intervals; then convoys are closed late, never wrongly.
//! Nothing here touches an agent. Formats of `bd` 0.47 to 0.49 and `gt` 0.2.6 to 0.3.
//!
//! In a town of Gas Town 1.x there is no such database, and nobody but the daemon slings the next step of a convoy: there
//! [`feeder`] is the watcher.

pub mod actor;
pub mod feeder;
pub mod feeding;
pub mod round;
pub mod rules;
pub mod scan;
pub mod status;
pub mod stranded;
