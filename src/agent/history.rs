//! History: what happened to each agent, in order, with times and reasons. `explain` shows it.
//!
//! It is the projection of the transitions and reasons of the [`lifecycle`](super::lifecycle) ([`story`]), and of nudges, mails and
//! the supervisor's own stops. One entry is one change; a probe or a heartbeat that shows nothing new leaves none. The agent's
//! [record](crate::agent::record) has it: it survives the crash of any actor and, through its file (`history.json`), a restart of the
//! supervisor. It must not decide anything, and nothing may depend on it.
//!
//! **Its cost is bounded.** An agent has at most [`ENTRIES`] entries, and all agents together [`ALL_ENTRIES`] (the agent with
//! the most loses its oldest); there are at most [`AGENTS`] agents (those that are gone are removed first), and each text has at
//! most `entry::TEXT` characters. In a town of 1000 healthy agents the file has 0.3 MB, 2 MB when each has died twice, a
//! few times that at the very most; rendering 2 MB takes 3 ms. Last screens of agents that died (`entry.death`) add at most 2 MB:
//! an agent has at most [`SCREENS`], and all together [`ALL_SCREENS`], each of at most 4 KiB. One writer saves the whole file seconds after a change, then rests
//! a hundred times as long as that took ([`housekeeping::keep_histories`](crate::tree::housekeeping::keep_histories)): however many
//! agents die, writing takes at most a hundredth of the time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::phase::Phase;
use crate::supervision::status::Exit;

mod ending;
mod entry;
pub mod finding;
pub mod rendering;
pub mod story;
#[cfg(test)]
mod tests;

pub use ending::Ending;
pub use entry::{Entry, Kind};

/// The most entries of one agent.
pub const ENTRIES: usize = 50;
/// The most entries of all agents together.
pub const ALL_ENTRIES: usize = 10_000;
/// The most last screens of one agent.
pub const SCREENS: usize = 5;
/// The most last screens of all agents together.
pub const ALL_SCREENS: usize = 500;
/// The most agents with a history.
pub const AGENTS: usize = 2_000;

/// What happened to one agent; its [record](crate::agent::record) has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Its last known phase and the start of it, perhaps recorded by an earlier owner or supervisor.
    #[serde(rename = "standing", skip_serializing_if = "Option::is_none")]
    pub phase: Option<(Phase, Timestamp)>,
    /// Whether it is no longer supervised.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// What happened, oldest first.
    pub entries: Vec<Entry>,
}

impl History {
    /// Adds an entry. A repetition of the last entry, or of the one before it, is counted there.
    pub fn add(&mut self, entry: Entry) {
        self.gone = false;
        // Two that take turns — a start that fails, the next try — are two entries, however long that goes on.
        if let Some(before) = self.entries.iter_mut().rev().take(2).find(|it| it.is_repeated_by(&entry)) {
            before.repeat(entry);
            return;
        }
        self.entries.push(entry);
        self.keep_to_the_bound();
    }

    /// Forgets the oldest beyond [`ENTRIES`], and the oldest screens beyond [`SCREENS`].
    pub fn keep_to_the_bound(&mut self) {
        self.entries.drain(..self.entries.len().saturating_sub(ENTRIES));
        self.keep_screens(SCREENS);
    }

    /// How many last screens it has.
    pub fn screens(&self) -> usize {
        self.entries.iter().filter_map(|it| it.death.as_ref()).filter(|it| !it.last_screen.is_empty()).count()
    }

    /// Forgets the oldest last screens beyond this many. Returns whether there were any.
    pub fn keep_screens(&mut self, most: usize) -> bool {
        let with_screen = self.entries.iter_mut().filter_map(|it| it.death.as_mut());
        let old = with_screen.filter(|it| !it.last_screen.is_empty()).rev().skip(most);
        old.map(|death| death.forget_screen()).count() > 0
    }

    /// How it died last, if that was after this time.
    pub fn last_death(&self, since: Timestamp) -> Option<&Ending> {
        let (at, death) = self.deaths().next()?;
        (at >= since).then_some(death)
    }

    /// How it died last, in short.
    pub fn last_exit(&self) -> Option<Exit> {
        let (at, death) = self.deaths().next()?;
        Some(Exit { at, exit: death.exit, signal: death.signal.clone() })
    }

    /// When and how it died, the latest death first.
    fn deaths(&self) -> impl Iterator<Item = (Timestamp, &Ending)> {
        self.entries.iter().rev().filter_map(|it| Some((it.latest(), it.death.as_deref()?)))
    }

    /// Whether the last change led to where this one does, so that it is only found out again. That one runs, or is being
    /// started, is always news: nobody knows whether it is the same life.
    pub fn knows(&self, entry: &Entry) -> bool {
        let changes = self.entries.iter().rev().filter(|it| matches!(it.kind, Kind::Change | Kind::Ours));
        let last = changes.take(1).find(|it| it.kind == Kind::Change);
        !matches!(entry.state, Some(Phase::Alive | Phase::Starting))
            && last.is_some_and(|last| last.state == entry.state && entry.kind == Kind::Change)
    }

    /// Records that it is no longer supervised, and why; its history stays as long as there is room.
    pub fn is_gone(&mut self, why: &str, now: Timestamp) {
        if !self.gone {
            self.phase = None;
            self.add(Entry::new(Kind::Ours, now, why, "no longer supervised").because("not_supervised"));
            self.gone = true;
        }
    }

    /// The supervisor stops, and leaves the agent as it is.
    pub fn supervisor_stops(&mut self, now: Timestamp) {
        let idle = [Phase::Absent, Phase::Paused, Phase::Unknown];
        if !self.gone && self.phase.is_some_and(|(phase, _)| !idle.contains(&phase)) {
            let entry = Entry::new(Kind::Ours, now, "the supervisor stopped", "left as it is");
            self.add(entry.because("supervisor_stopped"));
        }
    }

    /// When something happened last.
    pub fn last(&self) -> Option<Timestamp> {
        self.entries.iter().map(Entry::latest).max()
    }
}
