//! What is due for an agent of a town of one file, so that it is as the file has it.
//!
//! It follows from what is known now, and from nothing that a crash could lose: so whoever asks again gets what is left to do. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::kept::Taken;
use crate::{
    agent::requests::{Action, Claim, Stage},
    town::{identity::Identity, standing::Standings},
};

/// Sessions say when they were made in whole seconds.
const A_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A request of the file that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// What was asked for.
    pub action: Action,
    /// For a restart: what the agent was to take.
    pub takes: String,
    /// Why it was not carried out; `None` when it was.
    pub failed: Option<String>,
}

impl Over {
    /// The id of a request of the file; a restart is one to take this.
    pub fn id(action: Action, takes: &str, identity: &Identity) -> String {
        format!("file-{}-{takes}-{identity}", action.command())
    }

    /// This request, when it is over.
    pub fn of(id: &str, claim: &Claim) -> Option<Over> {
        let takes = id.strip_prefix("file-")?.split('-').nth(1)?.to_owned();
        let failed = match &claim.outcome {
            Some(outcome) => (!outcome.ok).then(|| outcome.text.clone()),
            None => Some("what became of it is not known".to_owned()),
        };
        (claim.stage == Stage::Done).then_some(Over { action: claim.action, takes, failed })
    }
}

/// What is known of an agent now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether a request is being carried out, or it is being started.
    pub is_busy: bool,
    /// Whether it is stopped, and whether by the file.
    pub held: Option<bool>,
    /// Whether it ended by itself, and is not started again after that.
    pub ended: bool,
    /// When the session was made in which it lives; `None` when it does not, as far as is known.
    pub lives_since: Option<Timestamp>,
    /// The requests of the file that are over.
    pub over: Vec<Over>,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// It has what the file says: that is to be kept.
    Took,
    /// This is to be asked for.
    Ask(Action),
    /// It could not be done, for this reason: people are told, and it is asked for again later.
    Failed(Action, String),
}

impl Known {
    /// What is kept of an agent, after the restarts that are over, when the file says that it takes this.
    pub fn kept(&self, mut kept: Taken, takes: &str, now: Timestamp) -> Taken {
        let is_restart = |it: &&Over| it.action == Action::Restart && it.failed.is_none();
        if let Some(last) = self.over.iter().rfind(is_restart) {
            kept.taken.clone_from(&last.takes);
            kept.other_since = None;
        }
        if kept.taken != takes {
            kept.other_since = kept.other_since.or(Some(now));
        }
        kept
    }

    /// What is due for an agent that the file has and that takes this; `again` also asks for what failed before.
    pub fn due(&self, kept: Option<&Taken>, takes: &str, again: bool) -> Due {
        if self.is_busy {
            return Due::Nothing;
        }
        if self.held == Some(true) {
            return self.ask(Action::Start, "", again); // it is in the file again
        }
        let Some(kept) = kept else { return Due::Took };
        let Some(other_since) = kept.other_since else { return Due::Nothing };
        let is_newer = |born: Timestamp| born.duration_since(other_since) >= A_SECOND;
        // One that is stopped takes what the file says when somebody starts it.
        if kept.taken == takes || self.held.is_some() || self.lives_since.is_some_and(is_newer) {
            return Due::Took;
        }
        match self.ask(Action::Restart, takes, again) {
            // Whatever it took before, it does not run with it any more.
            Due::Failed(..) if self.lives_since.is_none() => Due::Took,
            due => due,
        }
    }

    /// What is due for an agent that is to leave.
    pub fn due_to_leave(&self, again: bool) -> Due {
        if self.is_busy { Due::Nothing } else { self.ask(Action::Stop, "", again) }
    }

    /// Whether an agent that is to leave has ended. One that the file still has, under another session, may also have been
    /// stopped by somebody. One that the file does not have and that somebody had stopped stays stopped by them, and the stop by the
    /// file has looked whether it ended.
    pub fn has_left(&self, is_in_file: bool) -> bool {
        let is_looked_at = || self.over.iter().any(|it| it.action == Action::Stop && it.failed.is_none());
        let has_ended = match self.held {
            Some(by_file) => by_file || is_in_file || is_looked_at(),
            None => self.ended && !is_in_file && self.lives_since.is_none(),
        };
        !self.is_busy && has_ended
    }

    fn ask(&self, action: Action, takes: &str, again: bool) -> Due {
        let last = self.over.iter().rfind(|it| it.action == action && it.takes == takes);
        match last.and_then(|it| it.failed.clone()) {
            Some(why) if !again => Due::Failed(action, why),
            _ => Due::Ask(action),
        }
    }
}

/// The agents that are to leave: those that the plan does not have, or not in their session.
pub fn to_leave<'a>(plan: &'a Standings, before: &'a Standings) -> impl Iterator<Item = &'a Identity> {
    before.agents().filter(|identity| {
        let session = |all: &Standings| all.of(identity).map(|it| it.session.clone());
        session(plan) != session(before)
    })
}

/// What is said of the agents while some are being ended: what the plan says, but what was said before of those that are to leave and
/// have not `left`. An agent whose session is still theirs comes after them.
pub fn meanwhile(plan: &Standings, before: &Standings, left: &BTreeSet<Identity>) -> Standings {
    let leaving: Vec<&Identity> = to_leave(plan, before).filter(|it| !left.contains(it)).collect();
    let leaves = |identity: &Identity| leaving.contains(&identity);
    let is_taken = |identity: &Identity, session: &str| {
        let others = leaving.iter().filter(|it| **it != identity).filter_map(|it| before.of(it));
        others.into_iter().any(|it| it.session == session)
    };
    let there = plan.agents().filter_map(|identity| {
        let standing = if leaves(identity) { before } else { plan }.of(identity)?;
        let comes = leaves(identity) || !is_taken(identity, &standing.session);
        comes.then(|| (identity.clone(), (*standing).clone()))
    });
    let gone = leaving.iter().filter(|it| plan.of(it).is_none());
    let gone = gone.filter_map(|it| Some(((*it).clone(), (*before.of(it)?).clone())));
    there.chain(gone).collect()
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
