//! Sessions: the port through which the supervisor sees and touches the sessions that agents run in.
//!
//! The port is small and mechanical: it lists, creates, ends, types and reads. It must not decide anything (whether a
//! session may be ended is the owner's decision), and it must not start a server except to create a session. The real
//! adapter is [`tmux`]; the simulation has a scripted one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{broadcast, watch};

pub mod death;
pub mod scan;
pub mod table;
pub mod tmux;
pub mod watcher;

/// One session as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its exact name on the server.
    pub name: String,
    /// The server's own id for it (`$5`), never given twice by one server.
    pub id: String,
    /// When it was created (tmux knows whole seconds).
    pub created: Timestamp,
    /// The towns its environment names, in order of weight in a Gas Town: `GT_ROOT`, `GT_TOWN_ROOT`, `SUPERVISOR_TOWN`. A variable that the session
    /// does not set has the server's value, as it has for the processes in it.
    pub towns: Vec<PathBuf>,
    /// All its panes, in all its windows, in the server's order.
    pub panes: Vec<Pane>,
}

/// One pane of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pane {
    /// The server's id for it (`%7`).
    pub id: String,
    /// The server's id for its window (`@3`).
    pub window: String,
    /// The process tmux started in it; 0 for a dead pane when the server no longer reports its process.
    pub pid: u32,
    /// True when that process has ended and the pane was kept (`remain-on-exit`), or its terminal is closed.
    pub dead: bool,
    /// The exit status of a dead pane's process, where the server reports it.
    pub exit_status: Option<i32>,
    /// True while its process is the one that a supervisor started in it. The session stores the mark, so it outlives
    /// the supervisor, and it does not hold for another process in the same pane.
    pub started_by_us: bool,
}

impl Session {
    /// One of its panes, to type into or to read.
    pub fn target(&self, pane: &Pane) -> PaneTarget {
        PaneTarget {
            session: self.name.clone(),
            session_id: self.id.clone(),
            pane: pane.id.clone(),
            pid: pane.pid,
        }
    }

    /// Whether it has a pane whose process the server does not report: that process may still run without a terminal.
    pub fn has_lost_sight(&self) -> bool {
        self.panes.iter().any(|pane| pane.process().is_none())
    }

    /// Its first pane, while that exists: the server numbers panes in order of creation.
    pub fn oldest_pane(&self) -> Option<&Pane> {
        self.panes.iter().min_by_key(|pane| pane.number())
    }
}

impl Pane {
    /// The process tmux started in its oldest pane, where it is known.
    pub fn process(&self) -> Option<u32> {
        Some(self.pid).filter(|pid| *pid != 0)
    }

    /// The number in its id; the server never gives one twice.
    pub fn number(&self) -> u64 {
        self.id.trim_start_matches('%').parse().unwrap_or(u64::MAX)
    }
}

/// Exactly one pane of one incarnation of a session, as [`Session::target`] gives it. Typing and reading use this
/// pane or fail: never the pane that a person has selected, nor one that got the same ids from another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneTarget {
    session: String,
    session_id: String,
    pane: String,
    pid: u32,
}

impl PaneTarget {
    /// The name of its session.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The server's id for its session (`$5`).
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The server's id for it (`%7`).
    pub fn pane(&self) -> &str {
        &self.pane
    }

    /// The process tmux started in it.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

/// What the port reports unasked, in the order in which it happened. Which session a process or window belongs to is
/// in the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Some of the sessions, or all, as they were just listed.
    Listed(Arc<[Session]>),
    /// The process tmux started in a pane ended.
    Exited {
        /// Its id.
        pid: u32,
        /// Its exit status as a shell gives it (128 and the signal's number), where it could be had.
        exit: Option<i32>,
    },
    /// A window, by the server's id for it (`@3`), was closed with everything that ran in it, or removed from a session.
    WindowClosed(String),
    /// The server may be about to end. Until [`ServerExited`](Fact::ServerExited) or
    /// [`ServerLasts`](Fact::ServerLasts), other ends may be part of that.
    ServerEnding,
    /// The server did not end after all.
    ServerLasts,
    /// The server ended, and every session with it. Later facts are about the next server.
    ServerExited,
}

