//! The lifecycle: the one state machine of every agent the supervisor keeps running.
//!
//! Events go in — what was seen, how a start ended, that a replacement is wanted — and a [`Step`] comes out: what to do
//! next, and what happened. The state holds the data of that state only. Everything else that is reported about
//! an agent (status, log, events, mails) is a rendering of the [`Reason`]s given here, so that confirmation, backoff,
//! gate, hold and crash loop live in one place for all roles.
//!
//! It must not wait, read a clock, or touch anything: `now`, the policy and the jitter are handed in.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    confirmation::{Observation, Presence, SessionKey, StateFile},
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

/// How long after a start that could not be made (no program, tmux refused) it is looked at again.
const START_RETRY: Duration = Duration::from_secs(30);

/// The longest a restart may wait for its turn after a mass death.
const LONGEST_TURN: Duration = Duration::from_secs(15 * 60);

/// How long after a session was started by somebody else its state file is looked at again, if it says `stopped`.
const STATE_FILE_SETTLES: Duration = Duration::from_secs(1);

/// How long after a look at an agent that may have been stopped or removed on purpose it is looked at again.
const WHILE_AT_WORK: Duration = Duration::from_millis(500);

/// How long after a look at a session in which an agent may come up it is looked at again.
const WHILE_COMING_UP: Duration = Duration::from_secs(1);

/// How long after a look that told nothing the next one is made, at least.
const UNCLEAR_RETRY: Duration = Duration::from_secs(5);

/// At once, but later than now: a look begun in the moment in which something was done may not show it.
const A_MOMENT: Duration = Duration::from_millis(1);

/// What is known of an agent before its actor looks at it.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// Where an earlier actor left it.
    pub lifecycle: Option<Lifecycle>,
    /// That it was stopped on request.
    pub hold: Option<Hold>,
    /// That it is tried again later.
    pub wait: Option<Wait>,
    /// It was seen alive, and what became of it is not accounted for.
    pub missed: bool,
}

/// One agent's lifecycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    state: State,
    history: RestartHistory,
    /// Why the last probe was inconclusive, while that lasts.
    doubt: Option<Doubt>,
    /// The last look could not even tell whether it runs.
    out_of_sight: bool,
    /// Its last start was given up, whatever that left behind.
    gave_up: bool,
    /// When the last start ended, or the newest look taken in was begun (monotonic): an older look is about another world.
    settled_at: Duration,
    /// The commands that were at work when an earlier owner noticed an end and could not judge it any more.
    suspects: Vec<Operation>,
    /// It was seen alive, by us or by an earlier supervisor, and what became of it is not accounted for: only then is its
    /// end a death. Nobody dies twice, nor of what somebody did on purpose.
    missed: bool,
    /// What happened in the step under way; handed out with it.
    reasons: Vec<Reason>,
    /// A restart took its turn in the step under way.
    takes_turn: bool,
}

/// Why a probe was inconclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Doubt {
    /// Its session is there, and an agent may come up in it.
    ComingUp,
    /// Something could not be found out, and why.
    Unknown(String),
}

impl Lifecycle {
    /// An agent that has not been looked at yet.
    pub fn new(history: RestartHistory) -> Self {
        Lifecycle {
            state: State::Unseen,
            history,
            doubt: None,
            out_of_sight: false,
            gave_up: false,
            settled_at: Duration::ZERO,
            suspects: Vec::new(),
            missed: false,
            reasons: Vec::new(),
            takes_turn: false,
        }
    }

    /// An agent that was looked after before, by an actor that crashed or an earlier supervisor: what of that is still so is
    /// continued. It is observed first all the same.
    pub fn resumed(history: RestartHistory, before: Before, now: Now) -> Self {
        let Before { lifecycle, hold, wait, missed } = before;
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
        Lifecycle { state, suspects, missed, ..Lifecycle::new(history) }
    }

    /// What of it outlives an actor: a life, a hold, a wait; and the commands that were at work when an end was noticed.
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

    /// Whether it was seen alive and what became of it is not accounted for.
    pub fn is_missed(&self) -> bool {
        self.missed
    }

    /// Whatever becomes of it from now on is accounted for, until it is seen alive again.
    fn is_accounted_for(&mut self) {
        self.missed = false;
    }

    /// Where it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its restarts.
    pub fn history(&self) -> &RestartHistory {
        &self.history
    }

