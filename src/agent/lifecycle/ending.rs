//! The end of an agent: noticed, judged at the second probe, and what remains to do where nothing runs.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Attempt, Decision, Doubt, HeldSince, LONGEST_TURN, Life, Lifecycle, START_RETRY, State, Surroundings,
    UNCLEAR_RETRY, WHILE_AT_WORK, WaitsFor, time_until,
};
use crate::{
    agent::{
        confirmation::{
            Assignment, ConfirmOutcome, FirstProbe, Observation, Permission, Presence, SessionKey, StateFile,
            judge,
        },
        denial::{Denial, NotStarted},
        ended::{self, Ended, Exit, Occasion},
        holds::Hold,
        reason::{Cause, DeathReport, HeldUp, HoldOver, Missing, Reason},
        restart::{self, Verdict, later},
        waits::Own,
    },
    clock::Now,
    operator::rules::Operation,
    sessions::death::Death,
    town::standing::RestartWhen,
};

/// The longest that an exit status is waited for once an end was noticed.
const STATUS_COMES: Duration = Duration::from_secs(3);

/// A suspicion that an agent ended, taken out of its state.
struct Suspicion {
    noticed: Now,
    before: Option<Life>,
    involved: Vec<Operation>,
}

impl Lifecycle {
    pub(super) fn missing(
        &mut self,
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        self.doubt = match &seen.permission {
            Permission::Unknown(why) => Some(Doubt::Permission(why.clone())),
            _ => None,
        };
        match self.state.clone() {
            State::Alive { session, said_stopped, .. } => {
                let life = Life { session, said_stopped, involved: std::mem::take(&mut self.suspects) };
                self.noticed(seen, Some(life), around)
            }
            State::Unseen | State::Absent { .. } => self.idle(seen, asked_for, around),
            State::Confirming { noticed, due, before, involved, .. } => {
                if around.now < due {
                    return Decision::Leave;
                }
                if !asked_for {
                    return Decision::ProbeAgain(Duration::ZERO);
                }
                let suspicion = Suspicion { noticed, before, involved };
                self.confirm(seen, suspicion, around)
            }
            // The register of accounts moves the time with the clock, and says when it is over.
            State::Waiting { until, why: WaitsFor::Account(_), .. } => {
                self.until(seen, (until, Attempt::Fresh, true), asked_for, around)
            }
            State::Waiting { until, counted, paced, .. } => {
                let longest = match paced {
                    true => LONGEST_TURN.max(around.retry_limited),
                    false => restart::longest(around.policy).max(START_RETRY),
                };
                let until = self.not_too_late(until, longest, around);
                let attempt = self.attempt(counted);
                self.until(seen, (until, attempt, paced), asked_for, around)
            }
            State::CrashLoop { trial_at } => {
                let trial_at = self.not_too_late(trial_at, around.policy.retry_crash_loop_after, around);
                self.until(seen, (trial_at, Attempt::Trial, true), asked_for, around)
            }
            State::Held { until, why, since } => {
                let until = self.not_too_late(until, around.policy.deliberate_hold, around);
                self.held(seen, (until, why, since), asked_for, around)
            }
            State::HeldOnRequest { hold: Hold { until: Some(until), since, .. } } => {
                self.held_until((until, since), seen, asked_for, around)
            }
            State::Starting { .. } | State::Stopping { .. } | State::HeldOnRequest { .. } => Decision::Leave,
        }
    }

    /// Stores and returns the nearer of `at` and the latest time that can have been set. A time further ahead comes
    /// from a clock that was set back since; the wait for it must still end.
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

    /// The agent looks dead. Notes which commands of Gas Town run now, and asks for the second probe.
    fn noticed(&mut self, seen: &Observation, before: Option<Life>, around: Surroundings<'_>) -> Decision {
        let what = match seen.presence {
            Presence::Dead(_) => Missing::Agent,
            Presence::Starting(_) => Missing::SessionReplaced,
            _ => Missing::Session,
        };
        let lived_in = before.as_ref().map(|life| life.session.clone());
        self.ended_in = lived_in.filter(|_| what == Missing::Agent);
        let reported = seen.death.as_ref().map(|death| (death.sign, death.exit));
        let confirm = around.confirm;
        self.reasons.push(Reason::Missing { what, reported, confirm });
        let mut involved = before.as_ref().map(|life| life.involved.clone()).unwrap_or_default();
        involved.extend(seen.at_work.iter().flat_map(|at_work| at_work.recent.clone()));
        let noticed = seen.noticed.min(around.now);
        let left = around.confirm.saturating_sub(around.now.since(noticed));
        self.state = State::Confirming {
            noticed,
            due: Now { mono: around.now.mono + left, wall: around.now.wall },
            what,
            held_up: None,
            before,
            involved,
        };
        Decision::ProbeAgain(left)
    }

