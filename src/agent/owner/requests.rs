//! Requests of an owner, handled one after the other, in the order in which they were made.
//!
//! The register is the truth: a request is done when the register says so. What cannot be found out now is retried;
//! what must not be done is reported as refused, and is then done with.

use std::time::Duration;

use jiff::Timestamp;

use super::{Owner, OwnerEvent};
use crate::{
    agent::{
        confirmation::{Observation, Presence},
        denial::Denial,
        idleness,
        lifecycle::{Asked, Attempt, Event, StartEnd, StartOrder, State, StopEnd, StopOrder},
        observe::How,
        reason::{self, NO_AGENT_YET, Reason},
        requests::{self, Action, Outcome, Request, Stage},
        start, stop,
    },
    go_duration,
    ledger::snapshot::Hook,
    town::identity::Wanted,
};

/// A request that could not be handled is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// One of a command, after this long.
const TRY_SOON: Duration = Duration::from_secs(1);
/// At once, but in a later instant.
const A_MOMENT: Duration = Duration::from_millis(1);

impl Owner {
    /// Begins the next request for its agent, unless a request, start or stop is in progress: then the end of that
    /// checks again.
    pub fn attend(&mut self) {
        if self.attending.is_some() {
            return;
        }
        let Some((request, stage)) = self.deps.records.next_request(&self.spec.identity) else { return };
        if stage == Stage::Due && request.is_stale(self.deps.now().wall) {
            self.is_too_old(&request);
            return self.attend();
        }
        if matches!(self.state(), State::Starting { .. } | State::Stopping { .. }) {
            return self.wake_start(); // a start of its own makes way
        }
        let when_idle = request.by.as_ref().is_some_and(|by| by.when_idle);
        if self.tried.as_ref().is_none_or(|(id, _)| *id != request.id) {
            self.tried = Some((request.id.clone(), self.deps.now().wall));
        }
        self.attending = Some(request);
        let probe = self.observe(How { for_request: true, ..How::default() });
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        let probed = async move {
            let seen = probe.await;
            let busy = match &seen.presence {
                Presence::Alive(session) | Presence::Starting(session) if when_idle => {
                    idleness::busy(&deps, &spec, session).await
                }
                _ => None,
            };
            OwnerEvent::RequestProbed(stage, seen, busy)
        };
        self.work.spawn(probed, OwnerEvent::RequestLost);
    }

    pub(super) fn request_probed(&mut self, stage: Stage, seen: Observation, busy: Option<Denial>) {
        self.stopped = false;
        let Some(request) = self.attending.clone() else { return };
        // An earlier supervisor was about to end it, and had not: the session it meant still lives.
        let nothing_was_done = match (&stage, &seen.presence) {
            (Stage::Begun { session: Some(meant) }, Presence::Alive(lives) | Presence::Starting(lives)) => {
                meant == lives
            }
            _ => false,
        };
        if nothing_was_done && request.is_stale(self.deps.now().wall) {
            self.is_too_old(&request);
            self.attending = None;
            return self.attend();
        }
        let (action, why, by) = (request.action, request.why(), request.by);
        let asked = Asked { action, why, by, busy, stage, seen };
        self.apply(Event::Asked(Box::new(asked)));
        let at_it = matches!(self.state(), State::Starting { .. } | State::Stopping { .. });
        if !at_it && self.attending.take().is_some() {
            self.attend();
        }
    }

    /// When the request in progress was first tried.
    fn first_tried(&self) -> Timestamp {
        self.tried.as_ref().map_or_else(|| self.deps.now().wall, |(_, at)| *at)
    }

    fn is_too_old(&self, request: &Request) {
        let limit = go_duration::short(requests::STALE.unsigned_abs());
        tracing::warn!(agent = %self.spec.identity, reason = "request_failed", "request {} is too old", request.named());
        let outcome = Outcome::failed("too_old", format!("it was not begun within {limit}"));
        self.deps.records.set_outcome(request, outcome);
    }

    /// Tries it again a little later.
    pub(super) fn put_off(&mut self) {
        // Who gave a command waits for the answer.
        let by_command = self.attending.take().is_some_and(|request| request.is_awaited());
        let after = if by_command { TRY_SOON } else { TRY_AGAIN };
        self.work.after(after, OwnerEvent::RequestDue);
    }

    /// A start or stop ended: handles the next request, or the same one later.
    pub(super) fn attended(&mut self, unclear: bool) {
        if unclear && self.attending.is_some() {
            return self.put_off();
        }
        self.attending = None;
        // Not in this instant: a probe begun now may not show what was just done.
        if self.deps.records.open_requests(&self.spec.identity) > 0 {
            self.work.after(A_MOMENT, OwnerEvent::RequestDue);
        }
    }

