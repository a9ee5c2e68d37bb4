//! The watcher: the sessions of one tmux server as a plain stream of events, for programs without a town or actors.
//!
//! It combines the tmux adapter, the process table and the session table, as the session watch does for a supervisor.
//! It must not start, end or type anything.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{
        broadcast::{
            self,
            error::{RecvError, TryRecvError},
        },
        watch,
    },
    time::sleep,
};

use super::{
    Fact, Session, Sessions,
    death::Death,
    scan::{Scan, scan_within},
    table::SessionTable,
    tmux::{Socket, Tmux, TmuxConfig},
};
use crate::{
    clock::{Clock, Now, SystemClock},
    processes::table::SystemProcesses,
};

/// Time between two scans when nothing happens.
const SCAN_EVERY: Duration = Duration::from_secs(60);
/// Time between two scans while there is no session: a server that does not run yet cannot report its start.
const SCAN_FOR_FIRST: Duration = Duration::from_secs(2);
/// Changes within this time cause one scan.
const SETTLE: Duration = Duration::from_millis(100);
/// The time limit of a scan.
const SCAN_LIMIT: Duration = Duration::from_secs(15);

/// A change of the sessions of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session is alive: it existed when the watch began, is new, or runs a process again.
    Appeared {
        /// Its name.
        session: String,
        /// The server's id for it (`$5`), never given twice by one server.
        id: String,
        /// When it was created.
        created: Timestamp,
        /// The processes that tmux started in its panes.
        pids: Vec<u32>,
    },
    /// A session ended, or a process that tmux had started in it. Reported once for each [`Event::Appeared`].
    Died {
        /// Its name.
        session: String,
        /// The server's id for it.
        id: String,
        /// The exit status as a shell gives it (128 plus the signal's number), if known.
        exit: Option<i32>,
        /// Whether the whole server ended, and every session with it.
        with_server: bool,
    },
    /// The sessions cannot be listed; the text says why. The watcher retries; until then nothing is known.
    Unavailable(String),
}

/// Watches the sessions of one tmux server. Never starts a server, and waits for one that does not run yet.
///
/// While it watches, an idle session `_supervisor` is in the server, because a tmux client must be attached to some session;
/// [`close`](Watcher::close) removes it; it stays when the program is killed. Deaths are noticed within milliseconds, through the kernel (Linux) and tmux.
///
/// Needs a tokio runtime with IO and time, on a thread that lives as long as the watch: the kernel ends the tmux client with the
/// thread that started it. `main` with a current-thread runtime is such a thread.
///
/// ```no_run
/// use gastown_supervisor::tmux::{Event, Socket, Watcher};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut watcher = Watcher::new(Socket::Default);
/// loop {
///     if let Event::Died { session, exit, .. } = watcher.next().await {
///         println!("{session} died: {exit:?}");
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watcher {
    tmux: Tmux,
    processes: SystemProcesses,
    clock: SystemClock,
    changes: watch::Receiver<u64>,
    facts: broadcast::Receiver<Fact>,
    table: SessionTable,
    /// Ids of the sessions that appeared and have not died.
    alive: BTreeSet<String>,
    unavailable: bool,
    /// When the next scan is due, on the monotonic clock.
    due: Duration,
    events: VecDeque<Event>,
}

impl Watcher {
    /// Watches the server of this socket, with the `tmux` on `PATH`. It contacts the server at the first [`next`](Watcher::next).
    pub fn new(socket: Socket) -> Self {
        let tmux = Tmux::new(TmuxConfig::new(socket));
        Watcher {
            changes: tmux.changes(),
            facts: tmux.facts(),
            tmux,
            processes: SystemProcesses::new(),
            clock: SystemClock::new(),
            table: SessionTable::default(),
            alive: BTreeSet::new(),
            unavailable: false,
            due: Duration::ZERO,
            events: VecDeque::new(),
        }
    }

    /// Waits for the next event. Cancel safe: a dropped call loses no event.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let scan_in = self.due.saturating_sub(self.clock.now().mono);
            tokio::select! {
                biased;
                fact = self.facts.recv() => match fact {
                    Ok(fact) => self.heard(&fact),
                    // The scan shows what was missed; nothing is held back for lost facts.
                    Err(RecvError::Lagged(_) | RecvError::Closed) => self.heard(&Fact::ServerLasts),
                },
                Ok(()) = self.changes.changed() => self.scan_soon(),
                () = sleep(scan_in) => self.scan().await,
            }
        }
    }

    /// Ends the watch: removes its session from the server and disconnects.
    pub async fn close(self) {
        self.tmux.close().await;
    }

    fn heard(&mut self, fact: &Fact) {
        let deaths = self.table.heard(fact, self.clock.now());
        if !matches!(fact, Fact::Listed(_)) {
            self.scan_soon();
        }
        self.died(deaths);
    }

    fn scan_soon(&mut self) {
        self.due = self.due.min(self.clock.now().mono + SETTLE);
    }

    fn died(&mut self, deaths: Vec<Death>) {
        for Death { session, id, exit, with_server, .. } in deaths {
            self.alive.remove(&id);
            self.events.push_back(Event::Died { session, id, exit, with_server });
        }
    }

    async fn scan(&mut self) {
        let begun = self.clock.now();
        let scan = scan_within(SCAN_LIMIT, &self.tmux, &self.processes, begun).await;
        let any = scan.sessions.as_ref().is_ok_and(|sessions| !sessions.is_empty());
        self.due = self.clock.now().mono + if any { SCAN_EVERY } else { SCAN_FOR_FIRST };
        // Facts that came meanwhile are older than the scan's result.
        loop {
            match self.facts.try_recv() {
                Ok(fact) => self.heard(&fact),
                Err(TryRecvError::Lagged(_)) => self.heard(&Fact::ServerLasts),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.scanned(&scan, self.clock.now());
    }

    fn scanned(&mut self, scan: &Scan, now: Now) {
        let deaths = self.table.scanned(scan, now);
        self.died(deaths);
        match &scan.sessions {
            Err(why) if !self.unavailable => self.events.push_back(Event::Unavailable(why.clone())),
            Err(_) => {}
            Ok(sessions) => sessions.values().for_each(|session| self.shown(session)),
        }
        self.unavailable = scan.sessions.is_err();
    }

    fn shown(&mut self, session: &Session) {
        let pids: Vec<u32> =
            session.panes.iter().filter(|pane| !pane.dead).filter_map(|it| it.process()).collect();
        if pids.is_empty() || !self.alive.insert(session.id.clone()) {
            return;
        }
        self.events.push_back(Event::Appeared {
            session: session.name.clone(),
            id: session.id.clone(),
            created: session.created,
            pids,
        });
    }
}
