//! The lifecycle: the one state machine of every agent the supervisor keeps running.
//!
//! An event goes in (an observation, the end of a start, the wish for a replacement) and a [`Step`] comes out: what
//! to do next, and what happened. The state holds the data of that state only. Everything else that is reported about
//! an agent (status, log, events, mails) is a rendering of the [`Reason`]s given here, so that confirmation, backoff,
//! gate, hold and crash loop live in one place for all roles.
//!
//! It must not wait, read a clock, or touch anything: `now`, the policy and the jitter are passed in.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    confirmation::{Observation, Permission, Presence, SessionKey, StateFile},
    denial::{Denial, NotStarted},
    ended::Ended,
    holds::Hold,
    phase::Phase,
    reason::{NO_AGENT_YET, Reason},
    restart::{self, RestartHistory},
    waits::Wait,
};
use crate::{clock::Now, operator::rules::Operation};

mod asked;
mod ending;
mod order;
mod starting;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use order::{Attempt, Because, Replacement, StartEnd, StartOrder, StopEnd, StopOrder};
pub use state::{HeldSince, Life, State, WaitsFor};
pub use step::{Asked, Decision, Event, Step, Surroundings};

/// How long after a failed start (no program, tmux refused) it is probed again.
const START_RETRY: Duration = Duration::from_secs(30);

/// How long after the expected end of what holds its account an agent looks by itself whether that is over.
const ACCOUNT_RETRY: Duration = Duration::from_secs(15 * 60);

/// The longest a restart may wait for its turn after a mass death.
const LONGEST_TURN: Duration = Duration::from_secs(15 * 60);

/// How long after somebody else started a session its state file is read again, if it says `stopped`.
const STATE_FILE_SETTLES: Duration = Duration::from_secs(1);

/// The interval of probes of an agent that may have been stopped or removed on purpose.
const WHILE_AT_WORK: Duration = Duration::from_millis(500);

/// The interval of probes of a session in which an agent may come up.
const WHILE_COMING_UP: Duration = Duration::from_secs(1);

/// The least time between an inconclusive probe and the next one.
const UNCLEAR_RETRY: Duration = Duration::from_secs(5);

/// At once, but in a later instant: a probe begun in the same instant as an action may not show it.
const A_MOMENT: Duration = Duration::from_millis(1);

/// What is known of an agent before its actor probes it.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The lifecycle of its earlier actor.
    pub lifecycle: Option<Lifecycle>,
    /// Its hold, when it was stopped on request.
    pub hold: Option<Hold>,
    /// Its wait, when it is tried again later.
    pub wait: Option<Wait>,
    /// Its end, when it is not started again after that.
    pub ended: Option<Ended>,
    /// It was seen alive, and its end is not accounted for.
    pub missed: bool,
}

/// One agent's lifecycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    state: State,
    history: RestartHistory,
    /// Why the last probe was inconclusive, while that lasts.
    doubt: Option<Doubt>,
    /// The last probe could not even say whether it runs.
    out_of_sight: bool,
    /// Its last start was given up, whatever that left behind.
    gave_up: bool,
    /// How often in a row `gt` did not start it, and why the last time; `None` when another start ended otherwise, or it runs.
    gt_failed: Option<(u32, String)>,
    /// The session in which it lived last, when its process ended there.
    ended_in: Option<SessionKey>,
    /// When the last start ended, or the newest probe that was used began (monotonic); older probes are out of date.
    settled_at: Duration,
    /// The commands that were running when an earlier owner noticed an end that it could not judge any more.
    suspects: Vec<Operation>,
    /// It was seen alive, by us or by an earlier supervisor, and its end is not accounted for. Only then is its end a
    /// death: an agent does not die twice, nor of an intended stop.
    missed: bool,
    /// What happened in the current step; returned with it.
    reasons: Vec<Reason>,
    /// Whether a restart took its turn in the current step.
    takes_turn: bool,
    /// Why its account, or another agent that it waits for, forbids to start it, in the current step.
    barred: Option<Denial>,
}

/// Why a probe was inconclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doubt {
    /// Its session exists, and an agent may come up in it.
    ComingUp,
    /// Something could not be found out, and why.
    Unknown(String),
    /// It does not run, and whether it may be started could not be found out, and why.
    Permission(String),
}

