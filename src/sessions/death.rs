//! Death: the end of one session, or of what ran in it, reported once to the owner of its agent.
//!
//! It says that something ended and when that was noticed. It does not say whether the agent is really dead, or
//! whether the end was deliberate: [`confirmation`](crate::agent::confirmation) decides that.

use std::fmt;

use crate::clock::Now;

/// The source that reported a death. Its [`Display`](fmt::Display) is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The kernel, or tmux: a process that tmux had started in it ended.
    Process,
    /// tmux: one of its windows was closed.
    Window,
    /// The server ended.
    Server,
    /// A full scan: nothing had reported the death before.
    Scan,
}

impl Sign {
    /// `process`, `window`, `server` or `scan`.
    pub fn code(self) -> &'static str {
        match self {
            Sign::Process => "process",
            Sign::Window => "window",
            Sign::Server => "server",
            Sign::Scan => "scan",
        }
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sign::Process => "process exited",
            Sign::Window => "window closed",
            Sign::Server => "tmux server exited",
            Sign::Scan => "found by a scan",
        })
    }
}

/// The end of one session, or of what ran in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The exact name of the session.
    pub session: String,
    /// The server's id for its incarnation (`$5`).
    pub id: String,
    /// When it was noticed.
    pub noticed: Now,
    /// The exit status of the process, as a shell shows it (128 plus the signal's number), when known.
    pub exit: Option<i32>,
    /// True when the whole server ended, and every session with it.
    pub with_server: bool,
    /// The source that reported it first.
    pub sign: Sign,
    /// The processes of the session's panes, as last seen: what ran below them ran inside the session.
    pub panes: Vec<u32>,
}
