//! What an owner records of its agent for people: its history, and its state and since when.
//!
//! It decides nothing; what the owner itself needs is in its lifecycle.

use jiff::Timestamp;

use super::Owner;
use crate::{
    agent::{
        confirmation::{Observation, Permission, Presence},
        ended::{Cause, Occasion, starts_again},
        history::{Ending, Entry, Kind, story},
        lifecycle::{Before, State},
        phase::Phase,
        reason::{HoldOver, Reason},
    },
    clock::Now,
    deps::Deps,
    sessions::death::Death,
    town::identity::Identity,
};

/// Whether the hold of an agent ends because its supervisor starts, and its file says so. It is reported.
pub(super) fn is_let_go(deps: &Deps, identity: &Identity, before: &Before, now: Now) -> bool {
    let Some(standing) = deps.standing(identity) else { return false };
    let until_further_notice = before.hold.as_ref().is_some_and(|hold| hold.until.is_none());
    // An actor that crashed left its lifecycle.
    let is_let_go = before.lifecycle.is_none()
        && until_further_notice
        && starts_again(standing.restart, Cause::Stopped, Occasion::SupervisorStarts);
    if is_let_go {
        let reason = Reason::HoldOver(HoldOver::SupervisorStarts);
        tracing::info!(agent = %identity, reason = reason.code(), "{}", reason.words().line());
        deps.records.happened(identity, Entry::of(&reason, Kind::Change, now.wall));
    }
    is_let_go
}

impl Owner {
    /// Continues the history that an earlier owner or supervisor wrote.
    pub(super) fn take_over_history(&mut self, now: Now) {
        let identity = &self.spec.identity;
        let before = self.deps.records.phase(identity);
        if let Some((Phase::Starting, _)) = before {
            let entry = Entry::of(&Reason::StartInterrupted, Kind::Ours, now.wall);
            self.deps.records.happened(identity, entry.leading_to(Phase::Unknown, None));
        }
        self.settle(now);
    }

    /// Records what happened in a step of the lifecycle.
    pub(super) fn keep_history(&mut self, reasons: &[Reason], now: Now) {
        let request = self.attending.as_ref();
        let request = request.map(|it| it.by.as_ref().map_or_else(|| it.id.clone(), ToString::to_string));
        let entry = story::entry(&self.lifecycle, reasons, request.as_deref(), now);
        self.settle(now);
        let Some(entry) = entry else { return };
        let entry = entry.dying(self.ending(reasons));
        let (records, identity) = (&self.deps.records, &self.spec.identity);
        if std::mem::replace(&mut self.has_reported, true) {
            records.happened(identity, entry);
        } else {
            records.happened_if_news(identity, entry);
        }
    }

    /// How it died, if it did in this step. Its screen is kept from here on, unless the settings forbid that.
    fn ending(&self, reasons: &[Reason]) -> Option<Ending> {
        let died = |reason: &_| match reason {
            Reason::Died(report) => Some(report.clone()),
            _ => None,
        };
        let report = reasons.iter().find_map(died)?;
        let is_kept = self.deps.settings().history.last_screen;
        let session = report.session.as_ref().filter(|_| is_kept);
        let screen = session.and_then(|it| self.deps.records.screen(&self.spec.identity, Some(&it.id)));
        Some(Ending::of(&report, screen.as_ref().map(|it| (it.lines.as_slice(), it.at))))
    }

    /// Records why nothing is done to a live agent, while nothing may be done.
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
        let lives = matches!(seen.presence, Presence::Alive(_) | Presence::Starting(_));
        if !lives || why == self.left_alone {
            return;
        }
        let reason = why.clone().map_or(Reason::Supervised, Reason::LeftAlone);
        self.deps.records.happened(&self.spec.identity, Entry::of(&reason, Kind::Change, seen.begun.wall));
        self.left_alone = why;
    }

    /// The report of the end of this session.
    pub(super) fn death_of(&self, session: &str) -> Option<&Death> {
        self.last_death.as_ref().filter(|death| death.id == session)
    }

    /// Updates its state for people, and since when.
    fn settle(&mut self, now: Now) {
        let phase = Phase::of(&self.lifecycle);
        let since = self.since(phase, now);
        self.phase = (phase, since);
        if phase != Phase::Unknown {
            self.deps.records.set_phase(&self.spec.identity, phase, since);
        }
    }

    fn since(&self, phase: Phase, now: Now) -> Timestamp {
        let before = match self.phase {
            (Phase::Unknown, _) if phase != Phase::Unknown => self.deps.records.phase(&self.spec.identity),
            before => Some(before),
        };
        let known = before.filter(|(before, _)| *before == phase).map(|(_, since)| since);
        match self.lifecycle.state() {
            // A new life may have begun unseen.
            State::Alive { session, .. } if phase == Phase::Alive => {
                let first_seen = if self.phase.0 == Phase::Unknown { session.created } else { now.wall };
                known.unwrap_or(first_seen).max(session.created)
            }
            State::HeldOnRequest { hold } => known.unwrap_or(hold.since),
            _ => known.unwrap_or(now.wall),
        }
    }
}