    /// It does not run, and nobody saw it end.
    pub(super) fn idle(&mut self, seen: &Observation, asked_for: bool, around: Surroundings<'_>) -> Decision {
        let ended = match self.ended() {
            Some(before) => Some(before),
            // It ran, and ended while no supervisor saw it.
            None if self.missed && seen.presence == Presence::Absent => {
                Some(Ended::new(seen.noticed.wall, seen.exit.unwrap_or(Exit::Unknown)))
            }
            None => None,
        };
        if let Some(ended) = ended.filter(|ended| stays_ended(ended.exit(), around)) {
            return self.absent(NotStarted::Ended(ended));
        }
        let waits = self.barred.clone().filter(|denial| !denial.is_of_account());
        if let (Some(denial), Assignment::Permanent) = (waits, &seen.assignment) {
            return self.absent(NotStarted::Denied(denial));
        }
        match (&seen.permission, &seen.assignment) {
            (Permission::Denied(why), _) => self.absent(NotStarted::Denied(why.clone())),
            // This is why it does not run, whether or not it is needed now.
            (Permission::Allowed, Assignment::None(_))
                if self.state == (State::Absent { why: NotStarted::StartFailed }) =>
            {
                Decision::Leave
            }
            (Permission::Allowed, Assignment::None(why)) => self.absent(NotStarted::Unwanted(why.clone())),
            (Permission::Unknown(_), _) => Decision::Leave,
            (Permission::Allowed, Assignment::Unknown(why)) => {
                self.doubts(why);
                self.unclear(asked_for, around)
            }
            (Permission::Allowed, Assignment::NotAsked) => Decision::Leave,
            (Permission::Allowed, Assignment::Permanent) if !matches!(seen.presence, Presence::Dead(_)) => {
                if self.missed {
                    self.note_unknown_exit(seen, around);
                }
                self.start_unless_held(around)
            }
            // What is left of it may still be in use; one that has work may be about to come up.
            (Permission::Allowed, Assignment::Permanent | Assignment::Hooked { .. }) => {
                self.noticed(seen, None, around)
            }
        }
    }

    /// Starts it, unless its restart history forbids that for now. A delay in it belongs to a death that an earlier supervisor
    /// saw: the restart that follows counts, or an agent that crashes faster than supervisors change would never be held.
    fn start_unless_held(&mut self, around: Surroundings<'_>) -> Decision {
        let verdict = restart::without_death(&self.history, around.now.wall, around.policy);
        self.follow(verdict, matches!(verdict, Verdict::At(_)), None, around)
    }

