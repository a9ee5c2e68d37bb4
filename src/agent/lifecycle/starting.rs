//! The start of an agent: what the restart policy allows, and how a start ends.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    A_MOMENT, ACCOUNT_RETRY, Attempt, Because, Decision, Lifecycle, Replacement, START_RETRY, StartEnd,
    StartOrder, State, Surroundings, WaitsFor, ending::stays_ended, time_until,
};
use crate::{
    agent::{
        confirmation::{Permission, SessionKey},
        denial::{Denial, NotStarted},
        ended::{Ended, Exit},
        phase::Phase,
        reason::{CrashLoop, Reason, Stuck},
        restart::{self, RestartHistory, Verdict, later},
    },
    town::identity::Wanted,
};

impl Lifecycle {
    /// Does what the restart policy decided.
    pub(super) fn follow(
        &mut self,
        verdict: Verdict,
        counted: bool,
        replace: Option<Replacement>,
        around: Surroundings<'_>,
    ) -> Decision {
        match verdict {
            Verdict::Now => self.start(self.attempt(counted), replace, !counted, around),
            Verdict::Trial => self.start(Attempt::Trial, replace, true, around),
            Verdict::At(until) => {
                let restart = self.history.restart_count + 1;
                self.reasons.push(Reason::Backoff(restart, until));
                self.state = State::Waiting { until, counted, paced: false, why: WaitsFor::Backoff(restart) };
                Decision::ProbeAgain(time_until(until, around.now))
            }
            Verdict::CrashLoop { trial_at, news } => {
                let began = news.then_some(around.policy.crash_loop_window);
                let restarts = self.history.restart_count;
                self.reasons.push(Reason::CrashLoop(CrashLoop { restarts, until: trial_at, began }));
                self.state = State::CrashLoop { trial_at };
                Decision::ProbeAgain(time_until(trial_at, around.now))
            }
        }
    }

    /// How the next start counts.
    pub(super) fn attempt(&self, counted: bool) -> Attempt {
        if counted { Attempt::Restart(self.history.restart_count + 1) } else { Attempt::Fresh }
    }

    /// Starts it. `paced`: its turn among the restarts after a mass death has come, or it needs none.
    pub(super) fn start(
        &mut self,
        attempt: Attempt,
        replace: Option<Replacement>,
        paced: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        if let Some(denial) = self.barred.clone().filter(|_| replace.is_none()) {
            return match denial.is_of_account() {
                true => self.wait_for_account(denial, around),
                false => self.absent(NotStarted::Denied(denial)),
            };
        }
        // A replacement of a live agent waits for no turn: it would be forgotten meanwhile.
        if !paced && replace.is_none() {
            self.takes_turn = true;
            if !around.pace.is_zero() {
                self.reasons.push(Reason::Paced(around.pace));
                let until = later(around.now.wall, around.pace);
                let counted = matches!(attempt, Attempt::Restart(_));
                self.state = State::Waiting { until, counted, paced: true, why: WaitsFor::Turn };
                return Decision::ProbeAgain(around.pace);
            }
        }
        if matches!(attempt, Attempt::Restart(_) | Attempt::Trial) {
            restart::restarted(&mut self.history, around.now.wall, around.policy);
        }
        self.begin(StartOrder { attempt, replace }, around)
    }

    /// Starts without further checks.
    pub(super) fn begin(&mut self, order: StartOrder, around: Surroundings<'_>) -> Decision {
        self.reasons.push(Reason::Starting { attempt: order.attempt, was: Phase::of(self) });
        self.is_accounted_for();
        self.state = State::Starting { since: around.now, order: order.clone() };
        Decision::Start(order)
    }

