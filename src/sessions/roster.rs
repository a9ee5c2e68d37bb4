//! The roster: of everything that tells of an end, one death. Pure.
//!
//! The kernel, tmux's notices and the sweep all tell of the same death, in any order, early, late or not at all. The
//! roster remembers what the last sweep showed and what was told since, and makes at most one [`Death`] of it for each
//! life of a session. A life begins when a session is first heard of, and again with the first sweep that began after a
//! death was told and shows a living process in the session. It must not judge a death: whether an agent is really dead
//! is not known here.
//!
//! Ids are tmux's: a server gives a session's or window's id only once, the next server begins anew. The adapter tells
//! nothing of an earlier server after its end; only a sweep that began before may still show its sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    End, EndOf, Session,
    death::{Death, Sign},
    sweep::{Sweep, Trees},
};
use crate::clock::Now;

#[cfg(test)]
mod tests;

/// So long it is remembered what ended: what tells of the same end again does so within moments.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What is known of all sessions.
#[derive(Debug, Default)]
pub struct Roster {
    /// By the server's id.
    known: BTreeMap<String, Known>,
    /// Processes that ended, by the id of the session they were in, with when that was heard.
    ended: Ended,
}

type Ended = BTreeMap<(String, u32), Now>;

#[derive(Debug, Default)]
struct Known {
    name: String,
    /// `None` before a sweep showed it.
    seen: Option<jiff::Timestamp>,
    /// The windows of the panes' processes that were last seen or told, empty where not known.
    panes: BTreeMap<u32, String>,
    /// Those of them that live.
    living: BTreeSet<u32>,
    /// Windows that were closed.
    closed: BTreeMap<String, Now>,
    /// When the death of this life was told.
    told: Option<Now>,
    /// Since when no sweep shows it.
    gone: Option<Now>,
    /// It ended with its server: what is told under its id from now on is of another session.
    over: bool,
}

impl Roster {
    /// Hears of an end. Returns the deaths it tells of that were not told yet: none or one, or one for each session, by
    /// name, when it was the server that ended.
    pub fn ended(&mut self, end: &End, now: Now) -> Vec<Death> {
        let death = match &end.of {
            EndOf::Server(sessions) => return self.server_ended(sessions, now),
            EndOf::Process { pid, exit } => self.process_ended(end, *pid, *exit, now),
            EndOf::Window(window) => self.window_closed(end, window, now),
        };
        death.into_iter().collect()
    }

    /// Takes over what a sweep showed, which was done `now`. Returns the deaths that nothing told before it; of a sweep
    /// that failed, none.
    pub fn swept(&mut self, sweep: &Sweep, now: Now) -> Vec<Death> {
        let Ok(sessions) = &sweep.sessions else { return Vec::new() };
        let by_id: BTreeMap<&str, &Session> =
            sessions.values().map(|session| (session.id.as_str(), session)).collect();
        let mut deaths = Vec::new();
        for (id, known) in &mut self.known {
            if !by_id.get(id.as_str()).is_some_and(|session| known.is(session)) {
                deaths.extend(known.missing(id, &mut self.ended, now));
            }
        }
        for (id, session) in by_id {
            let known = self.known.entry(id.to_owned()).or_default();
            if !known.is(session) {
                *known = Known::default();
            }
            deaths.extend(known.shown(session, sweep, &mut self.ended, now));
        }
        self.forget(now);
        deaths
    }

    fn server_ended(&mut self, sessions: &BTreeMap<String, String>, now: Now) -> Vec<Death> {
        let mut deaths = Vec::new();
        // Those that no sweep has shown yet ended with it too.
        let unseen = |known: &Known| known.seen.is_none() && known.told.is_none();
        for (id, session) in sessions {
            Known::of(
                &mut self.known,
                &End { session: session.clone(), id: id.clone(), of: EndOf::Server(BTreeMap::new()) },
            );
        }
        for (id, known) in &mut self.known {
            let lived = !known.living.is_empty() || unseen(known) && sessions.contains_key(id);
            known.all_ended(id, &mut self.ended, now);
            if lived {
                deaths.extend(known.dies(id, None, Sign::Server, now));
            }
            known.told.get_or_insert(now);
            known.gone.get_or_insert(now);
            known.over = true;
        }
        deaths.sort_by(|one, other| one.session.cmp(&other.session));
        deaths
    }

    fn process_ended(&mut self, end: &End, pid: u32, exit: Option<i32>, now: Now) -> Option<Death> {
        if self.ended.insert((end.id.clone(), pid), now).is_some() {
            return None;
        }
        let known = Known::of(&mut self.known, end);
        known.panes.entry(pid).or_default();
        known.living.remove(&pid);
        known.dies(&end.id, exit, Sign::Process, now)
    }

