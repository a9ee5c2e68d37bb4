//! A hold of an account: why it lasts, until when, and how that is shown. Pure.
//!
//! A hold is confirmed when its sentence is known to be of now. One whose sentence may be old, such as that of an agent which
//! another program started long ago, only lets one agent of the account try before the others. This module must not decide whom a
//! hold concerns; that is the [register](super::register)'s.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    agent::{account::Account, denial::Denial},
    clock::Now,
    town::{identity::Identity, usage_limit::reset::Reset},
};

/// Why an account is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its login is lost.
    LoggedOut,
    /// Its plan is used up.
    UsageLimit,
}

impl Cause {
    /// `logged_out` or `usage_limit`.
    pub fn code(self) -> &'static str {
        match self {
            Cause::LoggedOut => "logged_out",
            Cause::UsageLimit => "usage_limit",
        }
    }
}

/// When a usage limit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Then, as its sentence says.
    At(Reset),
    /// Its sentence names no time: the account is tried after this long.
    TryAfter(Duration),
    /// Its sentence may be old: the account is tried at once.
    Unconfirmed,
}

/// An account and why it is held: there is at most one hold of each kind.
pub type Key = (Account, Cause);

/// A hold of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The account.
    pub account: Account,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// The agent that said it.
    pub by: Identity,
    /// What its program said.
    pub sentence: String,
    /// When it ends, or is to be tried; `None` while only a person can end it.
    pub until: Option<Timestamp>,
    /// Whether the program itself said so. If not, one agent tries it before the others do.
    pub exact: bool,
    /// Whether the sentence is known to be of now. If not, it may be old: one agent tries the account at once, and nothing is
    /// reported until that agent meets the same.
    #[serde(default = "yes")]
    pub confirmed: bool,
    /// The fingerprint of the file with the login when it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Whether it was reported.
    #[serde(default)]
    pub reported: bool,
    /// Since when it is over; it is kept until that is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Timestamp>,
    /// The agent that tries it, and since when.
    #[serde(skip)]
    pub probe: Option<(Identity, Now)>,
    /// When it was last read, by which a clock that was set back is noticed.
    pub(super) noted: Timestamp,
}

/// For a file of a version that stored confirmed holds only.
fn yes() -> bool {
    true
}

impl Hold {
    /// A confirmed hold that begins now, and that only a person can end.
    pub(super) fn new(key: &Key, (by, sentence): (&Identity, &str), now: Timestamp) -> Self {
        Hold {
            account: key.0.clone(),
            cause: key.1,
            since: now,
            by: by.clone(),
            sentence: sentence.to_owned(),
            until: None,
            exact: false,
            confirmed: true,
            credentials: None,
            reported: false,
            over: None,
            probe: None,
            noted: now,
        }
    }

    /// Its key.
    pub fn key(&self) -> Key {
        (self.account.clone(), self.cause)
    }

    /// Whether it still forbids to start anything.
    pub fn lasts(&self) -> bool {
        self.over.is_none()
    }

    /// Whether this agent tries its account now.
    pub(super) fn is_tried_by(&self, agent: &Identity) -> bool {
        self.probe.as_ref().is_some_and(|(probe, _)| probe == agent)
    }

    /// Whether a new login would end it.
    pub fn waits_for_login(&self) -> bool {
        self.lasts() && self.cause == Cause::LoggedOut && self.confirmed && self.probe.is_none()
    }

    /// Why an agent of this account must not be started or nudged.
    pub(super) fn denial(&self, now: Now, zone: &TimeZone) -> Denial {
        let text = self.text(now, zone);
        match self.cause {
            Cause::LoggedOut => Denial::LoggedOut(text),
            Cause::UsageLimit => Denial::UsageLimit { until: self.until.filter(|it| *it > now.wall), text },
        }
    }

    /// Why an agent of this account must not be started, in the local time.
    pub fn text(&self, now: Now, zone: &TimeZone) -> String {
        if !self.confirmed {
            let (by, sentence) = (&self.by, &self.sentence);
            return format!(
                "one agent tries its account first, as {by} shows {sentence:?}, which may be old"
            );
        }
        match self.cause {
            Cause::LoggedOut => format!("{}: {}", self.account.login_lost(), self.sentence),
            Cause::UsageLimit => {
                let guess = if self.exact { "" } else { "about " };
                let until = self.until.map(|until| format!(" until {guess}{}", shown(until, now, zone)));
                format!("limited{}: {}", until.unwrap_or_default(), self.sentence)
            }
        }
    }
}

/// A time of the clock on the wall, with its day when that is another one.
pub fn shown(at: Timestamp, now: Now, zone: &TimeZone) -> String {
    let (at, today) = (at.to_zoned(zone.clone()), now.wall.to_zoned(zone.clone()).date());
    let format = if at.date() == today { "%H:%M" } else { "%b %-d %H:%M" };
    at.strftime(format).to_string()
}

/// A part of the status: one hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldAccount {
    /// The account.
    pub account: String,
    /// `usage_limit` or `logged_out`.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Until when, as far as is known.
    pub until: Option<Timestamp>,
    /// Whether the program itself said until when.
    pub exact: bool,
    /// The agent that said it.
    pub by: String,
    /// What it said.
    pub sentence: String,
    /// Whether that is known to be of now. If not, one agent tries the account.
    pub confirmed: bool,
    /// The agents of this account.
    pub agents: usize,
    /// Those that wait to be started or to continue.
    pub waiting: usize,
}

impl Hold {
    /// A clock that was set back takes the times with it: a hold ends as long after its beginning as it was to.
    pub(super) fn note(&mut self, now: Timestamp) {
        let back = self.noted.duration_since(now);
        if back > SignedDuration::from_secs(1) {
            let times = [Some(&mut self.since), self.until.as_mut(), self.over.as_mut()];
            for at in times.into_iter().flatten() {
                *at = at.checked_sub(back).unwrap_or(*at);
            }
        }
        self.noted = now;
    }
}
