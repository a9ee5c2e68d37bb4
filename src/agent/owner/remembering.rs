//! What an owner keeps of its agent for people: its history, and how it is since when.
//!
//! It decides nothing; what an owner must know itself is in its lifecycle.

use std::time::Duration;

use jiff::Timestamp;

use super::Owner;
use crate::{
    agent::{
        confirmation::{Observation, Permission, Sighting},
        history::{
            Entry, Kind,
            story::{self, Around, Before},
        },
        lifecycle::{Notice, State, Step},
        standing::Standing,
    },
    clock::Now,
    sessions::death::Death,
};

impl Owner {
    /// Goes on with what an earlier owner, or supervisor, told.
    pub(super) fn take_over_history(&mut self, now: Now) {
        let identity = &self.spec.identity;
        let before = self.deps.histories.standing(identity);
        if let Some((Standing::Starting, _)) = before {
            let seen = "its start was cut short by a fault or an end of ours";
            let entry = Entry::new(Kind::Ours, now.wall, seen, "looked at afresh");
            self.deps.histories.add(identity, entry.leading_to(Standing::Unknown, None));
        }
        self.settle(now);
    }

    /// Keeps that it was seen alive, or that what became of it is accounted for.
    pub(super) fn keep_life(&mut self, now: Now) {
        let identity = &self.spec.identity;
        let news = match (self.lifecycle.is_missed(), self.lifecycle.state()) {
            (true, State::Alive { session, .. }) => self.deps.lives.lives(identity, session, now.wall),
            (true, _) => false,
            (false, _) => self.deps.lives.is_accounted_for(identity),
        };
        if news {
            let deps = self.deps.clone();
            self.work.run(async move { drop(deps.lives.save(&deps).await) });
        }
    }

    /// Keeps what a step of the lifecycle means for its history.
    pub(super) fn keep_history(&mut self, before: Before, step: &Step, window: Duration, now: Now) {
        let life = step.notices.iter().find_map(|notice| match notice {
            Notice::Died(obituary) => obituary.session.clone(),
            _ => None,
        });
        let life = life.or_else(|| match self.lifecycle.state() {
            State::Confirming { before: Some(life), .. } => Some(life.session.clone()),
            _ => None,
        });
        let death = life.and_then(|session| self.death_of(&session.id));
        let request = self.attending.as_ref().map(|request| request.id.as_str());
        let around = Around { now, death, request, window };
        let entry = story::entry(before, &self.lifecycle, step, around);
        self.settle(now);
        let Some(entry) = entry else { return };
        let (histories, identity) = (&self.deps.histories, &self.spec.identity);
        if std::mem::replace(&mut self.has_told, true) {
            histories.add(identity, entry);
        } else {
            histories.add_if_news(identity, entry);
        }
    }

    /// One that lives is left as it is while nothing may be done to it: why nothing was done is part of its history.
    pub(super) fn note_permission(&mut self, seen: &Observation) {
        let why = match &seen.permission {
            Permission::Denied(why) => Some(why.clone()),
            Permission::Unknown(_) => return,
            Permission::Allowed => None,
        };
        if !self.is_alive() {
            self.left_alone = None;
            return;
        }
        let lives = matches!(seen.sighting, Sighting::Alive(_) | Sighting::Starting(_));
        if !lives || why == self.left_alone {
            return;
        }
        let entry = match &why {
            Some(why) => Entry::new(Kind::Change, seen.begun.wall, why, "not touched while that lasts"),
            None => Entry::new(
                Kind::Change,
                seen.begun.wall,
                "nothing stands in the way any more",
                "looked after again",
            ),
        };
        self.deps.histories.add(&self.spec.identity, entry);
        self.left_alone = why;
    }

    /// What was told of the end of this session.
    pub(super) fn death_of(&self, session: &str) -> Option<&Death> {
        self.last_death.as_ref().filter(|death| death.id == session)
    }

    /// How it is now, and since when.
    fn settle(&mut self, now: Now) {
        let standing = Standing::of(&self.lifecycle);
        let since = self.since(standing, now);
        self.standing = (standing, since);
        if standing != Standing::Unknown {
            self.deps.histories.stands(&self.spec.identity, standing, since);
        }
    }

    fn since(&self, standing: Standing, now: Now) -> Timestamp {
        let before = match self.standing {
            (Standing::Unknown, _) if standing != Standing::Unknown => {
                self.deps.histories.standing(&self.spec.identity)
            }
            before => Some(before),
        };
        let known = before.filter(|(before, _)| *before == standing).map(|(_, since)| since);
        match self.lifecycle.state() {
            // It may have begun another life unseen.
            State::Alive { session, .. } if standing == Standing::Alive => {
                let first_seen =
                    if self.standing.0 == Standing::Unknown { session.created } else { now.wall };
                known.unwrap_or(first_seen).max(session.created)
            }
            State::HeldOnRequest { hold } => known.unwrap_or(hold.since),
            _ => known.unwrap_or(now.wall),
        }
    }
}