    /// Why the last probe was inconclusive; `None` when it was not.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_ref().map(|doubt| match doubt {
            Doubt::ComingUp => NO_AGENT_YET,
            Doubt::Unknown(why) => why,
        })
    }

    /// How it is held on request, if it is.
    pub fn hold(&self) -> Option<&Hold> {
        match &self.state {
            State::Stopping { hold, .. } | State::HeldOnRequest { hold } => Some(hold),
            _ => None,
        }
    }

    /// What it waits for after an end for a reason of its own, if it does.
    pub fn wait(&self) -> Option<Wait> {
        match &self.state {
            State::Waiting { until, why: WaitsFor::OwnEnd(own), .. } => {
                Some(Wait { until: *until, own: own.clone() })
            }
            _ => None,
        }
    }

    /// Whether the last look could not tell if it runs: what is known of it is what was seen before.
    pub fn is_out_of_sight(&self) -> bool {
        self.out_of_sight
    }

    /// Takes one event and says what follows.
    pub fn apply(&mut self, event: Event, around: Surroundings<'_>) -> Step {
        let before = (Phase::of(self), self.doubt.is_some(), self.state == State::Unseen);
        let decision = match event {
            Event::Seen(seen) => self.seen(&seen, false, around),
            Event::Probed(seen) => self.seen(&seen, true, around),
            Event::StartEnded(end) => self.start_ended(end, around),
            Event::Replace { why, heartbeat, permission } => {
                self.replace(why, heartbeat, &permission, around)
            }
            Event::Needed { why, replaces } => self.needed(why, replaces, around),
            Event::Remembered(history) => self.remembered(history, around),
            Event::Cleared => self.cleared(around),
            Event::Asked(asked) => self.asked(asked, around),
            Event::StopEnded(end) => self.stop_ended(end, around),
            Event::Hook(hook) => self.hook(hook),
        };
        if self.reasons.is_empty() {
            self.reasons.extend(self.change_of_knowledge(before));
        }
        let takes_turn = std::mem::take(&mut self.takes_turn);
        Step { decision, reasons: std::mem::take(&mut self.reasons), takes_turn }
    }

    /// Where nothing happened to it, but what is known of it changed.
    fn change_of_knowledge(&self, (phase, doubted, unseen): (Phase, bool, bool)) -> Option<Reason> {
        match (&self.state, &self.doubt) {
            (State::Alive { .. } | State::Absent { .. }, _)
                if phase == Phase::Unknown && !unseen && !self.out_of_sight =>
            {
                Some(Reason::ObservedAgain)
            }
            // Somebody starts it: what comes of that is reported.
            (_, Some(Doubt::Unknown(why))) if !doubted => {
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
            return Decision::Leave; // the start or stop under way probes by itself, and reports
        }
        if seen.begun.mono < self.settled_at {
            // Looks may overtake each other. What waits for this one still needs one.
            return if asked_for { Decision::ProbeAgain(A_MOMENT) } else { Decision::Leave };
        }
        self.out_of_sight = matches!(seen.presence, Presence::Unknown(_));
        if !self.out_of_sight {
            self.settled_at = seen.begun.mono;
        }
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

    /// Something was done to it just now: only what is seen from now on counts.
    fn acted(&mut self, around: Surroundings<'_>) {
        self.settled_at = around.now.mono + A_MOMENT;
    }

    /// How it is is known.
    fn is_seen(&mut self) {
        self.doubt = None;
        self.out_of_sight = false;
    }

    /// Nothing could be seen: nothing is done, but what was waiting for this look probes again.
    fn unclear(&self, asked_for: bool, around: Surroundings<'_>) -> Decision {
        match (&self.state, asked_for) {
            (State::Unseen | State::Absent { .. }, _) | (_, false) => Decision::Leave,
            _ => Decision::ProbeAgain(around.confirm.max(UNCLEAR_RETRY)),
        }
    }

    /// Its session is there, without an agent and so young that one may still come up in it. Whoever made it was not us, as
    /// our own starts look for themselves: it may as well be a shell that somebody restored.
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
        restart::lived(&mut self.history, around.now.wall, around.now.age_of(key.created), around.policy);
        self.suspects.clear();
        self.missed = true;
        match &mut self.state {
            State::Alive { session, said_stopped: before, .. } if session == key => {
                // `gt` writes the word a moment before it kills: only one that stays says nothing about a later end.
                if said_stopped && !*before && !asked_for {
                    return Decision::ProbeAgain(STATE_FILE_SETTLES);
                }
                *before = said_stopped;
                return Decision::Leave;
            }
            State::Alive { .. } => self.reasons.push(Reason::NewSession),
            State::Unseen => self.reasons.push(Reason::Adopted),
            State::Confirming { .. } => self.reasons.push(Reason::BackByItself),
            State::HeldOnRequest { .. } => self.reasons.push(Reason::HoldEndedByStart),
            // Who gave a start up may have left its session running.
            _ if self.gave_up => self.reasons.push(Reason::RunsAfterGivenUp),
            _ => self.reasons.push(Reason::StartedByOthers),
        }
        self.gave_up = false;
        self.state = State::Alive { since: around.now, session: key.clone(), said_stopped: false };
        // `gt witness restart` notes `stopped`, starts, and notes `running` a moment later: a look in between must not
        // be what a later stop by hand is judged by.
        if said_stopped { Decision::ProbeAgain(STATE_FILE_SETTLES) } else { Decision::Leave }
    }
}

/// How long until a wall-clock time; a little past it, so that the timer never fires just before.
fn time_until(until: Timestamp, now: Now) -> Duration {
    let left = Duration::try_from(until.duration_since(now.wall)).unwrap_or_default();
    if left.is_zero() { left } else { left + Duration::from_millis(1) }
}