    pub(super) fn request_came_to(&mut self, outcome: &Reason) {
        let Some(request) = self.attending.clone() else { return };
        let (agent, reason) = (&self.spec.identity, outcome.code());
        let named = request.named();
        let outcome = match outcome {
            Reason::RequestRefused(why) => {
                tracing::warn!(%agent, reason, "request {named} refused: {why}");
                Outcome::failed(why.code(), why.to_string())
            }
            Reason::RequestPostponed(why)
                if request.is_given_up(self.first_tried(), self.deps.now().wall) =>
            {
                tracing::warn!(%agent, reason = "request_failed", "request {named} given up: {why}");
                Outcome::failed("unclear", why)
            }
            Reason::RequestPostponed(why) => {
                tracing::info!(%agent, reason, "request {named} postponed: {why}");
                return self.put_off();
            }
            _ => self.carried_out(request.action),
        };
        self.deps.records.set_outcome(&request, outcome);
    }

    /// What a request came to that was carried out without a start.
    fn carried_out(&self, action: Action) -> Outcome {
        let hold = match self.state() {
            State::HeldOnRequest { hold } => hold,
            _ if action == Action::Stop => {
                return Outcome::failed("started_by_others", "it was stopped, and somebody started it again");
            }
            _ if action == Action::Start => return Outcome::done("already_running", "already running"),
            _ => return Outcome::done("started", "restarted"),
        };
        let until = match hold.until {
            _ if hold.down => "until the next `up`".to_owned(),
            Some(until) => format!("held until {}", reason::at_second(until)),
            None => "held until somebody starts it".to_owned(),
        };
        let identity = &self.spec.identity;
        let work = identity.rig().and_then(|rig| self.deps.snapshot(rig)?.hook(identity));
        let work = match (work, identity.facts().wanted) {
            (Some(Hook::Bead(bead)), Wanted::WithWork) => {
                format!("; {bead} stays on its hook, and nobody else works on it")
            }
            _ => String::new(),
        };
        match self.stopped {
            true => Outcome::done("stopped", format!("stopped, {until}{work}")),
            false => Outcome::done("not_running", format!("was not running, {until}{work}")),
        }
    }

    /// Makes a start; a requested one is noted before and after.
    pub(super) fn start(&mut self, order: StartOrder) {
        let (deps, spec, pulse) = (self.deps.clone(), self.spec.clone(), self.pulse.clone());
        let seen_alive = self.seen_alive;
        let request = self.attending.clone().filter(|_| order.attempt == Attempt::Asked);
        let first_tried = self.first_tried();
        let is_kept = self.spec.identity.role().wanted(&self.deps.settings()).is_kept();
        self.work.spawn(
            async move {
                if let Some(request) = &request {
                    let session = order.replace.as_ref().map(|replaced| replaced.session.clone());
                    deps.records.advance(&deps, request, Stage::Begun { session }).await;
                }
                let end = start::start(&deps, &spec, &order, &pulse, seen_alive).await;
                if let Some(request) = &request
                    && (!matches!(end, StartEnd::Unclear(_))
                        || request.is_given_up(first_tried, deps.now().wall))
                {
                    let outcome = came_to(&end, request.action, is_kept);
                    deps.records.finish(&deps, request, outcome).await;
                }
                OwnerEvent::StartEnded(end)
            },
            OwnerEvent::StartEnded(StartEnd::Unclear("start interrupted: its task panicked".into())),
        );
    }

    pub(super) fn stop(&mut self, order: StopOrder) {
        let (deps, spec, request) = (self.deps.clone(), self.spec.clone(), self.attending.clone());
        self.work.spawn(
            async move {
                if let Some(request) = &request {
                    let session = Some(order.session.clone());
                    deps.records.advance(&deps, request, Stage::Begun { session }).await;
                }
                OwnerEvent::StopEnded(stop::stop(&deps, &spec, &order).await)
            },
            OwnerEvent::StopEnded(StopEnd::Unclear("stop interrupted: its task panicked".into())),
        );
    }

    /// Reports the result of a requested start to people.
    pub(super) fn report_asked_start(&mut self, end: &StartEnd) {
        let State::Starting { order, .. } = self.state() else { return };
        let (Attempt::Asked, Some(request)) = (order.attempt, &self.attending) else { return };
        let (agent, named) = (&self.spec.identity, request.named());
        let why = match end {
            StartEnd::Refused(why) => why.to_string(),
            StartEnd::Unwanted(why) => why.to_string(),
            StartEnd::StoppedByHand(why)
            | StartEnd::NoProgram(why)
            | StartEnd::Impossible(why)
            | StartEnd::NeverAppeared(why)
            | StartEnd::NotByGt(why) => why.clone(),
            StartEnd::Unclear(why) => {
                tracing::info!(%agent, reason = "request_postponed", "request {named} postponed: {why}");
                return;
            }
            StartEnd::Up { .. }
            | StartEnd::Found(_)
            | StartEnd::Taken
            | StartEnd::Left { .. }
            | StartEnd::Ended(_) => return,
        };
        tracing::warn!(%agent, reason = "request_failed", "request {named} failed: {why}");
    }
}

