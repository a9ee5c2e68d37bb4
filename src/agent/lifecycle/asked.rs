//! Requests: an agent is to be stopped, or ended and started afresh, because somebody asked for it.

use super::{
    A_MOMENT, Asked, Attempt, Because, Decision, Lifecycle, Notice, Outcome, Replacement, StartOrder, State,
    StopEnd, StopOrder, Surroundings, told,
};
use crate::{
    agent::{
        confirmation::{Permission, SessionKey, Sighting},
        holds::{Hold, Hook},
        restart,
    },
    lifecycle::{register::Stage, rules::Action},
};

impl Lifecycle {
    pub(super) fn asked(&mut self, asked: Asked, around: Surroundings<'_>) -> Decision {
        if matches!(self.state, State::Starting { .. } | State::Stopping { .. }) {
            return Decision::Leave; // attended to when that has ended
        }
        let session = match may_be_attended_to(&asked) {
            Ok(_) if asked.seen.begun.mono < self.settled_at => {
                let why = "it changed while it was looked at".to_owned();
                self.notices.push(Notice::Request(Outcome::Unclear(why)));
                return Decision::Leave;
            }
            Ok(session) => session,
            Err(outcome) => {
                self.notices.push(Notice::Request(outcome));
                return Decision::Leave;
            }
        };
        self.settled_at = asked.seen.begun.mono;
        self.is_seen();
        let lives = matches!(asked.seen.sighting, Sighting::Alive(_) | Sighting::Starting(_));
        if let Stage::Begun { session: before } = &asked.stage
            && lives
            && *before != session
        {
            // The session that was to end is gone: an earlier owner, or the last supervisor, got that far.
            self.notices.push(Notice::Request(Outcome::Carried));
            return Decision::Leave;
        }
        match asked.action {
            Action::Restart => {
                let replace = session.filter(|_| lives);
                self.start_on_request(replace, asked.why, around)
            }
            Action::Stop => self.stop_on_request(session, asked, around),
        }
    }

    fn start_on_request(
        &mut self,
        replace: Option<SessionKey>,
        why: String,
        around: Surroundings<'_>,
    ) -> Decision {
        if let State::HeldOnRequest { .. } = self.state {
            self.notices.push(Notice::Hold(None));
        }
        let before = self.history.clone();
        restart::asked_for(&mut self.history);
        if self.history != before {
            self.notices.push(Notice::Keep(self.history.clone()));
        }
        self.notices.push(match replace {
            Some(_) => told(why.as_str(), "; ", "ending it and starting it afresh"),
            None => told(why.as_str(), "; ", "starting it"),
        });
        let replace = replace.map(|session| Replacement { session, why, because: Because::Asked });
        self.is_accounted_for();
        let order = StartOrder { attempt: Attempt::Asked, replace };
        self.state = State::Starting { since: around.now, order: order.clone() };
        Decision::Start(order)
    }

    fn stop_on_request(
        &mut self,
        session: Option<SessionKey>,
        asked: Asked,
        around: Surroundings<'_>,
    ) -> Decision {
        let hold = Hold { since: around.now.wall, why: asked.why, hook: None };
        self.is_accounted_for();
        self.notices.push(Notice::Hold(Some(hold.clone())));
        match session {
            Some(session) => {
                self.notices.push(told(hold.why.as_str(), "; ", "ending it"));
                self.state = State::Stopping { session: session.clone(), hold };
                Decision::Stop(StopOrder { session })
            }
            None => {
                self.notices.push(told(hold.why.as_str(), "; ", "it is not running, and left so"));
                self.notices.push(Notice::Request(Outcome::Carried));
                self.state = State::HeldOnRequest { hold };
                Decision::Leave
            }
        }
    }

    pub(super) fn stop_ended(&mut self, end: StopEnd, around: Surroundings<'_>) -> Decision {
        let State::Stopping { session, hold } = self.state.clone() else {
            return Decision::Leave;
        };
        self.acted(around);
        let outcome = match end {
            StopEnd::Ended => {
                self.notices.push(told("was stopped on request", ", and ", "left so"));
                Outcome::Carried
            }
            StopEnd::Gone => Outcome::Carried,
            StopEnd::Refused(why) => Outcome::Refused(why),
            StopEnd::Unclear(why) => Outcome::Unclear(why),
        };
        self.state = match outcome {
            Outcome::Carried => State::HeldOnRequest { hold },
            Outcome::Refused(_) | Outcome::Unclear(_) => {
                self.notices.push(Notice::Hold(None));
                self.missed = true;
                State::Alive { since: around.now, session, said_stopped: false }
            }
        };
        self.notices.push(Notice::Request(outcome));
        // Whoever lives there now is somebody else's, or must be looked after again.
        Decision::LookAgain(A_MOMENT)
    }

    /// A polecat with other work than when it was stopped is let go; what it had is known from the first look after that.
    pub(super) fn hook(&mut self, now: Hook) -> Decision {
        let State::HeldOnRequest { hold } = &mut self.state else {
            return Decision::Leave;
        };
        match &hold.hook {
            Some(then) if *then == now => {}
            Some(_) => {
                let seen = "was stopped on request; its hook changed";
                self.notices.push(told(seen, ", and ", "it is held no longer"));
                self.notices.push(Notice::Hold(None));
                self.state = State::Absent { why: "it was stopped on request".to_owned(), paused: false };
            }
            None => {
                hold.hook = Some(now);
                self.notices.push(Notice::Hold(Some(hold.clone())));
            }
        }
        Decision::Leave
    }
}

/// Its session, if there is one; or why the request cannot be attended to now.
fn may_be_attended_to(asked: &Asked) -> Result<Option<SessionKey>, Outcome> {
    match &asked.seen.permission {
        Permission::Allowed => {}
        Permission::Denied(why) => return Err(Outcome::Refused(why.clone())),
        Permission::Unknown(why) => return Err(Outcome::Unclear(why.clone())),
    }
    match &asked.seen.sighting {
        Sighting::Absent => Ok(None),
        Sighting::Alive(key) | Sighting::Starting(key) | Sighting::Dead(key) => Ok(Some(key.clone())),
        Sighting::Unknown(why) => Err(Outcome::Unclear(why.clone())),
    }
}