/// A session to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its exact name; the caller has removed `.` and `:` already.
    pub name: String,
    /// The directory its first process starts in; when it cannot be entered, nothing runs.
    pub directory: PathBuf,
    /// Variables of its environment (`new-session -e`), in order of name.
    pub environment: BTreeMap<String, String>,
    /// What its first pane executes, word by word; no shell reads it.
    pub command: Vec<String>,
    /// Until [`Sessions::disarm`], a pane whose process ended stays, with its exit status.
    pub keep_exit: bool,
}

/// A key that can be pressed in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Carriage return.
    Enter,
    /// Escape.
    Escape,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
}

/// One server-wide key binding that acts in this town's sessions only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBinding {
    /// The key table, `prefix` or `root`.
    pub table: &'static str,
    /// The key as tmux names it (`n`, `MouseDown1StatusRight`).
    pub key: &'static str,
    /// A format that is true (`1`) in the sessions the binding is for: `#{m/r:^(gt|hq)` and [`OUR_SESSIONS`].
    pub only_if: String,
    /// What to do there: a tmux command line.
    pub then: String,
}

/// The end of the condition of each binding of ours, by which they are recognized. The text after the prefix must
/// mean nothing to a shell, because the name is passed to one.
pub const OUR_SESSIONS: &str = ")-[A-Za-z0-9_-]+$,#{session_name}}";

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its socket, absolute and as far as possible without symbolic links.
    pub socket: PathBuf,
    /// Its process, while it can be reached there.
    pub server: Option<u32>,
}

impl Place {
    /// The shell command with which a person attaches to exactly this session.
    pub fn attach(&self, session: &str) -> String {
        let (socket, session) = (self.socket.to_string_lossy(), format!("={session}"));
        shell_words::join(["tmux", "-S", &socket, "attach", "-t", &session])
    }

    /// The shell command with which a person ends exactly this session.
    pub fn end(&self, session: &str) -> String {
        let (socket, session) = (self.socket.to_string_lossy(), format!("={session}:"));
        shell_words::join(["tmux", "-S", &socket, "kill-session", "-t", &session])
    }

    /// Whether a socket named by another program is this one.
    pub fn is_at(&self, socket: &str) -> bool {
        self.socket == Path::new(socket)
    }
}

/// Why the sessions could not be queried.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SessionsError {
    /// The named session does not exist (any more).
    #[error("session {0} does not exist")]
    NoSuchSession(String),
    /// The pane does not exist (any more), or runs another process by now.
    #[error("pane {pane} of session {session} does not exist")]
    NoSuchPane {
        /// Its session's name.
        session: String,
        /// The server's id for it.
        pane: String,
    },
    /// A session of this name exists already.
    #[error("session {0} exists already")]
    Duplicate(String),
    /// The tool is not installed, or too old to be used at all.
    #[error("{0}")]
    Unavailable(String),
    /// Everything else: the command that failed and what the server said, or that it did not answer in time.
    #[error("{command}: {reason}")]
    Failed {
        /// The tmux command that failed.
        command: String,
        /// What went wrong, in the server's words where it gave any.
        reason: String,
    },
}