    fn confirm(&mut self, seen: &Observation, suspicion: Suspicion, around: Surroundings<'_>) -> Decision {
        let Suspicion { noticed, before, involved, .. } = &suspicion;
        let first = FirstProbe {
            identity: around.identity,
            ago: around.now.since(*noticed),
            involved,
            said_stopped: before.as_ref().is_none_or(|life| life.said_stopped),
        };
        if status_may_come(seen, first.ago, around) {
            return Decision::ProbeAgain(WHILE_AT_WORK);
        }
        let outcome = judge(seen, first);
        if outcome.is_its_own_end()
            && let Some(exit) = self.exit_after_which_it_stays(seen, before.as_ref(), around)
        {
            return self.ended_by_itself(exit, seen, suspicion, around);
        }
        match outcome {
            ConfirmOutcome::Back(key) => self.alive(&key, seen, true, around),
            ConfirmOutcome::Unclear(why) => {
                self.doubts(&why);
                Decision::ProbeAgain(around.confirm.max(UNCLEAR_RETRY))
            }
            ConfirmOutcome::AtWork(line) => {
                self.wait_on(HeldUp::Operation(line));
                Decision::ProbeAgain(WHILE_AT_WORK)
            }
            ConfirmOutcome::BeingRemoved => {
                self.wait_on(HeldUp::Removal);
                Decision::ProbeAgain(UNCLEAR_RETRY)
            }
            ConfirmOutcome::Paused(why) => self.absent(NotStarted::Denied(why)),
            ConfirmOutcome::Unwanted(why) => self.absent(NotStarted::Unwanted(why)),
            ConfirmOutcome::StoppedByHand(why) => {
                self.leave_alone(seen.state_file != StateFile::Running, why, around)
            }
            ConfirmOutcome::UsageLimit(_) | ConfirmOutcome::CleanExit | ConfirmOutcome::Death
                if let Some(denial) = self.barred.clone().filter(Denial::is_of_account) =>
            {
                self.wait_for_account(denial, around)
            }
            ConfirmOutcome::UsageLimit(line) => {
                self.own_end(Own::UsageLimit(line), around.retry_limited, around)
            }
            ConfirmOutcome::Question(title) => {
                self.own_end(Own::Question(title), around.policy.max_backoff, around)
            }
            ConfirmOutcome::CleanExit => match before {
                Some(life) => {
                    let lived = noticed.age_of(life.session.created);
                    // One that ends as soon as it was started must not be started without a pause.
                    let pause = around.policy.initial_backoff;
                    let retry = if lived < pause { pause } else { Duration::ZERO };
                    self.own_end(Own::CleanExit, retry, around)
                }
                None => self.start_unless_held(around),
            },
            ConfirmOutcome::Death => self.died_at(seen, suspicion, around),
        }
    }

    /// How its process ended, if it did and the agent is not started again after that.
    fn exit_after_which_it_stays(
        &self,
        seen: &Observation,
        before: Option<&Life>,
        around: Surroundings<'_>,
    ) -> Option<Exit> {
        let ran = before.is_some() || self.missed || seen.exit.is_some();
        let exit = seen.exit.unwrap_or(Exit::Unknown);
        (ran && stays_ended(exit, around)).then_some(exit)
    }

    /// It ended, and is not started again by itself. An end that may be a failure is reported as a death.
    fn ended_by_itself(
        &mut self,
        exit: Exit,
        seen: &Observation,
        suspicion: Suspicion,
        around: Surroundings<'_>,
    ) -> Decision {
        let at = suspicion.noticed.wall;
        if !exit.is_well() {
            self.report_death(seen, suspicion, around);
        }
        self.absent(NotStarted::Ended(Ended::new(at, exit)))
    }

    /// Says that it is started again because nobody knows how it ended.
    fn note_unknown_exit(&mut self, seen: &Observation, around: Surroundings<'_>) {
        let is_unknown = seen.exit.is_none_or(|exit| exit == Exit::Unknown);
        if around.restart == Some(RestartWhen::OnFailure) && is_unknown && !seen.ended_with_server() {
            self.reasons.push(Reason::ExitUnknown);
        }
    }

    /// It ended for a reason of its own: it is tried again after `retry`, and nothing is counted.
    fn own_end(&mut self, own: Own, retry: Duration, around: Surroundings<'_>) -> Decision {
        let until = later(around.now.wall, retry);
        self.reasons.push(Reason::OwnEnd(own.clone(), retry));
        self.is_accounted_for();
        let why = WaitsFor::OwnEnd(own);
        self.state = State::Waiting { until, counted: false, paced: true, why };
        Decision::ProbeAgain(time_until(until, around.now))
    }

    /// Stays in this state, and reports the reason when it is new.
    fn wait_on(&mut self, until: HeldUp) {
        if let State::Confirming { what, held_up, .. } = &mut self.state
            && held_up.as_ref() != Some(&until)
        {
            self.reasons.push(Reason::Unconfirmed { what: *what, until: until.clone() });
            *held_up = Some(until);
        }
    }

    /// `not_running`: whether the state file is known to say something else than `running`.
    pub(super) fn leave_alone(
        &mut self,
        not_running: bool,
        why: String,
        around: Surroundings<'_>,
    ) -> Decision {
        let time = around.policy.deliberate_hold;
        self.reasons.push(Reason::StoppedByHand(why.clone(), time));
        self.is_accounted_for();
        let since = HeldSince { gate_closed: false, not_running };
        self.state = State::Held { until: later(around.now.wall, time), why, since };
        Decision::ProbeAgain(time)
    }

