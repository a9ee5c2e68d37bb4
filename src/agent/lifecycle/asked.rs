//! Requests: somebody asked for an agent to be stopped, or ended and started again.

use super::{
    A_MOMENT, Asked, Attempt, Because, Decision, Lifecycle, Replacement, StartOrder, State, StopEnd,
    StopOrder, Surroundings,
};
use crate::{
    agent::{
        confirmation::{Permission, Presence, SessionKey},
        denial::{NotStarted, Unwanted},
        holds::Hold,
        reason::Reason,
        requests::{Action, ByCommand, Stage},
        restart,
    },
    ledger::snapshot::Hook,
};

impl Lifecycle {
    pub(super) fn asked(&mut self, asked: Asked, around: Surroundings<'_>) -> Decision {
        if matches!(self.state, State::Starting { .. } | State::Stopping { .. }) {
            return Decision::Leave; // handled when the start or stop has ended
        }
        let session = match may_be_attended_to(&asked) {
            Ok(_) if asked.seen.begun.mono < self.settled_at => {
                let why = "it changed during the probe".to_owned();
                self.reasons.push(Reason::RequestPostponed(why));
                return Decision::Leave;
            }
            Ok(session) => session,
            Err(outcome) => {
                self.reasons.push(outcome);
                return Decision::Leave;
            }
        };
        self.settled_at = asked.seen.begun.mono;
        self.is_seen();
        let lives = matches!(asked.seen.presence, Presence::Alive(_) | Presence::Starting(_));
        if let Stage::Begun { session: before } = &asked.stage
            && lives
            && *before != session
        {
            // The session to end is gone: an earlier owner, or the last supervisor, ended it.
            self.reasons.push(Reason::RequestCarriedOut);
            return Decision::Leave;
        }
        match asked.action {
            Action::Restart => {
                let replace = session.filter(|_| lives);
                self.restart_on_request(replace, asked, around)
            }
            Action::Stop => self.stop_on_request(session, asked, around),
            Action::Start if lives => {
                self.reasons.push(Reason::RequestCarriedOut);
                Decision::Leave
            }
            Action::Start => {
                restart::asked_for(&mut self.history);
                self.reasons.push(Reason::StartRequested(asked.why));
                self.begin(StartOrder { attempt: Attempt::Asked, replace: None }, around)
            }
        }
    }

    fn restart_on_request(
        &mut self,
        replace: Option<SessionKey>,
        asked: Asked,
        around: Surroundings<'_>,
    ) -> Decision {
        restart::asked_for(&mut self.history);
        let because = match asked.by {
            Some(by) => Because::ByCommand { when_idle: by.when_idle },
            None => Because::Asked,
        };
        let why = asked.why;
        self.reasons.push(Reason::RestartRequested { why: why.clone(), runs: replace.is_some() });
        let replace = replace.map(|session| Replacement { session, why, because });
        self.begin(StartOrder { attempt: Attempt::Asked, replace }, around)
    }

    fn stop_on_request(
        &mut self,
        session: Option<SessionKey>,
        asked: Asked,
        around: Surroundings<'_>,
    ) -> Decision {
        let (by, until) = (asked.by.as_ref().map(ByCommand::who), asked.by.as_ref().and_then(|by| by.until));
        let down = asked.by.as_ref().is_some_and(ByCommand::is_down);
        let of_file = asked.by.as_ref().is_some_and(|by| by.of_file);
        let hold = match &self.state {
            // Who stopped it meant it alone, and for longer than the town, or than a file that has it.
            State::HeldOnRequest { hold } if down || of_file && !hold.down => hold.clone(),
            _ => Hold { since: around.now.wall, why: asked.why, by, until, down, hook: None },
        };
        let when_idle = asked.by.is_some_and(|by| by.when_idle);
        self.is_accounted_for();
        self.reasons.push(Reason::StopRequested { why: hold.why.clone(), runs: session.is_some() });
        match session {
            Some(session) => {
                self.state = State::Stopping { session: session.clone(), hold: Some(hold) };
                Decision::Stop(StopOrder { session, when_idle })
            }
            None => {
                self.reasons.push(Reason::RequestCarriedOut);
                let ends = hold.until.is_some();
                self.state = State::HeldOnRequest { hold };
                // The end of a hold is awaited by probes.
                if ends { Decision::ProbeAgain(A_MOMENT) } else { Decision::Leave }
            }
        }
    }

