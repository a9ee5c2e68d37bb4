//! Rules: when the child that tells closes is started again, and when it is worth asking about convoys. Pure.

use std::{collections::BTreeSet, time::Duration};

use crate::{commands::CommandError, ledger::version::Version, town::settings::Convoy as Settings};

/// After this long a child is well: what it does next is no sequel of what went wrong before.
pub const WELL: Duration = Duration::from_secs(60);
/// From the start of the actor to that of its first child, and from the end of one that is ended on purpose to the next.
pub const SOON: Duration = Duration::from_secs(1);
/// From the start of the actor to the first timed question: not in the way of the first heartbeat.
pub const FIRST: Duration = Duration::from_secs(20);
/// From the first close of a burst until it is looked into.
pub const SETTLE: Duration = Duration::from_secs(1);
/// From the end of one look to the beginning of the next that closes are the reason for.
pub const APART: Duration = Duration::from_secs(5);
/// So many closes are kept by name; more are looked into as one.
pub const NAMED: usize = 500;

/// What follows when a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Sequel {
    /// Start it again after this delay.
    Again(Duration),
    /// This `bd` has no such command: not again, as far as is known.
    NotAgain,
}

/// A child ran for `ran` and ended so; `before` is the delay it was started after, if it was started again.
pub fn after_end(
    ended: &Result<(), CommandError>,
    ran: Duration,
    before: Option<Duration>,
    settings: &Settings,
) -> Sequel {
    if let Err(CommandError::Failed { stderr, .. }) = ended
        && stderr.contains(r#"unknown command "activity""#)
    {
        return Sequel::NotAgain;
    }
    let (least, most) = (settings.retry_after, settings.retry_max.max(settings.retry_after));
    Sequel::Again(match before {
        Some(before) if ran < WELL => before.saturating_mul(2).clamp(least, most),
        _ => least,
    })
}

/// Whether a version of `bd` tells closes: `activity` asks its daemon, which is gone from 0.50 on. One that is not known
/// may.
pub fn may_tell(version: Option<Version>) -> bool {
    version.is_none_or(Version::has_daemon)
}

/// Whether two reasons differ in more than the numbers in them (process ids, times, counts).
pub fn is_another_reason(one: &str, other: &str) -> bool {
    let words = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    words(one) != words(other)
}

/// Why it is asked about convoys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// These beads were closed.
    Closed(BTreeSet<String>),
    /// Beads were closed, more than are kept by name.
    ManyClosed,
    /// It is time to.
    Timed,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Look now, for this reason; nothing else until it is done.
    Look(Why),
    /// Nothing for so long.
    Wait(Duration),
    /// A look is under way: what comes meanwhile is looked into after it.
    Busy,
}

/// What there is to look into, and when. Times are monotonic.
#[derive(Debug, Clone)]
pub struct Agenda {
    closed: BTreeSet<String>,
    more_closed: bool,
    /// When the first of these was heard of.
    first: Option<Duration>,
    looking: bool,
    /// When the last look was done.
    done: Option<Duration>,
    /// When the next timed question is due.
    timed: Duration,
}

impl Agenda {
    /// Nothing heard yet; the first timed question comes soon.
    pub fn new(now: Duration, every: Duration) -> Self {
        Agenda {
            closed: BTreeSet::new(),
            more_closed: false,
            first: None,
            looking: false,
            done: None,
            timed: now + FIRST.min(every),
        }
    }

    /// A bead was closed.
    pub fn closed(&mut self, id: String, now: Duration) {
        self.first.get_or_insert(now);
        if self.closed.len() < NAMED {
            self.closed.insert(id);
        } else if !self.closed.contains(&id) {
            self.more_closed = true;
        }
    }

    /// Beads were closed, nobody says which.
    pub fn many_closed(&mut self, now: Duration) {
        self.first.get_or_insert(now);
        self.more_closed = true;
    }

    /// Forgets what was heard; the next timed question comes soon. A look that is under way stays so.
    pub fn begin_again(&mut self, now: Duration, every: Duration) {
        *self = Agenda { looking: self.looking, done: self.done, ..Agenda::new(now, every) };
    }

    /// The time between timed questions may have become shorter.
    pub fn every(&mut self, every: Duration, now: Duration) {
        self.timed = self.timed.min(now + every);
    }

    /// When the next timed question is due.
    pub fn timed(&self) -> Duration {
        self.timed
    }

    /// What is to be done now. A timed question answers for all closes heard of so far.
    pub fn next(&mut self, now: Duration) -> Next {
        if self.looking {
            return Next::Busy;
        }
        let apart = self.done.map_or(Duration::ZERO, |done| done + APART);
        let settled = self.first.map(|first| (first + SETTLE).max(apart));
        let due = settled.map_or(self.timed, |settled| settled.min(self.timed));
        if now < due {
            return Next::Wait(due - now);
        }
        self.looking = true;
        self.first = None;
        let (closed, more) = (std::mem::take(&mut self.closed), std::mem::take(&mut self.more_closed));
        Next::Look(if now >= self.timed {
            Why::Timed
        } else if more {
            Why::ManyClosed
        } else {
            Why::Closed(closed)
        })
    }

    /// The look is done; `for_all` when it answered for every convoy, not only for those of some beads.
    pub fn done(&mut self, for_all: bool, now: Duration, every: Duration) {
        self.looking = false;
        self.done = Some(now);
        if for_all {
            self.timed = now + every;
        }
    }
}

#[cfg(test)]
mod tests;