    /// It ended and nobody intended that.
    fn died_at(&mut self, seen: &Observation, suspicion: Suspicion, around: Surroundings<'_>) -> Decision {
        let noticed = suspicion.noticed;
        let session = self.report_death(seen, suspicion, around);
        if session.is_some() {
            self.note_unknown_exit(seen, around);
        }
        match session {
            Some(_) if seen.ended_with_server() => self.died_with_server(around),
            Some(session) => self.died(noticed.age_of(session.created), around),
            None => self.start_unless_held(around),
        }
    }

    /// Reports its death, if it lived; returns the session it lived in.
    fn report_death(
        &mut self,
        seen: &Observation,
        suspicion: Suspicion,
        around: Surroundings<'_>,
    ) -> Option<SessionKey> {
        let Suspicion { noticed, before, involved, .. } = suspicion;
        let running = seen.at_work.as_ref().map(|at_work| at_work.running.as_slice()).unwrap_or_default();
        let by_command = seen.ended_by(&involved, around.identity);
        if let Some(late) = by_command.filter(|it| running.iter().any(|now| now.pid == it.pid)) {
            self.reasons.push(Reason::OperationOverdue(late.line.clone()));
        }
        let hook = match &seen.assignment {
            Assignment::Hooked { hook } => Some(hook.clone()),
            _ => None,
        };
        let session = before.map(|life| life.session);
        if session.is_some() || hook.is_some() && self.missed {
            self.is_accounted_for();
            let of_it = |death: &&Death| session.as_ref().is_some_and(|session| session.id == death.id);
            let death = seen.death.as_ref().filter(of_it);
            let oom_kill = seen.oom_kill.filter(|_| session.is_some());
            let cause = match Cause::of(death, matches!(seen.presence, Presence::Dead(_)), oom_kill) {
                Cause::AgentMissing | Cause::Crashed(None) if let Some(exit) = seen.exit => {
                    Cause::Crashed(exit.status())
                }
                cause => cause,
            };
            let session = session.clone();
            let by_command = by_command.map(|it| it.line.clone());
            let report = DeathReport { session, noticed, cause, hook, by_command };
            self.reasons.push(Reason::Died(Box::new(report)));
        }
        session
    }

    /// It died with its server: counts as no agent's restart, but takes a turn, because many restart at once.
    fn died_with_server(&mut self, around: Surroundings<'_>) -> Decision {
        match restart::without_death(&self.history, around.now.wall, around.policy) {
            Verdict::Now => self.start(Attempt::Fresh, None, false, around),
            verdict => self.follow(verdict, false, None, around),
        }
    }

    pub(super) fn died(&mut self, lived: Duration, around: Surroundings<'_>) -> Decision {
        let verdict =
            restart::after_death(&mut self.history, around.now.wall, lived, around.policy, around.jitter);
        self.follow(verdict, true, None, around)
    }

    /// Leaves it as it is.
    pub(super) fn absent(&mut self, why: NotStarted) -> Decision {
        if !matches!(&self.state, State::Absent { why: before } if *before == why) {
            self.reasons.push(Reason::NotStarted(why.clone()));
        }
        self.is_accounted_for();
        self.state = State::Absent { why };
        Decision::Leave
    }

    /// Waits for a time; then starts it.
    fn until(
        &mut self,
        seen: &Observation,
        due: (Timestamp, Attempt, bool),
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        let (time, attempt, paced) = due;
        match (&seen.permission, &seen.assignment) {
            (Permission::Denied(why), _) => self.absent(NotStarted::Denied(why.clone())),
            (Permission::Allowed, Assignment::None(why)) => self.absent(NotStarted::Unwanted(why.clone())),
            (Permission::Unknown(_), _) => self.unclear(asked_for, around),
            (Permission::Allowed, _) if around.now.wall < time => match asked_for {
                true => Decision::ProbeAgain(time_until(time, around.now)),
                false => Decision::Leave,
            },
            (Permission::Allowed, Assignment::Unknown(why)) => {
                self.doubts(why);
                self.unclear(asked_for, around)
            }
            (Permission::Allowed, Assignment::NotAsked) if !asked_for => Decision::ProbeAgain(Duration::ZERO),
            (Permission::Allowed, Assignment::NotAsked) => self.unclear(asked_for, around),
            (Permission::Allowed, Assignment::Permanent | Assignment::Hooked { .. }) => {
                self.start(attempt, None, paced || attempt == Attempt::Fresh, around)
            }
        }
    }

