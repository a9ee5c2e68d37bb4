//! Death: one session's end, or the end of what ran in it, told to the owner of its agent once.
//!
//! It says that something ended and when that was noticed. Whether an agent is really dead, and whether anybody meant it
//! to be, is not known yet: that is what [`confirmation`](crate::agent::confirmation) is for.

use crate::clock::Now;

/// One death.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The exact name of the session.
    pub session: String,
    /// The server's id for it (`$5`): which incarnation.
    pub id: String,
    /// When it was noticed.
    pub noticed: Now,
    /// The exit status of the process that ended, as a shell tells it (128 and the signal's number), where it is known.
    pub exit: Option<i32>,
    /// True when the whole server ended, and every session with it.
    pub with_server: bool,
    /// The processes of the session's panes, as last seen: what ran below them ran inside the session.
    pub panes: Vec<u32>,
}
