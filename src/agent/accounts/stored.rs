//! What is stored of accounts: their holds, and which agent uses which account and waits for what. Pure.
//!
//! It decides which sentence is news, and what follows from one for the account. This module must not lock or write; the
//! [register](super::register) does.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::hold::{Cause, Hold, Key};
use crate::{
    agent::{
        account::Account,
        activity::{Reading, Source},
        confirmation::SessionKey,
    },
    clock::Now,
    town::identity::Identity,
};

/// For this long after an agent was prompted to continue, the same sentence on its screen is the old one.
const SETTLES: Duration = Duration::from_secs(30);

/// How often an agent is prompted to continue below a sentence that stays as it is.
const TRIES: u32 = 3;

/// A limit that is met again counts as another one, which is reported again, when it ends this much later.
const ANOTHER: SignedDuration = SignedDuration::from_hours(1);

/// What an agent waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// It lives, and its program said this.
    Lives {
        /// What it said.
        sentence: String,
        /// Where that was read.
        source: Source,
    },
    /// It does not run, and is to be started.
    Ended,
}

/// What is known of one agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) account: Account,
    /// The session in which that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<SessionKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waits_as: Option<Waits>,
    /// When it was last prompted to continue, below which sentence, and how often below that.
    #[serde(skip)]
    pub(super) woken: Option<(Now, String, u32)>,
    /// When it was last prompted to continue in that session.
    #[serde(skip)]
    pub(super) prompted: Option<Timestamp>,
    /// Since when nothing of its account keeps it from working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) free_since: Option<Timestamp>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    #[serde(default)]
    pub(super) holds: Vec<Hold>,
    #[serde(default)]
    pub(super) agents: BTreeMap<Identity, Usage>,
}

/// An agent that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The agent.
    pub agent: Identity,
    /// Its account.
    pub account: Account,
    /// What it waits for.
    pub waits_as: Waits,
}

impl Stored {
    pub(super) fn get(&mut self, key: &Key) -> Option<&mut Hold> {
        self.holds.iter_mut().find(|hold| hold.account == key.0 && hold.cause == key.1)
    }

    pub(super) fn is_tried_by(&self, agent: &Identity) -> bool {
        self.holds.iter().any(|hold| hold.is_tried_by(agent))
    }

    /// Whether a reading says what is not known yet.
    pub(super) fn is_news(
        &self,
        agent: &Identity,
        (sentence, reading): (&str, &Reading),
        cause: Cause,
        now: Now,
    ) -> bool {
        let Some(usage) = self.agents.get(agent) else { return false };
        // It does not run: this is what was left of it.
        if usage.waits_as == Some(Waits::Ended) {
            return false;
        }
        if let Some((woken, below, _)) = &usage.woken {
            // After a clock that was set back, times say nothing.
            let clock_is_well = now.wall >= woken.wall;
            let is_old = reading.source == Source::Transcript && clock_is_well && reading.since <= woken.wall;
            let same = below == sentence;
            let settles = same && reading.source == Source::Screen && now.since(*woken) < SETTLES;
            if is_old || settles {
                return false;
            }
        }
        let known =
            matches!(&usage.waits_as, Some(Waits::Lives { sentence: before, .. }) if before == sentence);
        let held = self.holds.iter().find(|hold| hold.account == usage.account && hold.cause == cause);
        // One that waits for its turn shows the sentence until it is prompted to continue.
        !known || held.is_some_and(|hold| hold.is_tried_by(agent))
    }

    /// Whether it was prompted to continue below this sentence as often as it ever is.
    pub(super) fn was_prompted_in_vain(&self, agent: &Identity, sentence: &str) -> bool {
        let woken = self.agents.get(agent).and_then(|usage| usage.woken.as_ref());
        woken.is_some_and(|(_, below, tries)| below == sentence && *tries >= TRIES)
    }

    /// Notes that a living agent waits, and returns its account; `None` when that is unknown.
    pub(super) fn wait(&mut self, agent: &Identity, sentence: &str, source: Source) -> Option<Account> {
        let usage = self.agents.get_mut(agent)?;
        usage.waits_as = Some(Waits::Lives { sentence: sentence.to_owned(), source });
        Some(usage.account.clone())
    }

    /// Lets one agent try an account, as a sentence that may be old says that it cannot be used. What is known of it counts more.
    pub(super) fn suspect(&mut self, key: &Key, (by, sentence): (&Identity, &str), now: Now) {
        if self.get(key).is_none() {
            let hold = Hold::new(key, (by, sentence), now.wall);
            self.holds.push(Hold { until: Some(now.wall), confirmed: false, ..hold });
        }
    }

    /// Holds an account, or prolongs its hold.
    pub(super) fn hold(
        &mut self,
        key: &Key,
        (by, sentence): (&Identity, &str),
        until: Option<(Timestamp, bool)>,
        now: Now,
    ) {
        let (at, exact) = (until.map(|until| until.0), until.is_some_and(|until| until.1));
        let Some(hold) = self.get(key) else {
            self.holds.push(Hold { until: at, exact, ..Hold::new(key, (by, sentence), now.wall) });
            return;
        };
        let tried = hold.probe.take().is_some() || hold.over.take().is_some();
        let is_past = hold.until.is_none_or(|until| until <= now.wall);
        // What the program says counts more than a guess, and of two limits the one that ends later.
        let better = match (hold.exact, exact) {
            (true, false) => false,
            (false, true) => true,
            (false, false) => false,
            (true, true) => at > hold.until,
        };
        let first = !std::mem::replace(&mut hold.confirmed, true);
        if first || tried || is_past || better || key.1 == Cause::LoggedOut {
            let far = |before: Timestamp| at.is_some_and(|at| exact && at.duration_since(before) > ANOTHER);
            if hold.until.is_some_and(far) {
                hold.reported = false;
            }
            (hold.until, hold.exact) = (at, exact);
            (hold.by, hold.sentence) = (by.clone(), sentence.to_owned());
        }
        hold.noted = now.wall;
    }
}