    pub(super) fn start_ended(&mut self, end: StartEnd, around: Surroundings<'_>) -> Decision {
        let State::Starting { since, order } = self.state.clone() else {
            return Decision::Leave; // the event of an earlier start
        };
        self.acted(around);
        let lives = matches!(end, StartEnd::Up { .. } | StartEnd::Found(_) | StartEnd::Left { .. });
        self.gave_up = !lives && !matches!(end, StartEnd::StoppedByHand(_));
        self.missed = lives;
        self.gt_failed = match (&end, self.gt_failed.take()) {
            (StartEnd::NotByGt(why), before) => {
                Some((before.map_or(0, |(times, _)| times).saturating_add(1), why.clone()))
            }
            // Nothing was done.
            (StartEnd::Unclear(_), before) => before,
            _ => None,
        };
        match end {
            StartEnd::Up { session, took, conversation } => {
                self.is_seen();
                self.reasons.push(Reason::Started { attempt: order.attempt, took });
                self.reasons.extend(conversation.map(Reason::Conversation));
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Found(session) => {
                self.is_seen();
                self.reasons.push(Reason::FoundRunning);
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Taken => {
                self.gave_up = false;
                self.reasons.push(Reason::SessionTaken);
                self.state = State::Absent { why: NotStarted::NoAgentYet };
                Decision::ProbeAgain(A_MOMENT)
            }
            StartEnd::Left { session, why, .. } => {
                self.is_seen();
                self.reasons.push(Reason::StartGivenUp(why));
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Refused(why) if why.is_of_account() && around.wanted.is_kept() => {
                self.wait_for_account(why, around)
            }
            StartEnd::Refused(why) => self.absent(NotStarted::Denied(why)),
            StartEnd::Unwanted(why) => self.absent(NotStarted::Unwanted(why)),
            StartEnd::StoppedByHand(how) => self.leave_alone(false, how, around),
            // Boot is tried again when it is needed again.
            StartEnd::NoProgram(why) | StartEnd::Impossible(why) | StartEnd::Unclear(why)
                if around.wanted == Wanted::Oneshot =>
            {
                self.reasons.push(Reason::StartFailed(why));
                self.absent(NotStarted::StartFailed)
            }
            StartEnd::Unclear(why) => {
                self.wait_for_another_try(why, around);
                // A session may have been created all the same; what lives there must be known before anything ends it.
                Decision::ProbeAgain(A_MOMENT)
            }
            StartEnd::NoProgram(why) | StartEnd::Impossible(why) => {
                self.wait_for_another_try(why, around);
                Decision::ProbeAgain(START_RETRY)
            }
            StartEnd::NeverAppeared(why) | StartEnd::NotByGt(why) => {
                self.reasons.push(Reason::StartFailed(why));
                if stays_ended(Exit::Unknown, around) {
                    return self.absent(NotStarted::Ended(Ended::new(around.now.wall, Exit::Unknown)));
                }
                if let Some(denial) = around.account.filter(|_| around.wanted.is_kept()) {
                    return self.wait_for_account(denial.clone(), around);
                }
                if around.wanted.is_kept() {
                    return self.died(Duration::ZERO, around);
                }
                self.absent(NotStarted::StartFailed)
            }
            StartEnd::Ended(session) => {
                self.reasons.push(Reason::EndedWhileStarting);
                self.state = State::Alive { since, session, said_stopped: false };
                // Only a fresh probe shows which commands were running.
                Decision::ProbeAgain(A_MOMENT)
            }
        }
    }

    /// Its account forbids to start it: it waits until it is [released](Self::released). It did not crash.
    pub(super) fn wait_for_account(&mut self, denial: Denial, around: Surroundings<'_>) -> Decision {
        if !matches!(&self.state, State::Waiting { why: WaitsFor::Account(_), .. }) {
            self.reasons.push(Reason::NotStarted(NotStarted::Denied(denial.clone())));
        }
        self.is_accounted_for();
        let until = match &denial {
            Denial::UsageLimit { until: Some(until), .. } => (*until).max(around.now.wall),
            _ => around.now.wall,
        };
        let until = later(until, ACCOUNT_RETRY);
        self.state = State::Waiting { until, counted: false, paced: true, why: WaitsFor::Account(denial) };
        Decision::ProbeAgain(time_until(until, around.now))
    }

    /// Its turn has come: it is started by the probe that follows, if that still shows that it should.
    pub(super) fn released(&mut self, around: Surroundings<'_>) -> Decision {
        match &self.state {
            State::Waiting { why: WaitsFor::Account(_), .. } => {
                self.wait_until(around.now.wall, WaitsFor::Released, around)
            }
            // An earlier supervisor let it wait.
            State::Unseen | State::Absent { .. } => Decision::ProbeAgain(Duration::ZERO),
            _ => Decision::Leave,
        }
    }

    fn wait_for_another_try(&mut self, why: String, around: Surroundings<'_>) {
        let until = later(around.now.wall, START_RETRY);
        self.reasons.push(Reason::StartPostponed(why.clone()));
        self.state = State::Waiting { until, counted: false, paced: true, why: WaitsFor::AnotherTry(why) };
    }

    /// The checks of its health say that it is not well in this session.
    pub(super) fn unhealthy(
        &mut self,
        checked: &SessionKey,
        why: String,
        permission: &Permission,
        around: Surroundings<'_>,
    ) -> Decision {
        match &self.state {
            State::Alive { session, .. } if session == checked => {
                self.replace(why, Because::Unhealthy, permission, around)
            }
            _ => Decision::Leave,
        }
    }

    /// Replaces a live agent, as soon as the restart policy allows that.
    pub(super) fn replace(
        &mut self,
        why: String,
        because: Because,
        permission: &Permission,
        around: Surroundings<'_>,
    ) -> Decision {
        let State::Alive { session, .. } = self.state.clone() else {
            return Decision::Leave; // another state handles it already
        };
        if *permission != Permission::Allowed {
            return Decision::Leave;
        }
        let lived = around.now.age_of(session.created);
        let before = self.history.clone();
        let verdict =
            restart::to_replace(&mut self.history, around.now.wall, lived, around.policy, around.jitter);
        match verdict {
            Verdict::Now | Verdict::Trial => {
                self.reasons.push(not_well(because, why.clone(), Stuck::Replaced));
                let replacement = Replacement { session, why, because };
                self.follow(verdict, true, Some(replacement), around)
            }
            // It stays alive: it is ended for a restart only if the start is allowed now.
            Verdict::CrashLoop { trial_at, news: true } => {
                let restarts = self.history.restart_count;
                let began = Some(around.policy.crash_loop_window);
                self.reasons.push(Reason::CrashLoop(CrashLoop { restarts, until: trial_at, began }));
                self.reasons.push(not_well(because, why, Stuck::CrashLoop(restarts)));
                Decision::Leave
            }
            Verdict::At(until) if self.history != before => {
                let done = Stuck::Waits(self.history.restart_count + 1, until);
                self.reasons.push(not_well(because, why, done));
                Decision::Leave
            }
            Verdict::At(_) | Verdict::CrashLoop { .. } => Decision::Leave,
        }
    }

    /// Starts an agent that runs only when needed, unless another state handles it already.
    pub(super) fn needed(
        &mut self,
        why: String,
        replaces: Option<SessionKey>,
        around: Surroundings<'_>,
    ) -> Decision {
        let replace = match (&self.state, replaces) {
            (State::Alive { session, .. }, Some(old)) if *session == old => {
                Some(Replacement { session: old, why: why.clone(), because: Because::Asked })
            }
            // The start clears away what is left of it.
            (State::Unseen | State::Absent { .. }, _) => None,
            _ => return Decision::Leave,
        };
        self.reasons.push(Reason::Needed(why));
        self.begin(StartOrder { attempt: Attempt::Fresh, replace }, around)
    }

    /// Forgets its restarts and starts it now if it waits or is held, and if that is allowed.
    pub(super) fn cleared(&mut self, around: Surroundings<'_>) -> Decision {
        self.history = RestartHistory::default();
        if !self.is_let_go(Reason::BackoffCleared) {
            return Decision::Leave;
        }
        self.wait_until(around.now.wall, WaitsFor::Cleared, around)
    }

    pub(super) fn remembered(&mut self, history: RestartHistory, around: Surroundings<'_>) -> Decision {
        if self.history == history {
            return Decision::Leave;
        }
        self.history = history;
        // Clearing the restart state also ends a hold.
        if !self.is_let_go(Reason::RestartStateChanged) {
            return Decision::Leave;
        }
        match restart::without_death(&self.history, around.now.wall, around.policy) {
            Verdict::Now => self.wait_until(around.now.wall, WaitsFor::Changed, around),
            Verdict::At(until) => self.wait_until(until, WaitsFor::Changed, around),
            Verdict::Trial => {
                self.state = State::CrashLoop { trial_at: around.now.wall };
                Decision::ProbeAgain(Duration::ZERO)
            }
            Verdict::CrashLoop { trial_at, .. } => {
                self.state = State::CrashLoop { trial_at };
                Decision::ProbeAgain(time_until(trial_at, around.now))
            }
        }
    }

    /// Whether a hold, wait or crash loop delays its start, which the caller ends; reports this reason if so.
    fn is_let_go(&mut self, why: Reason) -> bool {
        if self.is_delayed() {
            self.reasons.push(why);
        }
        self.is_delayed()
    }

    fn wait_until(&mut self, until: Timestamp, why: WaitsFor, around: Surroundings<'_>) -> Decision {
        self.state = State::Waiting { until, counted: false, paced: true, why };
        Decision::ProbeAgain(time_until(until, around.now))
    }
}

/// What is reported of a live agent that is to be replaced.
fn not_well(because: Because, why: String, done: Stuck) -> Reason {
    match because {
        Because::Unhealthy => Reason::Unhealthy { why, done },
        _ => Reason::Stuck { why, done },
    }
}
