//! Requests of an owner, handled one after the other, in the order in which they were made.
//!
//! The register is the truth: a request is done when the register says so. What cannot be found out now is retried;
//! what must not be done is reported as refused, and is then done with.

use std::time::Duration;

use super::{Owner, OwnerEvent};
use crate::agent::{
    confirmation::Observation,
    lifecycle::{Asked, Attempt, Event, StartEnd, StartOrder, State, StopEnd, StopOrder},
    observe::How,
    reason::Reason,
    requests::{Action, Stage},
    start, stop,
};

/// A request that could not be handled is tried again after this long.
const TRY_AGAIN: Duration = Duration::from_secs(5);
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
        if matches!(self.state(), State::Starting { .. } | State::Stopping { .. }) {
            return self.wake_start(); // a start of its own makes way
        }
        self.attending = Some(request);
        let probe = self.observe(How { for_request: true, ..How::default() });
        self.work
            .spawn(async move { OwnerEvent::RequestProbed(stage, probe.await) }, OwnerEvent::RequestLost);
    }

    pub(super) fn request_probed(&mut self, stage: Stage, seen: Observation) {
        let Some(request) = self.attending.clone() else { return };
        let why = match request.action {
            Action::Restart => format!("fresh start requested (mail {})", request.id),
            Action::Stop => format!("stop requested (mail {})", request.id),
        };
        let asked = Asked { action: request.action, why, stage, seen };
        self.apply(Event::Asked(asked));
        let at_it = matches!(self.state(), State::Starting { .. } | State::Stopping { .. });
        if !at_it && self.attending.take().is_some() {
            self.attend();
        }
    }

    /// Tries it again after [`TRY_AGAIN`].
    pub(super) fn put_off(&mut self) {
        self.attending = None;
        self.work.after(TRY_AGAIN, OwnerEvent::RequestDue);
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
        match outcome {
            Reason::RequestRefused(why) => {
                tracing::warn!(%agent, reason, "request by mail {} refused: {why}", request.id);
            }
            Reason::RequestPostponed(why) => {
                tracing::info!(%agent, reason, "request by mail {} postponed: {why}", request.id);
                return self.put_off();
            }
            _ => {}
        }
        self.deps.records.set_stage(&request, Stage::Done);
    }

    /// Makes a start; a requested one is noted before and after.
    pub(super) fn start(&mut self, order: StartOrder) {
        let (deps, spec, pulse) = (self.deps.clone(), self.spec.clone(), self.pulse.clone());
        let seen_alive = self.seen_alive;
        let request = self.attending.clone().filter(|_| order.attempt == Attempt::Asked);
        self.work.spawn(
            async move {
                if let Some(request) = &request {
                    let session = order.replace.as_ref().map(|replaced| replaced.session.clone());
                    deps.records.advance(&deps, request, Stage::Begun { session }).await;
                }
                let end = start::start(&deps, &spec, &order, &pulse, seen_alive).await;
                if let Some(request) = &request
                    && !matches!(end, StartEnd::Unclear(_))
                {
                    deps.records.advance(&deps, request, Stage::Done).await;
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
        let (agent, id) = (&self.spec.identity, &request.id);
        let why = match end {
            StartEnd::Refused(why) => why.to_string(),
            StartEnd::Unwanted(why) => why.to_string(),
            StartEnd::StoppedByHand(why)
            | StartEnd::Impossible(why)
            | StartEnd::NeverAppeared(why)
            | StartEnd::NotByGt(why) => why.clone(),
            StartEnd::Unclear(why) => {
                tracing::info!(%agent, reason = "request_postponed", "request by mail {id} postponed: {why}");
                return;
            }
            StartEnd::Up { .. }
            | StartEnd::Found(_)
            | StartEnd::Taken
            | StartEnd::Left { .. }
            | StartEnd::Ended(_) => return,
        };
        tracing::warn!(%agent, reason = "request_failed", "request by mail {id} failed: {why}");
    }
}
