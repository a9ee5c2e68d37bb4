//! The session table: turns all reports of an end into one death. Pure.
//!
//! The kernel, tmux's notifications and scans all report the same death, in any order, early, late or not at all. The
//! table reports at most one [`Death`] for each incarnation of a session. An incarnation begins with the first fact
//! about a session, and again with the first scan that began after a death was reported and shows a living process in
//! the session. It must not wait, read a clock or use a port, nor judge a death: whether an agent is really dead is not
//! known here.
//!
//! * Facts come in the order in which they happened. A process or window that ended belongs to the sessions that were
//!   last listed with it; if it is in no list, the next scan shows the result.
//! * A session is missing from a scan only if a fact about it came before the scan began; a failed scan proves nothing.
//! * The end of a server is one cause, and one death for each of its sessions. While it may be ending, ends are held
//!   back. A server gives an id only once, but its successor starts again: a scan that began before the end is ignored.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    Fact, Pane, Session,
    death::{Death, Sign},
    scan::{Scan, Trees},
};
use crate::clock::Now;

#[cfg(test)]
mod tests;

/// The known sessions of one server.
#[derive(Debug, Default)]
pub struct SessionTable {
    /// The sessions, by the server's id.
    rows: BTreeMap<String, Row>,
    /// Ends that are held back.
    held: Option<Vec<Fact>>,
    /// When the end of the last server was reported.
    server_exited: Option<Now>,
}

/// One session.
#[derive(Debug)]
struct Row {
    name: String,
    created: Timestamp,
    /// The living processes of its panes, as last listed.
    processes: BTreeMap<u32, Process>,
    /// When the death of this incarnation was reported; `None` before that.
    reported: Option<Now>,
}

#[derive(Debug)]
struct Process {
    window: String,
    /// When the first fact about it came.
    heard: Now,
    /// Whether its end was reported. tmux may list it for some time after that.
    exited: bool,
}

impl SessionTable {
    /// Takes a fact. Returns the deaths that it reports first.
    pub fn heard(&mut self, fact: &Fact, now: Now) -> Vec<Death> {
        match fact {
            Fact::Listed(sessions) => self.listed(sessions, now),
            Fact::Exited { .. } | Fact::WindowClosed(_) => match &mut self.held {
                Some(held) => held.push(fact.clone()),
                None => return self.ended(fact, now),
            },
            Fact::ServerEnding => drop(self.held.get_or_insert_default()),
            Fact::ServerLasts => {
                let held = self.held.take().unwrap_or_default();
                return held.iter().flat_map(|fact| self.ended(fact, now)).collect();
            }
            Fact::ServerExited => return self.server_exited(now),
        }
        Vec::new()
    }

    /// Takes a scan, which ended at `now`. Returns the deaths that nothing reported before it.
    pub fn scanned(&mut self, scan: &Scan, now: Now) -> Vec<Death> {
        let Ok(sessions) = &scan.sessions else { return Vec::new() };
        if self.server_exited.is_some_and(|exited| scan.begun.mono < exited.mono) {
            return Vec::new();
        }
        let by_id: BTreeMap<&str, &Arc<Session>> =
            sessions.values().map(|session| (session.id.as_str(), session)).collect();
        let mut deaths = Vec::new();
        self.rows.retain(|id, row| match by_id.get(id.as_str()) {
            Some(session) if session.created == row.created => true,
            other => {
                deaths.extend(row.scanned(id, &[], scan, now));
                other.is_none() && !row.processes.is_empty()
            }
        });
        for (id, session) in by_id {
            let row = self.rows.entry(id.to_owned()).or_insert_with(|| Row::new(session));
            row.name.clone_from(&session.name);
            deaths.extend(row.scanned(id, &session.panes, scan, now));
        }
        deaths
    }

    fn listed(&mut self, sessions: &[Session], now: Now) {
        for session in sessions {
            let row = self.rows.entry(session.id.clone()).or_insert_with(|| Row::new(session));
            // If it is another server's, and nothing reported the end of the previous server, the next scan shows that.
            if row.created == session.created {
                row.name.clone_from(&session.name);
                row.learn(session.panes.iter().filter(|pane| !pane.dead), now);
            }
        }
    }

