//! One entry of an agent's history: what was seen, what that led to, and what was done about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ending;
use crate::{
    agent::{phase::Phase, reason::Reason},
    ledger::mail::Sent,
};

/// The most characters of a text in an entry.
pub const TEXT: usize = 300;

/// The kind of an entry.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The agent's state changed, or what is done about it.
    Change,
    /// A probe was inconclusive, so nothing was done. Such probes are counted together, whatever their reason.
    Unclear,
    /// The outcome of a request.
    Request,
    /// It was nudged, or a mail about it was sent.
    Word,
    /// The supervisor itself: it stopped, was interrupted, or no longer supervises the agent.
    Ours,
}

/// One entry. `seen` or `done` may be empty, never both; neither has line breaks or other control characters in it.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened; the first time if it happened more than once.
    pub at: Timestamp,
    /// What it concerns.
    pub kind: Kind,
    /// Why, as a code for machines; empty in entries of version 0.1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What was observed or requested ("session is gone (process exited: SIGKILL (137))").
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// The agent's state from then on, if it may have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Phase>,
    /// What was done about it, and why where `seen` does not say it ("restart 2 waits").
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub done: String,
    /// How it died, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<Box<Ending>>,
    /// When that state ends by itself; then the agent is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many times it happened.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// The last time, if it happened more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

fn once() -> u32 {
    1
}

fn is_once(times: &u32) -> bool {
    *times == 1
}

impl Entry {
    /// An entry without a state.
    pub(crate) fn new(kind: Kind, at: Timestamp, seen: &str, done: &str) -> Self {
        let (seen, done) = (one_line(seen), one_line(done));
        Entry {
            at,
            kind,
            reason: String::new(),
            seen,
            state: None,
            done,
            death: None,
            until: None,
            times: 1,
            last: None,
        }
    }

    /// This happened.
    pub(crate) fn of(reason: &Reason, kind: Kind, at: Timestamp) -> Self {
        let words = reason.words();
        Entry::new(kind, at, &words.seen, &words.done).because(reason.code())
    }

    /// Sets the state that this led to, and how long it lasts where it ends by itself.
    pub(crate) fn leading_to(self, state: Phase, until: Option<Timestamp>) -> Self {
        Entry { state: Some(state), until, ..self }
    }

    /// This is why.
    pub(crate) fn because(self, code: &str) -> Self {
        Entry { reason: code.to_owned(), ..self }
    }

    /// It died like this.
    pub(crate) fn dying(self, death: Option<Ending>) -> Self {
        Entry { death: death.map(Box::new), ..self }
    }

    /// A message was sent: to the agent itself, or to somebody about it.
    pub(crate) fn word(at: Timestamp, code: &str, seen: &str, done: &str) -> Self {
        Entry::new(Kind::Word, at, seen, done).because(code)
    }

    /// This mail about it.
    pub(crate) fn mailed(at: Timestamp, seen: &str, to: &str, subject: &str, sent: Sent) -> Self {
        let done = match sent {
            Sent::Yes => format!("mail to {to}: {subject}"),
            Sent::Perhaps => format!("mail to {to}, perhaps not sent: {subject}"),
            Sent::No => format!("mail to {to} not sent: {subject}"),
        };
        Entry::word(at, "mailed", seen, &done)
    }

    /// Whether it says nothing new.
    pub(super) fn is_repeated_by(&self, other: &Entry) -> bool {
        let same = || (&self.seen, &self.done) == (&other.seen, &other.done);
        self.kind == other.kind && self.state == other.state && (self.kind == Kind::Unclear || same())
    }

    /// It happened again; what is new about it is taken over.
    pub(super) fn repeat(&mut self, again: Entry) {
        let Entry { at, seen, done, until, death, .. } = again;
        (self.seen, self.done, self.until) = (seen, done, until);
        self.death = death.or(self.death.take());
        self.times = self.times.saturating_add(1);
        self.last = Some(at);
    }

    /// When it happened last.
    pub fn latest(&self) -> Timestamp {
        self.last.unwrap_or(self.at)
    }
}

/// A text that another program may have had a part in, as one line of bounded length.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(TEXT).collect();
    if line.len() < text.len() {
        line.pop();
        line.push('…');
    }
    line.replace(|c: char| c.is_control(), " ")
}
