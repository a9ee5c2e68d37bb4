//! The lifecycle: the one state machine of every agent the supervisor keeps running.
//!
//! Events go in — what was seen, how a start ended, that a replacement is wanted — and a [`Step`] comes out: what to do
//! next, and what there is to tell. The state holds the data of that state only. Everything else people are told about
//! an agent (status, log, events, mails) is a projection of the transitions made here, so that confirmation, backoff,
//! gate, hold and crash loop live in one place for all roles.
//!
//! It must not wait, read a clock, or touch anything: `now`, the policy and the jitter are handed in.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    confirmation::{Observation, Permission, SecondLook, SessionKey, Sighting, StateFile, judge},
    restart::{self, RestartHistory, Verdict, later},
};
use crate::clock::Now;

mod order;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use order::{Attempt, Replacement, StartEnd, StartOrder};
pub use state::{Life, Memory, State};
pub use step::{Decision, Event, Notice, Step, Surroundings};

/// How long after a start that could not be made (no program, tmux refused) it is looked at again.
const START_RETRY: Duration = Duration::from_secs(30);

/// How long after a session was started by somebody else its state file is looked at again, if it says `stopped`.
const STATE_FILE_SETTLES: Duration = Duration::from_secs(1);

/// One agent's lifecycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    state: State,
    history: RestartHistory,
    /// Why the last look told nothing, while that lasts.
    doubt: Option<String>,
    /// When the last start ended, or the newest look taken in was begun (monotonic): an older look is about another world.
    settled_at: Duration,
}

impl Lifecycle {
    /// An agent that has not been looked at yet.
    pub fn new(history: RestartHistory) -> Self {
        Lifecycle { state: State::Unseen, history, doubt: None, settled_at: Duration::ZERO }
    }

    /// An agent that an earlier owner looked after: what it knew is gone on from. It is observed first all the same.
    pub fn resumed(history: RestartHistory, memory: Option<Memory>, now: Now) -> Self {
        let state = match memory {
            None => State::Unseen,
            Some(Memory::Held { until, gate_closed }) => State::Held { until, gate_closed },
            Some(Memory::Lived(Life { session, said_stopped })) => {
                State::Alive { since: now, session, said_stopped }
            }
        };
        Lifecycle { state, ..Lifecycle::new(history) }
    }