/// What a requested start came to.
fn came_to(end: &StartEnd, action: Action, is_kept: bool) -> Outcome {
    let again = if is_kept { "; the supervisor tries it again" } else { "" };
    match end {
        StartEnd::Up { took, conversation, .. } => {
            let what = if action == Action::Restart { "restarted" } else { "started" };
            let conversation = conversation.as_ref().map(|begun| format!("; {begun}")).unwrap_or_default();
            Outcome::done("started", format!("{what} in {:.1}s{conversation}", took.as_secs_f64()))
        }
        StartEnd::Found(_) if action == Action::Start => Outcome::done("already_running", "already running"),
        StartEnd::Found(_) => Outcome::failed("found_running", "somebody else started it at the same time"),
        StartEnd::Taken => Outcome::failed("no_agent_yet", NO_AGENT_YET),
        // The client keeps waiting.
        StartEnd::Left { why, busy: true, .. } => Outcome::failed("busy", why.clone()),
        StartEnd::Left { why, .. } => Outcome::failed("start_given_up", format!("left running: {why}")),
        StartEnd::Refused(why) => Outcome::failed(why.code(), why.to_string()),
        StartEnd::Unwanted(why) => Outcome::failed(why.code(), why.to_string()),
        StartEnd::StoppedByHand(how) => {
            Outcome::failed("stopped_by_hand", format!("stopped by hand ({how})"))
        }
        StartEnd::Unclear(why) => Outcome::failed("unclear", format!("{why}{again}")),
        StartEnd::NoProgram(why)
        | StartEnd::Impossible(why)
        | StartEnd::NeverAppeared(why)
        | StartEnd::NotByGt(why) => Outcome::failed("start_failed", format!("start failed: {why}{again}")),
        StartEnd::Ended(_) => {
            Outcome::failed("ended_while_starting", format!("its session ended during the start{again}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::{confirmation::SessionKey, conversation::Begun, denial::Unwanted};

    #[test]
    fn what_starts_come_to() {
        let session = SessionKey { id: "$1".into(), created: jiff::Timestamp::UNIX_EPOCH };
        let up = |conversation| StartEnd::Up {
            session: session.clone(),
            took: Duration::from_millis(4_120),
            conversation,
        };
        let why = || "no program".to_owned();
        let (start, restart) = (Action::Start, Action::Restart);
        for (end, action, expected) in [
            (up(None), start, "started: started in 4.1s"),
            (up(None), restart, "started: restarted in 4.1s"),
            (
                up(Some(Begun::Resumes("1a2b3c4d-0".into()))),
                restart,
                "started: restarted in 4.1s; resumes conversation 1a2b3c4d",
            ),
            (StartEnd::Found(session.clone()), start, "already_running: already running"),
            (
                StartEnd::Found(session.clone()),
                restart,
                "! found_running: somebody else started it at the same time",
            ),
            (StartEnd::Taken, start, "! no_agent_yet: its session has no agent yet"),
            (
                StartEnd::Left { session: session.clone(), why: "it is working".into(), busy: true },
                restart,
                "! busy: it is working",
            ),
            (
                StartEnd::Left { session: session.clone(), why: "rig is parked".into(), busy: false },
                restart,
                "! start_given_up: left running: rig is parked",
            ),
            (
                StartEnd::Refused(Denial::EmergencyStop),
                start,
                "! emergency_stop: emergency stop of the town (ESTOP)",
            ),
            (StartEnd::Unwanted(Unwanted::NoWork), start, "! no_work: no work on its hook"),
            (
                StartEnd::StoppedByHand("`gt stop`".into()),
                start,
                "! stopped_by_hand: stopped by hand (`gt stop`)",
            ),
            (StartEnd::Unclear(why()), start, "! unclear: no program; the supervisor tries it again"),
            (
                StartEnd::NoProgram(why()),
                start,
                "! start_failed: start failed: no program; the supervisor tries it again",
            ),
            (
                StartEnd::Ended(session.clone()),
                start,
                "! ended_while_starting: its session ended during the start; the supervisor tries it again",
            ),
        ] {
            let Outcome { ok, code, text } = came_to(&end, action, true);
            let sign = if ok { "" } else { "! " };
            assert_eq!(format!("{sign}{code}: {text}"), expected, "{end:?}");
        }
    }
}