    fn window_closed(&mut self, end: &End, window: &str, now: Now) -> Option<Death> {
        let known = Known::of(&mut self.known, end);
        let new = known.seen.is_none() && known.told.is_none();
        if known.closed.insert(window.to_owned(), now).is_some() {
            return None;
        }
        let in_it = |pid: &&u32| known.panes.get(pid).is_some_and(|its| its == window);
        let its: Vec<u32> = known.living.iter().filter(in_it).copied().collect();
        for pid in &its {
            known.living.remove(pid);
            self.ended.insert((end.id.clone(), *pid), now);
        }
        // A window without living processes ended with the last of them, which was told. One that no sweep showed came
        // and went; what is left of its session, the next sweep shows.
        if its.is_empty() && !new { None } else { known.dies(&end.id, None, Sign::Window, now) }
    }

    fn forget(&mut self, now: Now) {
        let recent = |since: Now| now.since(since) < REMEMBERED;
        self.known.retain(|_, known| known.gone.is_none_or(recent));
        self.ended.retain(|_, since| recent(*since));
        for known in self.known.values_mut() {
            known.closed.retain(|_, since| recent(*since));
        }
    }
}

impl Known {
    /// The session that an end belongs to.
    fn of<'a>(known: &'a mut BTreeMap<String, Known>, end: &End) -> &'a mut Known {
        let known = known.entry(end.id.clone()).or_default();
        if known.over {
            *known = Known::default();
        }
        known.name.clone_from(&end.session);
        known
    }

    /// Whether this session is the one that is known by its id, and not another server's.
    fn is(&self, session: &Session) -> bool {
        self.seen.is_none_or(|created| created == session.created)
    }

    /// A sweep does not show it.
    fn missing(&mut self, id: &str, ended: &mut Ended, now: Now) -> Option<Death> {
        if self.gone.is_some() {
            return None;
        }
        let lived = !self.living.is_empty();
        self.all_ended(id, ended, now);
        let death = if lived { self.dies(id, None, Sign::Sweep, now) } else { None };
        self.gone = Some(now);
        death
    }

    /// A sweep shows it.
    fn shown(&mut self, session: &Session, sweep: &Sweep, ended: &mut Ended, now: Now) -> Option<Death> {
        let id = &session.id;
        let mut living = living(session, &sweep.trees);
        living.retain(|pid| !ended.contains_key(&(id.clone(), *pid)));
        let died: Vec<u32> = self.living.difference(&living).copied().collect();
        ended.extend(died.iter().map(|pid| ((id.clone(), *pid), now)));
        self.name.clone_from(&session.name);
        self.seen = Some(session.created);
        self.gone = None;
        self.over = false;
        let exit = exit_of(session, &died);
        let panes = session.panes.iter().filter_map(|pane| Some((pane.process()?, pane.window.clone())));
        let before = std::mem::replace(&mut self.panes, panes.collect());
        self.living = living;
        if self.told.is_none() && !died.is_empty() {
            // They belong to this death, though they may not be listed any more.
            self.panes.extend(before.into_iter().filter(|(pid, _)| died.contains(pid)));
            return self.dies(id, exit, Sign::Sweep, now);
        }
        if self.told.is_some_and(|told| sweep.begun.mono > told.mono) && !self.living.is_empty() {
            self.told = None;
        }
        None
    }

    fn all_ended(&mut self, id: &str, ended: &mut Ended, now: Now) {
        let living = std::mem::take(&mut self.living);
        ended.extend(living.into_iter().map(|pid| ((id.to_owned(), pid), now)));
    }

    /// Something in it ended: the death of this life, unless that was told.
    fn dies(&mut self, id: &str, exit: Option<i32>, sign: Sign, now: Now) -> Option<Death> {
        // One that is gone and was not told never showed anything living; what is heard of it late is news.
        if self.told.is_some() {
            return None;
        }
        self.told = Some(now);
        Some(Death {
            session: self.name.clone(),
            id: id.to_owned(),
            noticed: now,
            exit,
            with_server: sign == Sign::Server,
            sign,
            panes: self.panes.keys().copied().collect(),
        })
    }
}

/// The processes of a session's panes that live: tmux does not say that they ended, and neither does the process table,
/// which may know it sooner.
fn living(session: &Session, trees: &Trees) -> BTreeSet<u32> {
    let there = |pid: &u32| trees.as_ref().map_or(true, |trees| trees.contains_key(pid));
    session.panes.iter().filter(|pane| !pane.dead).map(|pane| pane.pid).filter(there).collect()
}

/// The exit status of the first of these that the server tells.
fn exit_of(session: &Session, died: &[u32]) -> Option<i32> {
    session.panes.iter().filter(|pane| died.contains(&pane.pid)).find_map(|pane| pane.exit_status)
}