    fn held(
        &mut self,
        seen: &Observation,
        hold: (Timestamp, String, HeldSince),
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        let (until, why, mut since) = hold;
        let opened = since.gate_closed;
        let says_running_again = since.not_running && seen.state_file == StateFile::Running;
        since.not_running |= seen.state_file != StateFile::Running;
        since.gate_closed |= matches!(seen.permission, Permission::Denied(_));
        self.state = State::Held { until, why, since };
        let over = match &seen.permission {
            Permission::Denied(_) => return Decision::Leave,
            Permission::Unknown(_) => return self.unclear(asked_for, around),
            Permission::Allowed if opened => HoldOver::Operational,
            _ if says_running_again => HoldOver::SaysRunning,
            _ if around.now.wall >= until => HoldOver::TimeOver,
            _ if asked_for => return Decision::ProbeAgain(time_until(until, around.now)),
            _ => return Decision::Leave,
        };
        self.hold_is_over(over, seen, asked_for, around)
    }

    /// Held on request for a limited time.
    fn held_until(
        &mut self,
        (until, since): (Timestamp, Timestamp),
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        // The clock may have been set back since.
        let longest = Duration::try_from(until.duration_since(since)).unwrap_or_default();
        let until = until.min(later(around.now.wall, longest));
        if let State::HeldOnRequest { hold } = &mut self.state {
            hold.until = Some(until);
        }
        match &seen.permission {
            _ if around.now.wall < until && asked_for => Decision::ProbeAgain(time_until(until, around.now)),
            _ if around.now.wall < until => Decision::Leave,
            Permission::Denied(why) => {
                self.reasons.push(Reason::HoldOver(HoldOver::TimeOver));
                self.absent(NotStarted::Denied(why.clone()))
            }
            Permission::Unknown(_) => self.unclear(asked_for, around),
            Permission::Allowed => self.hold_is_over(HoldOver::TimeOver, seen, asked_for, around),
        }
    }

    /// Starts it, if it is wanted.
    fn hold_is_over(
        &mut self,
        over: HoldOver,
        seen: &Observation,
        asked_for: bool,
        around: Surroundings<'_>,
    ) -> Decision {
        // The data read ahead only nominates.
        let to_be_asked = match seen.assignment {
            Assignment::Hooked { .. } => !asked_for,
            Assignment::NotAsked => true,
            _ => false,
        };
        if to_be_asked {
            return Decision::ProbeAgain(Duration::ZERO);
        }
        self.reasons.push(Reason::HoldOver(over));
        self.state = State::Absent { why: NotStarted::WasStoppedByHand };
        let wanted = matches!(seen.assignment, Assignment::Permanent | Assignment::Hooked { .. });
        if !wanted || seen.presence != Presence::Absent {
            return self.idle(seen, asked_for, around);
        }
        match restart::without_death(&self.history, around.now.wall, around.policy) {
            Verdict::Now => self.start(Attempt::HoldOver, None, true, around),
            verdict => self.follow(verdict, false, None, around),
        }
    }
}

/// Whether its exit status matters and may not be known yet: tmux learns a moment after the end of a process how it ended.
fn status_may_come(seen: &Observation, ago: Duration, around: Surroundings<'_>) -> bool {
    let matters = matches!(around.restart, Some(RestartWhen::OnFailure | RestartWhen::No));
    matters
        && seen.exit == Some(Exit::Unknown)
        && matches!(seen.presence, Presence::Dead(_))
        && ago < STATUS_COMES
}

/// Whether it stays as it is after such an end.
pub(super) fn stays_ended(exit: Exit, around: Surroundings<'_>) -> bool {
    let again = |when| ended::starts_again(when, ended::Cause::ByItself(exit), Occasion::Ended);
    around.restart.is_some_and(|when| !again(when))
}