    /// Takes an end that is not held back.
    fn ended(&mut self, fact: &Fact, now: Now) -> Vec<Death> {
        match fact {
            Fact::Exited { pid, exit } => self.exited(*pid, *exit, now),
            Fact::WindowClosed(window) => self.window_closed(window, now).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// A process is in several sessions when its window is linked into them.
    fn exited(&mut self, pid: u32, exit: Option<i32>, now: Now) -> Vec<Death> {
        let death = |(id, row): (&String, &mut Row)| {
            let known = std::mem::replace(&mut row.processes.get_mut(&pid)?.exited, true);
            if known { None } else { row.dies(id, exit, Sign::Process, now) }
        };
        self.rows.iter_mut().filter_map(death).collect()
    }

    fn window_closed(&mut self, window: &str, now: Now) -> Option<Death> {
        let runs = |process: &Process| !process.exited && process.window == window;
        let mut with_it = self.rows.iter_mut().filter(|(_, row)| row.processes.values().any(runs));
        // A window of several sessions may stay in some of them.
        let (Some((id, row)), None) = (with_it.next(), with_it.next()) else { return None };
        row.dies(id, None, Sign::Window, now)
    }

    fn server_exited(&mut self, now: Now) -> Vec<Death> {
        let before = std::mem::take(self);
        self.server_exited = Some(now);
        let lived = before.rows.into_iter().filter(|(_, row)| row.lives());
        let mut deaths: Vec<Death> =
            lived.filter_map(|(id, mut row)| row.dies(&id, None, Sign::Server, now)).collect();
        deaths.sort_by(|one, other| one.session.cmp(&other.session));
        deaths
    }
}

impl Row {
    fn new(session: &Session) -> Row {
        let (name, created) = (session.name.clone(), session.created);
        Row { name, created, processes: BTreeMap::new(), reported: None }
    }

    fn lives(&self) -> bool {
        self.processes.values().any(|process| !process.exited)
    }

    /// Notes the windows of these panes' processes.
    fn learn<'a>(&mut self, panes: impl Iterator<Item = &'a Pane>, heard: Now) {
        for pane in panes {
            let new = || Process { window: String::new(), heard, exited: false };
            self.processes.entry(pane.pid).or_insert_with(new).window.clone_from(&pane.window);
        }
    }

    /// Takes the panes of one session in a scan, or none.
    fn scanned(&mut self, id: &str, panes: &[Pane], scan: &Scan, now: Now) -> Option<Death> {
        self.learn(panes.iter().filter(|pane| lives(pane, &scan.trees)), scan.begun);
        let shows = |pid: u32, process: &Process| match panes.iter().find(|pane| pane.pid == pid) {
            Some(pane) => lives(pane, &scan.trees),
            None => process.heard.mono > scan.begun.mono,
        };
        let missed = self.processes.iter().filter(|(pid, process)| !process.exited && !shows(**pid, process));
        let missed: Vec<u32> = missed.map(|(pid, _)| *pid).collect();
        let exit = panes.iter().filter(|pane| missed.contains(&pane.pid)).find_map(|pane| pane.exit_status);
        let death = if missed.is_empty() { None } else { self.dies(id, exit, Sign::Scan, now) };
        self.processes.retain(|pid, process| {
            shows(*pid, process) || process.exited && panes.iter().any(|pane| pane.pid == *pid)
        });
        let shows_life = panes.iter().any(|pane| self.processes.get(&pane.pid).is_some_and(|it| !it.exited));
        if shows_life && self.reported.is_some_and(|reported| scan.begun.mono > reported.mono) {
            self.reported = None;
        }
        death
    }

    /// Reports its death, unless that was reported already.
    fn dies(&mut self, id: &str, exit: Option<i32>, sign: Sign, now: Now) -> Option<Death> {
        if self.reported.is_some() {
            return None;
        }
        self.reported = Some(now);
        Some(Death {
            session: self.name.clone(),
            id: id.to_owned(),
            noticed: now,
            exit,
            with_server: sign == Sign::Server,
            sign,
            panes: self.processes.keys().copied().collect(),
        })
    }
}

/// Whether the process of a pane lives: neither tmux nor the process table says that it ended. The table may know it
/// sooner.
fn lives(pane: &Pane, trees: &Trees) -> bool {
    !pane.dead && trees.as_ref().map_or(true, |trees| trees.contains_key(&pane.pid))
}