    pub(super) fn stop_ended(&mut self, end: StopEnd, around: Surroundings<'_>) -> Decision {
        let State::Stopping { session, hold } = self.state.clone() else {
            return Decision::Leave;
        };
        self.acted(around);
        let Some(hold) = hold else { return self.idle_one_ended(session, end, around) };
        let outcome = match end {
            StopEnd::Ended => {
                self.reasons.push(Reason::StoppedOnRequest);
                Reason::RequestCarriedOut
            }
            StopEnd::Gone => Reason::RequestCarriedOut,
            StopEnd::Refused(why) => Reason::RequestRefused(why),
            StopEnd::Unclear(why) => Reason::RequestPostponed(why),
        };
        self.state = match outcome {
            Reason::RequestCarriedOut => State::HeldOnRequest { hold },
            _ => {
                self.missed = true;
                State::Alive { since: around.now, session, said_stopped: false }
            }
        };
        self.reasons.push(outcome);
        // The agent that lives there now is somebody else's, or needs to be probed again.
        Decision::ProbeAgain(A_MOMENT)
    }

    /// Ends an agent that is idle and has no work. It is not held: once it has work it is wanted again.
    pub(super) fn idle_for_long(&mut self, idle: &SessionKey, why: String) -> Decision {
        let State::Alive { session, .. } = &self.state else {
            return Decision::Leave;
        };
        if session != idle {
            return Decision::Leave;
        }
        let session = session.clone();
        self.is_accounted_for();
        self.reasons.push(Reason::Idle(why));
        self.state = State::Stopping { session: session.clone(), hold: None };
        Decision::Stop(StopOrder { session, when_idle: false })
    }

    fn idle_one_ended(&mut self, session: SessionKey, end: StopEnd, around: Surroundings<'_>) -> Decision {
        let left = match end {
            StopEnd::Ended | StopEnd::Gone => None,
            StopEnd::Refused(denial) => Some(denial.to_string()),
            StopEnd::Unclear(why) => Some(why),
        };
        self.state = match left {
            None => State::Absent { why: NotStarted::Unwanted(Unwanted::NoWork) },
            Some(why) => {
                self.missed = true;
                self.reasons.push(Reason::IdleLeft(why));
                State::Alive { since: around.now, session, said_stopped: false }
            }
        };
        Decision::ProbeAgain(A_MOMENT)
    }

    /// Releases a held polecat when its work is not the one it was stopped with, which the first probe after the stop
    /// shows.
    pub(super) fn hook(&mut self, now: Hook) -> Decision {
        let State::HeldOnRequest { hold } = &mut self.state else {
            return Decision::Leave;
        };
        match &hold.hook {
            _ if !hold.is_about_its_work() => {}
            Some(then) if *then == now => {}
            Some(_) => {
                self.reasons.push(Reason::HookChanged);
                self.state = State::Absent { why: NotStarted::WasStoppedOnRequest };
            }
            None => hold.hook = Some(now),
        }
        Decision::Leave
    }
}

/// Its session, if there is one; or why the request cannot be handled now.
fn may_be_attended_to(asked: &Asked) -> Result<Option<SessionKey>, Reason> {
    match &asked.seen.permission {
        Permission::Allowed => {}
        // It can be ended in any case, and started when that is over.
        Permission::Denied(why) if why.is_of_starts() && asked.action == Action::Stop => {}
        // Who gave a command waits for the answer.
        Permission::Denied(why)
            if why.is_of_starts() && !asked.by.as_ref().is_some_and(ByCommand::is_awaited) =>
        {
            return Err(Reason::RequestPostponed(why.to_string()));
        }
        Permission::Denied(why) => return Err(Reason::RequestRefused(why.clone())),
        Permission::Unknown(why) => return Err(Reason::RequestPostponed(why.clone())),
    }
    let busy = asked.busy.as_ref().filter(|_| asked.action != Action::Start);
    match (&asked.seen.presence, busy) {
        (Presence::Alive(_) | Presence::Starting(_), Some(busy)) => Err(Reason::RequestRefused(busy.clone())),
        (Presence::Absent, _) => Ok(None),
        (Presence::Alive(key) | Presence::Starting(key) | Presence::Dead(key), _) => Ok(Some(key.clone())),
        (Presence::Unknown(why), _) => Err(Reason::RequestPostponed(why.clone())),
    }
}