impl Lifecycle {
    /// An agent that has not been probed yet.
    pub fn new(history: RestartHistory) -> Self {
        Lifecycle {
            state: State::Unseen,
            history,
            doubt: None,
            out_of_sight: false,
            gave_up: false,
            gt_failed: None,
            ended_in: None,
            settled_at: Duration::ZERO,
            suspects: Vec::new(),
            missed: false,
            reasons: Vec::new(),
            takes_turn: false,
            barred: None,
        }
    }

    /// An agent that an earlier actor or supervisor had. What still holds of its state is continued, but it is probed
    /// first.
    pub fn resumed(history: RestartHistory, before: Before, now: Now) -> Self {
        let Before { lifecycle, hold, wait, ended, missed } = before;
        let (state, suspects) = match (hold, lifecycle.map(|it| it.handed_over(now)), wait) {
            (Some(hold), ..) => (State::HeldOnRequest { hold }, Vec::new()),
            (None, Some((state, suspects)), None) => (state, suspects),
            (None, Some((state, suspects)), _) if state != State::Unseen => (state, suspects),
            (None, _, Some(Wait { until, own })) => {
                let why = WaitsFor::OwnEnd(own);
                (State::Waiting { until, counted: false, paced: true, why }, Vec::new())
            }
            (None, None, None) => (State::Unseen, Vec::new()),
        };
        let (state, suspects) = match ended {
            Some(ended) if state == State::Unseen => {
                (State::Absent { why: NotStarted::Ended(ended) }, Vec::new())
            }
            _ => (state, suspects),
        };
        Lifecycle { state, suspects, missed, ..Lifecycle::new(history) }
    }

    /// What of its state outlives an actor: a life, a hold, a wait; and the commands that were running when an end
    /// was noticed.
    fn handed_over(self, now: Now) -> (State, Vec<Operation>) {
        match self.state {
            State::Alive { session, said_stopped, .. } => {
                (State::Alive { since: now, session, said_stopped }, self.suspects)
            }
            State::Confirming { before: Some(Life { session, said_stopped, .. }), involved, .. } => {
                (State::Alive { since: now, session, said_stopped }, involved)
            }
            state @ (State::Held { .. } | State::HeldOnRequest { .. } | State::Waiting { .. }) => {
                (state, Vec::new())
            }
            _ => (State::Unseen, Vec::new()),
        }
    }

    /// Whether it was seen alive and its end is not accounted for.
    pub fn is_missed(&self) -> bool {
        self.missed
    }

    /// Whether it is to be started again, because it died or its start failed.
    pub fn is_due(&self) -> bool {
        matches!(self.state, State::Waiting { .. } | State::CrashLoop { .. } | State::Starting { .. })
    }

    /// Whether a hold, wait or crash loop delays its start.
    pub fn is_delayed(&self) -> bool {
        matches!(
            self.state,
            State::Waiting { .. }
                | State::CrashLoop { .. }
                | State::Held { .. }
                | State::HeldOnRequest { .. }
        )
    }

    /// Marks its end as accounted for, until it is seen alive again.
    fn is_accounted_for(&mut self) {
        self.missed = false;
    }

    /// Its current state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its restart history.
    pub fn history(&self) -> &RestartHistory {
        &self.history
    }

    /// Why `gt` did not start it, when that was its last start and it has not run since.
    pub fn gt_failed(&self) -> Option<&str> {
        self.gt_failed.as_ref().map(|(_, why)| why.as_str())
    }

    /// How often in a row that happened, with the last reason.
    pub fn gt_failures(&self) -> Option<(u32, String)> {
        self.gt_failed.clone()
    }

