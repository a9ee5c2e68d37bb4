//! An agent's starts: what the restart policy lets follow, and how a start ends.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    A_MOMENT, Attempt, Because, COMING_UP, Decision, Lifecycle, Notice, Replacement, START_RETRY, StartEnd,
    StartOrder, State, Surroundings, at_second, time_until, told,
};
use crate::agent::{
    confirmation::Permission,
    restart::{self, RestartHistory, Verdict, later},
};

impl Lifecycle {
    /// Does what the restart policy says.
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
                let why = format!("restart {} waits", self.history.restart_count + 1);
                let line = format!("{why} until {}", at_second(until));
                self.notices.push(Notice::Told { line, seen: String::new(), done: why.clone() });
                self.state = State::Waiting { until, counted, paced: false, why };
                Decision::LookAgain(time_until(until, around.now))
            }
            Verdict::CrashLoop { trial_at, news } => {
                if news {
                    self.notices
                        .push(Notice::CrashLoop { restarts: self.history.restart_count, until: trial_at });
                }
                let done = format!("held after {} restarts", self.history.restart_count);
                let line = format!("{done}; next trial at {}", at_second(trial_at));
                self.notices.push(Notice::Told { line, seen: String::new(), done });
                self.state = State::CrashLoop { trial_at };
                Decision::LookAgain(time_until(trial_at, around.now))
            }
        }
    }

    /// How the next start counts.
    pub(super) fn attempt(&self, counted: bool) -> Attempt {
        if counted { Attempt::Restart(self.history.restart_count + 1) } else { Attempt::Fresh }
    }

    /// `paced`: its turn among the restarts after a mass death has come, or it needs none.
    pub(super) fn start(
        &mut self,
        attempt: Attempt,
        replace: Option<Replacement>,
        paced: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        // One that lives and is to be replaced waits for no turn: it would be forgotten meanwhile.
        if !paced && replace.is_none() {
            self.notices.push(Notice::TurnTaken);
            if !around.pace.is_zero() {
                let why = "restarts are paced after a mass death".to_owned();
                self.notices.push(told(why.as_str(), "; ", format!("its turn is in {:.1?}", around.pace)));
                let until = later(around.now.wall, around.pace);
                let counted = matches!(attempt, Attempt::Restart(_));
                self.state = State::Waiting { until, counted, paced: true, why };
                return Decision::LookAgain(around.pace);
            }
        }
        if matches!(attempt, Attempt::Restart(_) | Attempt::Trial) {
            restart::restarted(&mut self.history, around.now.wall, around.policy);
            self.notices.push(Notice::Keep(self.history.clone()));
        }
        self.is_accounted_for();
        let order = StartOrder { attempt, replace };
        self.state = State::Starting { since: around.now, order: order.clone() };
        Decision::Start(order)
    }

    pub(super) fn start_ended(&mut self, end: StartEnd, around: Surroundings<'_>) -> Decision {
        let State::Starting { since, order } = self.state.clone() else {
            return Decision::Leave; // a start that was overtaken
        };
        self.acted(around);
        let lives = matches!(end, StartEnd::Up { .. } | StartEnd::Found(_) | StartEnd::Left { .. });
        self.gave_up = !lives && !matches!(end, StartEnd::StoppedByHand(_));
        self.missed = lives;
        match end {
            StartEnd::Up { session, took } => {
                self.is_seen();
                self.notices.push(Notice::Started { attempt: order.attempt, took });
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Found(session) => {
                self.is_seen();
                self.notices.push(told("is running already", ", ", "nothing done"));
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Taken => {
                self.gave_up = false;
                self.notices.push(told(COMING_UP, ", ", "nothing done"));
                self.state = State::Absent { why: COMING_UP.to_owned(), paused: false };
                Decision::LookAgain(A_MOMENT)
            }
            StartEnd::Left { session, why } => {
                self.is_seen();
                self.notices.push(told(
                    format!("its start was given up: {why}"),
                    "; ",
                    "what runs is left running",
                ));
                self.state = State::Alive { since: around.now, session, said_stopped: false };
                Decision::Leave
            }
            StartEnd::Refused(why) => self.absent(&why, true),
            StartEnd::Unwanted(why) => self.absent(&why, false),
            StartEnd::StoppedByHand(how) => self.hold(false, how, around),
            StartEnd::Unclear(why) => {
                self.wait_for_another_try(why, around);
                // It may have been made all the same; whoever lives there must be known before anybody ends it.
                Decision::LookAgain(A_MOMENT)
            }
            StartEnd::Impossible(why) => {
                self.wait_for_another_try(why, around);
                Decision::LookAgain(START_RETRY)
            }
            StartEnd::NeverAppeared(why) => {
                self.notices.push(told(format!("start failed: {why}"), "", ""));
                if around.identity.role().is_kept() {
                    return self.died(Duration::ZERO, around);
                }
                self.absent("its start failed", false)
            }
            StartEnd::Ended(session) => {
                self.notices.push(told("session ended while it was being started", "", ""));
                self.state = State::Alive { since, session, said_stopped: false };
                // Looked at afresh: who was at work is seen only now.
                Decision::LookAgain(A_MOMENT)
            }
        }
    }

    fn wait_for_another_try(&mut self, why: String, around: Surroundings<'_>) {
        let until = later(around.now.wall, START_RETRY);
        self.state = State::Waiting { until, counted: false, paced: true, why };
    }

    pub(super) fn replace(
        &mut self,
        why: String,
        heartbeat: Timestamp,
        permission: &Permission,
        around: Surroundings<'_>,
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
            self.notices.push(Notice::Keep(self.history.clone()));
        }
        match verdict {
            Verdict::Now | Verdict::Trial => {
                self.notices.push(told(why.as_str(), "; ", "replacing it"));
                let replacement = Replacement { session, why, because: Because::HeartbeatAt(heartbeat) };
                self.follow(verdict, true, Some(replacement), around)
            }
            // It stays alive: a kill made in order to start again is made only if the start is allowed now.
            Verdict::CrashLoop { trial_at, news: true } => {
                let restarts = self.history.restart_count;
                self.notices.push(Notice::CrashLoop { restarts, until: trial_at });
                self.notices.push(told(why, "; ", format!("left as it is after {restarts} restarts")));
                Decision::Leave
            }
            Verdict::At(until) if self.history != before => {
                let next = self.history.restart_count + 1;
                let done = format!("left as it is, restart {next} waits");
                let line = format!("{why}; {done} until {}", at_second(until));
                self.notices.push(Notice::Told { line, seen: why, done });
                Decision::Leave
            }
            Verdict::At(_) | Verdict::CrashLoop { .. } => Decision::Leave,
        }
    }

    /// Its restarts are forgotten; what waits or is held is to be started now, if it may be.
    pub(super) fn cleared(&mut self, around: Surroundings<'_>) -> Decision {
        if self.history != RestartHistory::default() {
            self.history = RestartHistory::default();
            self.notices.push(Notice::Keep(self.history.clone()));
        }
        if !self.is_let_go("its backoff was cleared by hand") {
            return Decision::Leave;
        }
        self.wait_until(around.now.wall, "its backoff was cleared", around)
    }

    pub(super) fn remembered(&mut self, history: RestartHistory, around: Surroundings<'_>) -> Decision {
        if self.history == history {
            return Decision::Leave;
        }
        self.history = history;
        // Somebody cleared it: that is meant for a hold as well.
        if !self.is_let_go("restart state was changed from outside") {
            return Decision::Leave;
        }
        match restart::without_death(&self.history, around.now.wall, around.policy) {
            Verdict::Now => self.wait_until(around.now.wall, "restart state was changed", around),
            Verdict::At(until) => self.wait_until(until, "restart state was changed", around),
            Verdict::Trial => {
                self.state = State::CrashLoop { trial_at: around.now.wall };
                Decision::LookAgain(Duration::ZERO)
            }
            Verdict::CrashLoop { trial_at, .. } => {
                self.state = State::CrashLoop { trial_at };
                Decision::LookAgain(time_until(trial_at, around.now))
            }
        }
    }

    /// Whether something keeps it from being started, which is over now, and told to be.
    fn is_let_go(&mut self, why: &'static str) -> bool {
        if let State::HeldOnRequest { .. } = self.state {
            self.notices.push(Notice::Hold(None));
        }
        let kept = matches!(
            self.state,
            State::Waiting { .. }
                | State::CrashLoop { .. }
                | State::Held { .. }
                | State::HeldOnRequest { .. }
        );
        if kept {
            self.notices.push(told(why, "", ""));
        }
        kept
    }

    fn wait_until(&mut self, until: Timestamp, why: &str, around: Surroundings<'_>) -> Decision {
        self.state = State::Waiting { until, counted: false, paced: true, why: why.into() };
        Decision::LookAgain(time_until(until, around.now))
    }
}