    /// What whoever takes over must know.
    pub fn memory(&self) -> Option<Memory> {
        match &self.state {
            State::Alive { session, said_stopped, .. } => {
                Some(Memory::Lived(Life { session: session.clone(), said_stopped: *said_stopped }))
            }
            State::Confirming { before, .. } => before.clone().map(Memory::Lived),
            State::Held { until, gate_closed } => {
                Some(Memory::Held { until: *until, gate_closed: *gate_closed })
            }
            _ => None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its restarts.
    pub fn history(&self) -> &RestartHistory {
        &self.history
    }

    /// Why the last look told nothing; `None` when it told something.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// Takes one event and says what follows.
    pub fn apply(&mut self, event: Event, around: Surroundings<'_>) -> Step {
        let mut notices = Vec::new();
        let decision = match event {
            Event::Seen(seen) => self.seen(&seen, false, around, &mut notices),
            Event::Looked(seen) => self.seen(&seen, true, around, &mut notices),
            Event::StartEnded(end) => self.start_ended(end, around, &mut notices),
            Event::Replace { why, heartbeat, permission } => {
                self.replace(why, heartbeat, &permission, around, &mut notices)
            }
            Event::Remembered(history) => self.remembered(history, around, &mut notices),
        };
        Step { decision, notices }
    }

    fn seen(
        &mut self,
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        if matches!(self.state, State::Starting { .. }) {
            return Decision::Leave; // a start looks for itself, and reports
        }
        if seen.begun.mono < self.settled_at {
            // Looks may overtake each other. What waits for this one still needs one.
            return if asked_for { Decision::LookAgain(Duration::ZERO) } else { Decision::Leave };
        }
        if !matches!(seen.sighting, Sighting::Unknown(_)) {
            self.settled_at = seen.begun.mono;
        }
        match &seen.sighting {
            Sighting::Unknown(why) => {
                self.doubt = Some(why.clone());
                self.unclear(asked_for, around)
            }
            Sighting::Alive(key) | Sighting::Starting(key) => {
                self.doubt = None;
                self.alive(key, seen, around, notices)
            }
            Sighting::Absent => self.missing(seen, asked_for, "session is gone", around, notices),
            Sighting::Dead(_) => {
                self.missing(seen, asked_for, "session is there, but its agent has ended", around, notices)
            }
        }
    }

    /// Nothing could be seen: nothing is done, but what was waiting for this look looks again.
    fn unclear(&self, asked_for: bool, around: Surroundings<'_>) -> Decision {
        match (&self.state, asked_for) {
            (State::Unseen | State::Absent { .. } | State::Alive { .. }, _) | (_, false) => Decision::Leave,
            _ => Decision::LookAgain(around.confirm.max(Duration::from_secs(5))),
        }
    }

    fn alive(
        &mut self,
        key: &SessionKey,
        seen: &Observation,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let said_stopped = seen.state_file == StateFile::Stopped;
        if restart::lived(&mut self.history, around.now.wall, around.now.age_of(key.created), around.policy) {
            notices.push(Notice::Keep(self.history.clone()));
        }
        match &mut self.state {
            State::Alive { session, said_stopped: before, .. } if session == key => {
                *before = said_stopped;
                return Decision::Leave;
            }
            State::Alive { .. } => notices.push(told("runs in a new session, not started by the supervisor")),
            State::Unseen => notices.push(told("is running, taken over as it is")),
            State::Confirming { .. } => notices.push(told("is back by itself, nothing done")),
            _ => notices.push(told("was started by somebody else, nothing done")),
        }
        self.state = State::Alive { since: around.now, session: key.clone(), said_stopped };
        // `gt witness restart` notes `stopped`, starts, and notes `running` a moment later: a look in between must not
        // be what a later stop by hand is judged by.
        if said_stopped { Decision::LookAgain(STATE_FILE_SETTLES) } else { Decision::Leave }
    }

    fn missing(
        &mut self,
        seen: &Observation,
        asked_for: bool,
        what: &str,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        self.doubt = match &seen.permission {
            Permission::Unknown(why) => Some(why.clone()),
            _ => None,
        };
        let zombie = matches!(seen.sighting, Sighting::Dead(_));
        match self.state.clone() {
            State::Alive { session, said_stopped, .. } => {
                self.noticed(what, Some(Life { session, said_stopped }), around, notices)
            }
            State::Unseen | State::Absent { .. } if zombie && seen.permission == Permission::Allowed => {
                self.noticed(what, None, around, notices)
            }
            State::Unseen | State::Absent { .. } => self.idle(seen, around, notices),
            State::Confirming { before, due, .. } => {
                if around.now < due {
                    return Decision::Leave;
                }
                if !asked_for {
                    return Decision::LookAgain(Duration::ZERO);
                }
                self.second_look(seen, before, around, notices)
            }
            State::Waiting { until, counted, .. } => {
                let until =
                    self.not_too_late(until, restart::longest(around.policy).max(START_RETRY), around);
                let attempt = self.attempt(counted);
                self.until(seen, (until, attempt), asked_for, around, notices)
            }
            State::CrashLoop { trial_at } => {
                let trial_at = self.not_too_late(trial_at, around.policy.retry_crash_loop_after, around);
                self.until(seen, (trial_at, Attempt::Trial), asked_for, around, notices)
            }
            State::Held { until, gate_closed } => {
                let until = self.not_too_late(until, around.policy.deliberate_hold, around);
                self.held(seen, until, gate_closed, asked_for, around, notices)
            }
            State::Starting { .. } => Decision::Leave,
        }
    }

    /// A time that lies further ahead than it can ever have been set comes from a clock that was set back since; what
    /// waits for it must still end some day. Keeps and returns the nearer one.
    fn not_too_late(&mut self, at: Timestamp, longest: Duration, around: Surroundings<'_>) -> Timestamp {
        let nearer = at.min(later(around.now.wall, longest));
        if let State::Waiting { until: at, .. }
        | State::Held { until: at, .. }
        | State::CrashLoop { trial_at: at } = &mut self.state
        {
            *at = nearer;
        }
        nearer
    }

    fn noticed(
        &mut self,
        what: &str,
        before: Option<Life>,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        notices.push(told(format!("{what}; making sure for {:?}", around.confirm)));
        self.state = State::Confirming {
            noticed: around.now,
            due: Now { mono: around.now.mono + around.confirm, wall: around.now.wall },
            what: what.to_owned(),
            before,
        };
        Decision::LookAgain(around.confirm)
    }

    /// Not running, and nobody saw it end.
    fn idle(&mut self, seen: &Observation, around: Surroundings<'_>, notices: &mut Vec<Notice>) -> Decision {
        match &seen.permission {
            Permission::Unknown(_) => Decision::Leave,
            Permission::Denied(why) => self.absent(why, notices),
            Permission::Allowed => {
                let verdict = restart::without_death(&self.history, around.now.wall, around.policy);
                self.follow(verdict, false, None, around, notices)
            }
        }
    }

    fn second_look(
        &mut self,
        seen: &Observation,
        before: Option<Life>,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let said_stopped = before.as_ref().is_some_and(|life| life.said_stopped);
        match judge(seen, said_stopped || before.is_none()) {
            SecondLook::Back(key) => self.alive(&key, seen, around, notices),
            SecondLook::Unclear(why) => {
                self.doubt = Some(why);
                Decision::LookAgain(around.confirm.max(Duration::from_secs(5)))
            }
            SecondLook::Unwanted(why) => self.absent(&why, notices),
            SecondLook::StoppedByHand => {
                let until = later(around.now.wall, around.policy.deliberate_hold);
                notices.push(told(format!(
                    "was stopped by hand; left alone for {}",
                    crate::go_duration::format(around.policy.deliberate_hold)
                )));
                self.state = State::Held { until, gate_closed: false };
                Decision::LookAgain(around.policy.deliberate_hold)
            }
            SecondLook::Death => match before {
                Some(life) => {
                    let lived = around.now.age_of(life.session.created);
                    self.died(lived, around, notices)
                }
                None => self.idle(seen, around, notices),
            },
        }
    }

    /// It ended and nobody meant it to.
    fn died(&mut self, lived: Duration, around: Surroundings<'_>, notices: &mut Vec<Notice>) -> Decision {
        let verdict =
            restart::after_death(&mut self.history, around.now.wall, lived, around.policy, around.jitter);
        notices.push(Notice::Keep(self.history.clone()));
        self.follow(verdict, true, None, around, notices)
    }

    /// Does what the restart policy says.
    fn follow(
        &mut self,
        verdict: Verdict,
        counted: bool,
        replace: Option<Replacement>,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        match verdict {
            Verdict::Now => self.start(self.attempt(counted), replace, around, notices),
            Verdict::Trial => self.start(Attempt::Trial, replace, around, notices),
            Verdict::At(until) => {
                let why = format!("restart {} waits", self.history.restart_count + 1);
                notices.push(told(format!("{why} until {}", at_second(until))));
                self.state = State::Waiting { until, counted, why };
                Decision::LookAgain(time_until(until, around.now))
            }
            Verdict::CrashLoop { trial_at, news } => {
                if news {
                    notices.push(Notice::CrashLoop { restarts: self.history.restart_count, until: trial_at });
                }
                notices.push(told(format!(
                    "held after {} restarts; next trial at {}",
                    self.history.restart_count,
                    at_second(trial_at)
                )));
                self.state = State::CrashLoop { trial_at };
                Decision::LookAgain(time_until(trial_at, around.now))
            }
        }
    }

    /// How the next start counts.
    fn attempt(&self, counted: bool) -> Attempt {
        if counted { Attempt::Restart(self.history.restart_count + 1) } else { Attempt::Fresh }
    }

    fn start(
        &mut self,
        attempt: Attempt,
        replace: Option<Replacement>,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        if attempt != Attempt::Fresh {
            restart::restarted(&mut self.history, around.now.wall, around.policy);
            notices.push(Notice::Keep(self.history.clone()));
        }
        let order = StartOrder { attempt, replace };
        self.state = State::Starting { since: around.now, order: order.clone() };
        Decision::Start(order)
    }

    fn absent(&mut self, why: &str, notices: &mut Vec<Notice>) -> Decision {
        if !matches!(&self.state, State::Absent { why: before } if before == why) {
            notices.push(told(format!("is not running, left so: {why}")));
            self.state = State::Absent { why: why.to_owned() };
        }
        Decision::Leave
    }

    /// Waiting for a time to come; then a start is made.
    fn until(
        &mut self,
        seen: &Observation,
        due: (Timestamp, Attempt),
        asked_for: bool,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let (time, attempt) = due;
        match &seen.permission {
            Permission::Denied(why) => self.absent(why, notices),
            Permission::Unknown(_) => self.unclear(asked_for, around),
            Permission::Allowed if around.now.wall >= time => self.start(attempt, None, around, notices),
            Permission::Allowed if asked_for => Decision::LookAgain(time_until(time, around.now)),
            Permission::Allowed => Decision::Leave,
        }
    }

    fn held(
        &mut self,
        seen: &Observation,
        until: Timestamp,
        gate_closed: bool,
        asked_for: bool,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let over = match (&seen.permission, gate_closed) {
            (Permission::Denied(_), _) => {
                self.state = State::Held { until, gate_closed: true };
                return Decision::Leave;
            }
            (Permission::Unknown(_), _) => return self.unclear(asked_for, around),
            (Permission::Allowed, true) => "its rig is operational again",
            _ if seen.state_file == StateFile::Running => "Gas Town says it should run",
            _ if around.now.wall >= until => "the time is over",
            _ if asked_for => return Decision::LookAgain(time_until(until, around.now)),
            _ => return Decision::Leave,
        };
        notices.push(told(format!("was left alone after being stopped by hand; {over}")));
        self.idle(seen, around, notices)
    }

    fn start_ended(
        &mut self,
        end: StartEnd,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let State::Starting { since, order } = self.state.clone() else {
            return Decision::Leave; // a start that was overtaken
        };
        self.settled_at = around.now.mono;
        match end {
            StartEnd::Up { session, took } => {
                notices.push(Notice::Started { attempt: order.attempt, took });
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Found(session) => {
                notices.push(told("is running already, nothing done"));
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Refused(why) => self.absent(&why, notices),
            StartEnd::Unclear(why) | StartEnd::Impossible(why) => {
                let until = later(around.now.wall, START_RETRY);
                self.state = State::Waiting { until, counted: false, why };
                Decision::LookAgain(START_RETRY)
            }
            StartEnd::NeverAppeared(why) => {
                notices.push(told(format!("start failed: {why}")));
                self.died(Duration::ZERO, around, notices)
            }
            StartEnd::Ended(session) => {
                self.state = State::Alive { since, session: session.clone(), said_stopped: false };
                let life = Life { session, said_stopped: false };
                self.noticed("session ended while it was being started", Some(life), around, notices)
            }
        }
    }

    fn replace(
        &mut self,
        why: String,
        heartbeat: Timestamp,
        permission: &Permission,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        let State::Alive { session, .. } = self.state.clone() else {
            return Decision::Leave; // it is being looked after already
        };
        if *permission != Permission::Allowed {
            return Decision::Leave;
        }
        let lived = around.now.age_of(session.created);
        let before = self.history.clone();
        let verdict =
            restart::to_replace(&mut self.history, around.now.wall, lived, around.policy, around.jitter);
        if self.history != before {
            notices.push(Notice::Keep(self.history.clone()));
        }
        match verdict {
            Verdict::Now | Verdict::Trial => {
                notices.push(told(format!("{why}; replacing it")));
                self.follow(verdict, true, Some(Replacement { session, why, heartbeat }), around, notices)
            }
            // It stays alive: a kill made in order to start again is made only if the start is allowed now.
            Verdict::CrashLoop { trial_at, news: true } => {
                notices.push(Notice::CrashLoop { restarts: self.history.restart_count, until: trial_at });
                Decision::Leave
            }
            Verdict::At(_) | Verdict::CrashLoop { .. } => Decision::Leave,
        }
    }

    fn remembered(
        &mut self,
        history: RestartHistory,
        around: Surroundings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Decision {
        if self.history == history {
            return Decision::Leave;
        }
        self.history = history;
        match self.state {
            State::Waiting { .. } | State::CrashLoop { .. } => {
                notices.push(told("restart state was changed from outside"));
                let until = match restart::without_death(&self.history, around.now.wall, around.policy) {
                    Verdict::Now => around.now.wall,
                    Verdict::At(until) => until,
                    Verdict::Trial => {
                        self.state = State::CrashLoop { trial_at: around.now.wall };
                        return Decision::LookAgain(Duration::ZERO);
                    }
                    Verdict::CrashLoop { trial_at, .. } => {
                        self.state = State::CrashLoop { trial_at };
                        return Decision::LookAgain(time_until(trial_at, around.now));
                    }
                };
                self.state =
                    State::Waiting { until, counted: false, why: "restart state was changed".into() };
                Decision::LookAgain(time_until(until, around.now))
            }
            _ => Decision::Leave,
        }
    }
}

fn told(text: impl Into<String>) -> Notice {
    Notice::Told(text.into())
}

/// How long until a wall-clock time; a little past it, so that the timer never fires just before.
fn time_until(until: Timestamp, now: Now) -> Duration {
    let left = Duration::try_from(until.duration_since(now.wall)).unwrap_or_default();
    if left.is_zero() { left } else { left + Duration::from_millis(1) }
}

fn at_second(time: Timestamp) -> String {
    // UTC to the second: a rule has no time zone.
    Timestamp::from_second(time.as_second()).map_or_else(|_| time.to_string(), |time| time.to_string())
}