    /// Why the last probe was inconclusive; `None` when it was not.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_ref().map(|doubt| match doubt {
            Doubt::ComingUp => NO_AGENT_YET,
            Doubt::Unknown(why) | Doubt::Permission(why) => why,
        })
    }

    /// Its hold on request; `None` when it has none.
    pub fn hold(&self) -> Option<&Hold> {
        match &self.state {
            State::Stopping { hold, .. } => hold.as_ref(),
            State::HeldOnRequest { hold } => Some(hold),
            _ => None,
        }
    }

    /// Its wait after an end for a reason of its own; `None` when it has none.
    pub fn wait(&self) -> Option<Wait> {
        match &self.state {
            State::Waiting { until, why: WaitsFor::OwnEnd(own), .. } => {
                Some(Wait { until: *until, own: own.clone() })
            }
            _ => None,
        }
    }

    /// Its end, when it is not started again after that.
    pub fn ended(&self) -> Option<Ended> {
        match &self.state {
            State::Absent { why: NotStarted::Ended(ended) } => Some(*ended),
            _ => None,
        }
    }

    /// Whether the last probe could not say if it runs: what is known of it is older.
    pub fn is_out_of_sight(&self) -> bool {
        self.out_of_sight
    }

    /// Whether its session ended during its last start, and it was not probed since.
    pub fn has_just_ended(&self) -> bool {
        self.gave_up && matches!(self.state, State::Alive { .. })
    }

    /// Whether it was seen not to run, and is not started as nobody knows whether that is allowed.
    pub fn waits_for_permission(&self) -> bool {
        matches!(self.doubt, Some(Doubt::Permission(_)))
    }

    /// Takes one event and returns what follows.
    pub fn apply(&mut self, event: Event, around: Surroundings<'_>) -> Step {
        let before = (Phase::of(self), self.doubt.is_some(), self.state == State::Unseen);
        let decision = match event {
            Event::Seen(seen) => self.seen(&seen, false, around),
            Event::Probed(seen) => self.seen(&seen, true, around),
            Event::StartEnded(end) => self.start_ended(end, around),
            Event::Replace { why, heartbeat, permission } => {
                self.replace(why, Because::HeartbeatAt(heartbeat), &permission, around)
            }
            Event::Unhealthy { session, why, permission } => {
                self.unhealthy(&session, why, &permission, around)
            }
            Event::Needed { why, replaces } => self.needed(why, replaces, around),
            Event::Remembered(history) => self.remembered(history, around),
            Event::Cleared => self.cleared(around),
            Event::Released => self.released(around),
            Event::Asked(asked) => self.asked(*asked, around),
            Event::Idle { session, why } => self.idle_for_long(&session, why),
            Event::StopEnded(end) => self.stop_ended(end, around),
            Event::Hook(hook) => self.hook(hook),
        };
        if self.reasons.is_empty() {
            self.reasons.extend(self.change_of_knowledge(before));
        }
        let takes_turn = std::mem::take(&mut self.takes_turn);
        self.barred = None;
        Step { decision, reasons: std::mem::take(&mut self.reasons), takes_turn }
    }

    /// The reason to report when nothing happened to it, but what is known of it changed.
    fn change_of_knowledge(&self, (phase, doubted, unseen): (Phase, bool, bool)) -> Option<Reason> {
        match (&self.state, &self.doubt) {
            (State::Alive { .. } | State::Absent { .. }, _)
                if phase == Phase::Unknown && !unseen && !self.out_of_sight =>
            {
                Some(Reason::ObservedAgain)
            }
            // A start is in progress, and its end is reported.
            (_, Some(Doubt::Unknown(why) | Doubt::Permission(why))) if !doubted => {
                Some(Reason::Unclear { out_of_sight: self.out_of_sight, why: why.clone() })
            }
            _ => None,
        }
    }

    fn doubts(&mut self, why: &str) {
        self.doubt = Some(Doubt::Unknown(why.to_owned()));
    }

    fn seen(&mut self, seen: &Observation, asked_for: bool, around: Surroundings<'_>) -> Decision {
        if matches!(self.state, State::Starting { .. } | State::Stopping { .. }) {
            return Decision::Leave; // the start or stop in progress probes and reports by itself
        }
        if seen.begun.mono < self.settled_at {
            // Probes may overtake each other. What waits for this one still needs one.
            return if asked_for { Decision::ProbeAgain(A_MOMENT) } else { Decision::Leave };
        }
        self.out_of_sight = matches!(seen.presence, Presence::Unknown(_));
        if !self.out_of_sight {
            self.settled_at = seen.begun.mono;
        }
        // These forbid only to start it, so everything else is judged as if it were allowed.
        let past_that = match &seen.permission {
            Permission::Denied(denial) if denial.is_of_starts() => {
                self.barred = Some(denial.clone());
                Some(Observation { permission: Permission::Allowed, ..seen.clone() })
            }
            _ => None,
        };
        let seen = past_that.as_ref().unwrap_or(seen);
        match &seen.presence {
            Presence::Unknown(why) => {
                self.doubts(why);
                self.unclear(asked_for, around)
            }
            Presence::Alive(key) => {
                self.doubt = None;
                self.alive(key, seen, asked_for, around)
            }
            Presence::Starting(key) => self.coming_up(key, seen, asked_for, around),
            Presence::Absent | Presence::Dead(_) => self.missing(seen, asked_for, around),
        }
    }

    /// An action was just taken: only later probes count.
    fn acted(&mut self, around: Surroundings<'_>) {
        self.settled_at = around.now.mono + A_MOMENT;
    }

    /// The probe was conclusive.
    fn is_seen(&mut self) {
        self.doubt = None;
        self.out_of_sight = false;
    }

    /// Nothing could be seen: nothing is done, but what waited for this probe probes again.
    fn unclear(&self, asked_for: bool, around: Surroundings<'_>) -> Decision {
        match (&self.state, asked_for) {
            (State::Unseen | State::Absent { .. }, _) | (_, false) => Decision::Leave,
            _ => Decision::ProbeAgain(around.confirm.max(UNCLEAR_RETRY)),
        }
    }

    /// Its session exists without an agent, and is so young that one may still come up in it. We did not create it,
    /// as our own starts probe by themselves; it may also be a shell that somebody restored.
    fn coming_up(
        &mut self,
        key: &SessionKey,
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        match self.state.clone() {
            // Its process is being replaced (`gt handoff`).
            State::Alive { session, .. } if session == *key => {
                self.doubt = None;
                return Decision::Leave;
            }
            State::Alive { .. } => return self.missing(seen, asked_for, around),
            State::Confirming { due, .. } if around.now < due => return Decision::Leave,
            State::Confirming { .. } => {}
            _ => self.out_of_sight = true,
        }
        self.doubt = Some(Doubt::ComingUp);
        Decision::ProbeAgain(WHILE_COMING_UP)
    }

    fn alive(
        &mut self,
        key: &SessionKey,
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        let said_stopped = seen.state_file == StateFile::Stopped;
        let respawned = self.ended_in.take().as_ref() == Some(key) && around.is_respawned;
        self.gt_failed = None;
        restart::lived(&mut self.history, around.now.wall, around.now.age_of(key.created), around.policy);
        self.suspects.clear();
        self.missed = true;
        match &mut self.state {
            State::Alive { session, said_stopped: before, .. } if session == key => {
                // `gt` writes the word shortly before it kills: only one that stays says nothing about a later end.
                if said_stopped && !*before && !asked_for {
                    return Decision::ProbeAgain(STATE_FILE_SETTLES);
                }
                *before = said_stopped;
                // Its start saw it end, and it lives there all the same.
                if std::mem::take(&mut self.gave_up) {
                    self.reasons.push(Reason::BackByItself);
                }
                return Decision::Leave;
            }
            State::Alive { .. } => self.reasons.push(Reason::NewSession),
            State::Unseen => self.reasons.push(Reason::Adopted),
            State::HeldOnRequest { .. } => self.reasons.push(Reason::HoldEndedByStart),
            _ if respawned => self.reasons.push(Reason::Respawned),
            State::Confirming { .. } => self.reasons.push(Reason::BackByItself),
            // A start that was given up may have left its session running.
            _ if self.gave_up => self.reasons.push(Reason::RunsAfterGivenUp),
            _ => self.reasons.push(Reason::StartedByOthers),
        }
        self.gave_up = false;
        self.state = State::Alive { since: around.now, session: key.clone(), said_stopped: false };
        // `gt witness restart` notes `stopped`, starts, and notes `running` shortly after. A later stop by hand must
        // not be judged by a probe in between.
        if said_stopped { Decision::ProbeAgain(STATE_FILE_SETTLES) } else { Decision::Leave }
    }
}

/// How long until a wall-clock time, rounded up so that the timer never fires just before.
fn time_until(until: Timestamp, now: Now) -> Duration {
    let left = Duration::try_from(until.duration_since(now.wall)).unwrap_or_default();
    if left.is_zero() { left } else { left + Duration::from_millis(1) }
}