/// Lists, creates, ends, types into and reads sessions. The adapter bounds every call in time: it returns an error
/// instead of hanging.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// All sessions of the server except the supervisor's own, with their panes, ordered by name.
    ///
    /// When no server runs, or it has no session, the list is empty; that is no error.
    async fn list(&self) -> Result<Vec<Session>, SessionsError>;

    /// The one session of exactly this name; `None` when there is none (or no server).
    async fn find(&self, name: &str) -> Result<Option<Session>, SessionsError>;

    /// Creates a detached session, starting the server when there is none, and returns it as created. Its pane is marked as
    /// [started by us](Pane::started_by_us).
    /// [`SessionsError::Duplicate`] when another process was faster.
    async fn create(&self, new: &NewSession) -> Result<Session, SessionsError>;

    /// Ends exactly this session. It is no error when the session is gone already.
    async fn kill(&self, name: &str) -> Result<(), SessionsError>;

    /// Types `text` literally into exactly this pane, whatever its length or content; no Enter after it.
    async fn paste(&self, pane: &PaneTarget, text: &str) -> Result<(), SessionsError>;

    /// Presses one key in exactly this pane.
    async fn press(&self, pane: &PaneTarget, key: Key) -> Result<(), SessionsError>;

    /// The last `lines` lines of this pane's screen and history, oldest first, without trailing blanks. One that the terminal
    /// wrapped is one line; the first may be the end of one.
    async fn capture(&self, pane: &PaneTarget, lines: u16) -> Result<Vec<String>, SessionsError>;

    /// The same with the attributes and colours of the characters, as the escape sequences of a terminal (SGR).
    async fn capture_with_attributes(
        &self,
        pane: &PaneTarget,
        lines: u16,
    ) -> Result<Vec<String>, SessionsError>;

    /// Sets session options (`status-style`, `mouse`, …), in order, in one request.
    async fn set_options(&self, name: &str, options: &[(&'static str, String)]) -> Result<(), SessionsError>;

    /// Has exactly this pane stay when its process ends, with its exit status, until [`disarm`](Self::disarm).
    async fn keep_exit(&self, pane: &PaneTarget) -> Result<(), SessionsError>;

    /// Removes what would bring a killed pane back: turns `remain-on-exit` off and unsets the `pane-died` hook.
    async fn disarm(&self, name: &str) -> Result<(), SessionsError>;

    /// Removes the panes of exactly this session whose process has ended; without other panes the session ends. It is no
    /// error when the session is gone already.
    async fn remove_dead_panes(&self, name: &str) -> Result<(), SessionsError>;

    /// Has the server start a program in this directory, with these words, in the background: it outlives us, and neither its
    /// output nor its exit status is known. Whether it runs must be looked for.
    async fn run_in_background(&self, directory: &Path, command: &[String]) -> Result<(), SessionsError>;

    /// One variable of the session's environment; `None` when it is not set there.
    async fn environment(&self, name: &str, variable: &str) -> Result<Option<String>, SessionsError>;

    /// Sets a variable of the session's environment, for programs that ask the server for it and for later panes.
    async fn set_environment(&self, name: &str, variable: &str, value: &str) -> Result<(), SessionsError>;

    /// Binds keys, server-wide. In all other sessions each does what it did before; binding them again is harmless.
    async fn bind_keys(&self, bindings: &[KeyBinding]) -> Result<(), SessionsError>;

    /// A counter that moves whenever something about the set of sessions may have changed: a session or pane was
    /// created or ended, the server ended or started. A hint to probe again, never the truth.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The facts. A fact that no receiver got shows in the next list.
    fn facts(&self) -> broadcast::Receiver<Fact>;

    /// A number for the incarnation of the server that answers; it changes when another server answers than before.
    /// Key bindings and session ids hold for one incarnation.
    fn server_generation(&self) -> u64;

    /// Where the server is that answers.
    fn place(&self) -> Place;

    /// Makes the server that is this process create its deleted socket again, and logs it. Does nothing when the
    /// socket exists, or the process is no such server.
    async fn recreate_socket(&self, server: u32);

    /// Shuts down: gives the bound keys back, removes the supervisor's own session and closes the connection. It may take
    /// until `CLOSE_BY` (src/stopping.rs) after the stop signal, about 300 ms, and is cut off then.
    async fn close(&self);
}
