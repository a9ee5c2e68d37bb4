//! Owner: the only component that may start, nudge and end an agent; part of the agent's actor.
//!
//! It feeds observations to the [lifecycle](super::lifecycle) and carries out its decisions, one at a time: at most
//! one start, one timer and one thorough probe at any moment. A trigger during a probe waits for that probe: if each
//! trigger restarted it, it would never finish. All slow work runs in tasks that end in an [`OwnerEvent`], which the
//! actor hands back to [`Owner::handle`]. Guards of a role (pause, heartbeat, cooldown) belong to the role.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::Notify;

use self::counting::Counting;
use super::{
    accounts, adoption,
    confirmation::{Assignment, Observation, Presence, SessionKey},
    conversation::checking,
    denial::{Denial, NotStarted},
    dependencies, ended,
    lifecycle::{Decision, Event, Lifecycle, StartEnd, State, StopEnd, Surroundings, WaitsFor},
    observe::{self, How},
    phase::{self, Phase, Why},
    reason,
    spec::AgentSpec,
    start::without_gt,
    waits::Own,
};
use crate::{
    agent::requests::{Request, Stage},
    clock::Now,
    deps::Deps,
    ledger::snapshot::Hook,
    sessions::{
        death::{Death, Sign},
        scan::Scan,
    },
    supervision::{
        status::{self, AgentStatus, Doing, End},
        work::{ReplyTo, Timer, Work},
    },
    town::identity::{Identity, Wanted},
};

mod counting;
mod first_screens;
mod held_back;
mod nudging;
mod remembering;
mod reporting;
mod requests;
mod respawns;

/// An owner that replaces a crashed one probes again after this long.
const AFTER_A_CRASH: Duration = Duration::from_secs(1);
/// A probe that a fault of ours cut short is repeated after this long.
const AFTER_A_FAULT: Duration = Duration::from_secs(5);

/// What an owner's tasks and timers report to it.
#[derive(Debug)]
pub enum OwnerEvent {
    /// From its timer; one of an earlier generation does nothing.
    TimerDue(u64),
    /// From the probe that the timer asked for.
    Probed(u64, Observation),
    /// That probe panicked.
    ProbeLost(u64),
    /// From the probe that a death asked for.
    SeenInPassing(Observation),
    /// From the start in progress.
    StartEnded(StartEnd),
    /// From the stop in progress.
    StopEnded(StopEnd),
    /// From its timer: a request is waiting.
    RequestDue,
    /// From the probe that a request asked for, with the stage of the request, and why the agent must not be ended now where that is
    /// to be done only while it is idle.
    RequestProbed(Stage, Observation, Option<Denial>),
    /// That probe panicked.
    RequestLost,
    /// A moment after a resume: its transcript is to be compared.
    CompareDue,
    /// A task ended whose result does not matter.
    Done,
}

/// One agent and the work on it.
#[derive(Debug)]
pub struct Owner {
    deps: Arc<Deps>,
    spec: Arc<AgentSpec>,
    lifecycle: Lifecycle,
    work: Work<OwnerEvent>,
    timer: Timer,
    /// When the timer goes off, if it is set (monotonic).
    armed: Option<Duration>,
    /// The thorough probe that the timer asked for is in progress.
    inquiring: bool,
    /// Wakes the start in progress, so that it checks its session and permission again.
    pulse: Arc<Notify>,
    state_since: Now,
    /// The last reported end of its session; cleared when a later probe shows it alive.
    last_death: Option<Death>,
    /// When it was last seen alive.
    seen_alive: Option<Timestamp>,
    /// For a polecat: the work on its hook when last probed.
    hook: Option<String>,
    /// The request in progress.
    attending: Option<Request>,
    /// The request that was tried last, by its id, and since when.
    tried: Option<(String, Timestamp)>,
    /// Whether the stop that ended last ended anything.
    stopped: bool,
    /// Whether the last start failed before it made a session.
    start_failed: bool,
    /// When the hook of its tmux session started it again, oldest first.
    respawns: Vec<Now>,
    /// The last confirmed end.
    last_end: Option<End>,
    /// Its state for people, and since when.
    phase: (Phase, Timestamp),
    /// Whether it has added anything to its agent's history.
    has_reported: bool,
    /// Why it must be left alone although it lives, as of the last probe.
    left_alone: Option<Denial>,
    /// The incarnation whose account was looked for last.
    looked_at: Option<SessionKey>,
    /// Whether its session was last made to keep the exit status of its process.
    keeps_exit: bool,
    /// What is counted of its steps.
    counting: Counting,
}

impl Owner {
    /// An owner that has not probed yet; its tasks' events go to `post`.
    pub fn new(deps: Arc<Deps>, spec: AgentSpec, post: ReplyTo<OwnerEvent>) -> Self {
        let state_since = deps.now();
        let (history, mut before, seen_alive) = deps.records.resume(&spec.identity);
        if remembering::is_let_go(&deps, &spec.identity, &before, state_since) {
            before.hold = None;
        }
        let lifecycle = Lifecycle::resumed(history, before, state_since);
        let mut work = Work::new(post);
        if deps.records.open_requests(&spec.identity) > 0 {
            work.after(Duration::ZERO, OwnerEvent::RequestDue);
        }
        deps.directory.claim(&spec.identity, &spec.session);
        deps.records.watch_screen(&spec);
        let mut owner = Owner {
            lifecycle,
            spec: Arc::new(spec),
            work,
            timer: Timer::default(),
            armed: None,
            inquiring: false,
            pulse: Arc::new(Notify::new()),
            state_since,
            last_death: None,
            seen_alive,
            hook: None,
            attending: None,
            tried: None,
            stopped: false,
            start_failed: false,
            respawns: Vec::new(),
            last_end: None,
            phase: (Phase::Unknown, state_since.wall),
            has_reported: false,
            left_alone: None,
            looked_at: None,
            keeps_exit: false,
            counting: Counting::default(),
            deps,
        };
        owner.take_over_history(state_since);
        owner.compare_later();
        if owner.state() != &State::Unseen {
            // The timers of an earlier owner ended with it.
            owner.probe_again(AFTER_A_CRASH);
        }
        owner
    }

    /// The agent.
    pub fn spec(&self) -> &Arc<AgentSpec> {
        &self.spec
    }

    /// The state of its lifecycle.
    pub fn state(&self) -> &State {
        self.lifecycle.state()
    }

    /// Whether it is known to be alive.
    pub fn is_alive(&self) -> bool {
        matches!(self.state(), State::Alive { .. })
    }

    /// When it was last seen alive.
    pub fn seen_alive(&self) -> Option<Timestamp> {
        self.seen_alive
    }

    /// How long its lifecycle has been in this state.
    pub fn in_state_for(&self, now: Now) -> Duration {
        now.since(self.state_since)
    }

    /// Why the last probe was inconclusive; `None` when it was not.
    pub fn doubt(&self) -> Option<&str> {
        self.lifecycle.doubt()
    }

    /// Whether its last start failed, so that a wait, if there is one, is for another try.
    pub fn start_failed(&self) -> bool {
        self.start_failed
    }

    /// How long its next restart still has to wait, plus 1 ms; `None` when it need not wait.
    pub fn backoff_left(&self, now: Now) -> Option<Duration> {
        let until = self.lifecycle.history().backoff_until?;
        let left = Duration::try_from(until.duration_since(now.wall)).ok()?;
        (!left.is_zero()).then(|| left + Duration::from_millis(1))
    }

    /// A probe based on this scan, or on a fresh reading for `None`; to be run as a task.
    pub fn probe(&self, scan: Option<Arc<Scan>>) -> impl Future<Output = Observation> + Send + 'static {
        self.observe(How { scan, ..How::default() })
    }

    /// A probe with the work of the agent already known.
    pub fn probe_knowing(
        &self,
        assignment: Assignment,
    ) -> impl Future<Output = Observation> + Send + 'static {
        self.observe(How { assignment: Some(assignment), ..How::default() })
    }

    fn observe(&self, how: How) -> impl Future<Output = Observation> + Send + 'static {
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        let life = match self.state() {
            State::Alive { session, .. } => Some(session.id.clone()),
            State::Confirming { before: Some(life), .. } => Some(life.session.id.clone()),
            _ => None,
        };
        let death = self.last_death.clone().filter(|death| life.as_ref() == Some(&death.id));
        let missed = life.is_some() || self.lifecycle.is_due();
        let how = How { death, life, missed, seen_alive: self.seen_alive, ..how };
        async move { observe::observe(&deps, &spec, how).await }
    }

    /// Something in its session ended: probes at once.
    pub fn died(&mut self, death: Death) {
        self.wake_start();
        let alive_there = matches!(self.state(), State::Alive { session, .. } if session.id == death.id);
        if alive_there {
            let (agent, session) = (&self.spec.identity, self.spec.session.as_str());
            let reported = reason::reported_by(Some((death.sign, death.exit)));
            tracing::info!(%agent, session, reason = "end_reported", "end reported: {reported}");
        }
        // A sign that comes at the moment of the end also shows that the agent lived until then.
        if alive_there && death.sign != Sign::Scan {
            self.seen_alive = self.seen_alive.max(Some(death.noticed.wall));
        }
        self.last_death = Some(death);
        if alive_there {
            self.quick_probe();
        }
    }

    /// Probes at once, with a fresh reading.
    fn quick_probe(&mut self) {
        let probe = self.probe(None);
        self.work.spawn(async move { OwnerEvent::SeenInPassing(probe.await) }, OwnerEvent::Done);
    }

    /// Something may have changed: a start in progress checks whether it may continue.
    pub fn wake_start(&self) {
        self.pulse.notify_waiters();
    }

    /// Takes a scan. When it shows nothing new of a live agent, the agent was alive at the time of the scan.
    pub fn scanned(&mut self, scan: &Scan) {
        if self.is_alive() && scan.sessions.is_ok() && !self.is_news(scan) {
            self.seen_alive = Some(scan.begun.wall);
        }
    }

    /// Whether a scan shows anything new, so that a full probe is worth reading its files.
    pub fn is_news(&self, scan: &Scan) -> bool {
        match (self.state(), &scan.sessions) {
            (State::Starting { .. }, _) => false,
            (State::Alive { session, .. }, Ok(sessions)) => {
                sessions.get(&self.spec.session).is_none_or(|seen| super::kill::key(seen) != *session)
                    || self.may_be_dead(scan)
            }
            (State::Unseen, _) => true,
            (_, Ok(sessions)) => sessions.contains_key(&self.spec.session),
            (_, Err(_)) => false,
        }
    }

    fn may_be_dead(&self, scan: &Scan) -> bool {
        let (records, identity) = (&self.deps.records, &self.spec.identity);
        let (names, marks) = (records.process_names(identity), records.marks(identity));
        observe::may_be_dead(scan, &self.spec.session, names.as_ref(), marks.as_ref())
    }

    /// Handles the event of one of its tasks or timers.
    pub fn handle(&mut self, event: OwnerEvent) {
        match event {
            OwnerEvent::TimerDue(generation) if self.timer.is_latest(generation) => self.inquire(),
            OwnerEvent::Probed(generation, seen) if self.timer.is_latest(generation) => {
                self.inquiring = false;
                self.apply(Event::Probed(seen));
            }
            OwnerEvent::ProbeLost(generation) if self.timer.is_latest(generation) => {
                self.inquiring = false;
                self.probe_again(AFTER_A_FAULT);
            }
            OwnerEvent::SeenInPassing(seen) => self.apply(Event::Seen(seen)),
            OwnerEvent::StartEnded(end) => {
                // An end reported during the start may have come too late for the start to notice.
                let told_of = match &end {
                    StartEnd::Up { session, .. } => {
                        self.keeps_exit = ended::exit_matters(&self.deps, &self.spec.identity);
                        self.read_first_screens(session.clone());
                        self.death_of(&session.id).is_some()
                    }
                    _ => false,
                };
                self.report_start_problem(&end);
                self.report_asked_start(&end);
                let unclear = matches!(end, StartEnd::Unclear(_));
                self.apply(Event::StartEnded(end));
                self.attended(unclear);
                self.compare_later();
                if told_of {
                    self.quick_probe();
                }
            }
            OwnerEvent::StopEnded(end) => {
                // The result was reported, and an unclear stop is tried again later.
                let unclear = matches!(end, StopEnd::Unclear(_));
                self.stopped = end == StopEnd::Ended;
                self.apply(Event::StopEnded(end));
                if !unclear || self.attending.is_some() {
                    self.attended(false);
                }
            }
            OwnerEvent::RequestDue => self.attend(),
            OwnerEvent::RequestProbed(stage, seen, busy) => self.request_probed(stage, seen, busy),
            OwnerEvent::RequestLost => self.put_off(),
            OwnerEvent::CompareDue => self.compare(),
            OwnerEvent::TimerDue(_)
            | OwnerEvent::Probed(..)
            | OwnerEvent::ProbeLost(_)
            | OwnerEvent::Done => {}
        }
    }

    /// Takes the restart state again, which may have been changed from outside.
    pub fn recall(&mut self) {
        let history = self.deps.records.restarts(&self.spec.identity);
        self.apply(Event::Remembered(history));
    }

    /// Ends whatever delays the start of this agent; `None` means every agent.
    pub fn clear_backoff(&mut self, whose: Option<&Identity>) {
        if whose.is_none_or(|identity| *identity == self.spec.identity) {
            self.apply(Event::Cleared);
        }
    }

    /// Passes one event through the lifecycle and starts what it decides.
    pub fn apply(&mut self, event: Event) {
        let settings = self.deps.settings();
        let now = self.deps.now();
        let before = std::mem::discriminant(self.lifecycle.state());
        let was_alive = self.is_alive();
        let phase = Phase::of(&self.lifecycle);
        let was_up = dependencies::is_up(&self.lifecycle);
        let wanted = self.spec.identity.wanted(&settings);
        let mut confirm = match wanted {
            Wanted::WithWork => settings.polecats.confirm,
            _ => settings.restart.confirm,
        };
        let respawned = self.deps.dialect().respawned_within(self.spec.identity.role());
        if let Event::Seen(seen) | Event::Probed(seen) = &event
            && matches!(seen.presence, Presence::Dead(_))
        {
            // What Gas Town starts again by itself gets the time for that.
            confirm = confirm.max(respawned.unwrap_or_default());
        }
        let mut left = None;
        if let Event::Seen(seen) | Event::Probed(seen) = &event {
            self.note(seen);
            left = held_back::left(seen);
        }
        if matches!(&event, Event::Seen(seen) if self.inquiring && shows_nothing_alive(seen)) {
            return; // the thorough probe in progress will say more
        }
        let zone = self.deps.clock.zone();
        let seems_ended = matches!(self.state(), State::Confirming { .. });
        let account = match seems_ended {
            true => self.deps.accounts.denial_at_end(&self.spec.identity, now, &zone),
            false => self.deps.accounts.denial_of(&self.spec.identity, now, &zone),
        };
        let retry_limited = self.retry_limited(&event, now);
        let step = self.lifecycle.apply(
            event,
            Surroundings {
                now,
                identity: &self.spec.identity,
                wanted,
                restart: self.deps.standing(&self.spec.identity).map(|standing| standing.restart),
                policy: &settings.restart,
                confirm,
                is_respawned: respawned.is_some(),
                retry_limited,
                account: account.as_ref(),
                pace: self.deps.deaths.pace(now),
                jitter: self.deps.jitter.roll(),
            },
        );
        self.deps.records.keep(&self.spec.identity, &self.lifecycle, now.wall);
        self.keep_history(&step.reasons, now);
        let role = self.spec.identity.role();
        self.counting.step(&step.reasons, (role, self.seen_alive), now, &self.deps.metrics);
        if std::mem::discriminant(self.lifecycle.state()) != before {
            self.state_since = now;
            // What the old state waited for does not matter any more.
            self.timer.cancel();
            (self.armed, self.inquiring) = (None, false);
        }
        for reason in step.reasons {
            self.report(reason, phase, now);
        }
        if step.takes_turn {
            self.deps.deaths.take_turn(now, &settings.deaths);
        }
        self.forget_respawns(now);
        if self.lifecycle.history().crash_loop_since.is_none() {
            self.deps.problems.clear(&self.problem_key("crash_loop"));
        }
        match self.state() {
            State::Absent { why: NotStarted::StartFailed } => {}
            // It runs, or nothing wants it to start now.
            State::Alive { .. } | State::Absent { .. } | State::Held { .. } | State::HeldOnRequest { .. } => {
                self.deps.problems.clear(&self.problem_key("start"));
            }
            _ => {}
        }
        if matches!(self.state(), State::Absent { .. }) || self.lifecycle.is_delayed() {
            without_gt::is_over(&self.deps, &self.spec.identity);
        }
        let waits = || self.deps.records.conversations(&self.spec.identity).copied.iter().any(|it| it.cut);
        if was_alive && !self.is_alive() && waits() {
            // The program that had it open may have ended.
            self.compare();
        }
        if self.is_alive() {
            self.seen_alive = Some(now.wall);
            if before == std::mem::discriminant(&State::Unseen) {
                self.keeps_exit = ended::exit_matters(&self.deps, &self.spec.identity);
                self.adopt();
            }
        }
        let is_held_back = respawned.is_some() && self.lifecycle.is_delayed();
        if let Some(left) = left.filter(|_| is_held_back || self.lifecycle.ended().is_some()) {
            self.hold_back(left);
        }
        if !was_up && dependencies::is_up(&self.lifecycle) {
            dependencies::wake(&self.deps, &self.spec.identity);
        }
        if seems_ended && !self.is_alive() && !matches!(self.state(), State::Confirming { .. }) {
            self.tells_no_more_of_its_account();
        }
        self.tell_the_accounts();
        match step.decision {
            Decision::Leave => {}
            Decision::ProbeAgain(after) => self.probe_again(after),
            Decision::Start(order) => self.start(order),
            Decision::Stop(order) => self.stop(order),
        }
    }

    /// Lets transcripts be compared that were copied before a resume, once the program had time to change them.
    fn compare_later(&mut self) {
        let kept = self.deps.records.conversations(&self.spec.identity);
        if kept.copied.is_empty() {
            return;
        }
        let since = kept.now.map(|it| self.deps.now().age_of(it.started)).unwrap_or_default();
        self.work.after(checking::AFTER.saturating_sub(since), OwnerEvent::CompareDue);
    }

    fn compare(&mut self) {
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            // What is not settled is reported.
            checking::compare(&deps, &spec).await;
        });
    }

    /// How long it waits when it ended at a usage limit and its account is not known: until the time that its program said.
    fn retry_limited(&self, event: &Event, now: Now) -> Duration {
        let settings = self.deps.settings();
        let said = match event {
            Event::Seen(seen) | Event::Probed(seen) => seen.usage_limit.clone(),
            _ => None,
        };
        let waits = || match self.lifecycle.wait()?.own {
            Own::UsageLimit(line) => Some(line),
            _ => None,
        };
        said.or_else(waits).map_or(settings.usage_limit.retry_every, |line| {
            accounts::retry_after(&line, now, &self.deps, &settings)
        })
    }

    /// Notes in the register of accounts whether it waits for its account, and finds out which one a new incarnation uses.
    fn tell_the_accounts(&mut self) {
        let identity = &self.spec.identity;
        match self.state() {
            State::Waiting { why: WaitsFor::Account(_), .. } => {
                if self.deps.accounts.wants_to_start(identity) {
                    accounts::changed(&self.deps);
                }
            }
            // It is not known, or about to be.
            State::Unseen | State::Confirming { .. } | State::Starting { .. } => {}
            State::Alive { session, .. } => {
                self.deps.accounts.release(identity);
                let session = session.clone();
                if self.looked_at.as_ref() != Some(&session) {
                    self.looked_at = Some(session);
                    let (deps, spec) = (self.deps.clone(), self.spec.clone());
                    self.work.run(async move { accounts::learn(&deps, &spec).await });
                }
            }
            _ => self.deps.accounts.release(identity),
        }
    }

    /// One that ended while it tried its account did not show that it can be used.
    fn tells_no_more_of_its_account(&mut self) {
        if let Some(key) = accounts::ended(&self.deps, &self.spec.identity) {
            let deps = self.deps.clone();
            self.work.run(async move { accounts::note_login(&deps, &key).await });
        }
    }

    /// What is said of it may have changed: from now on its exit status matters, or does not any more.
    pub fn town_changed(&mut self) {
        self.wake_start();
        let keeps_exit = ended::exit_matters(&self.deps, &self.spec.identity);
        if std::mem::replace(&mut self.keeps_exit, keeps_exit) != keeps_exit && self.is_alive() {
            self.adopt();
        }
    }

    /// Prepares an agent that ran before this owner knew of it.
    fn adopt(&mut self) {
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        let adopted = async move {
            adoption::adopt(&deps, &spec).await;
            OwnerEvent::Done
        };
        self.work.spawn(adopted, OwnerEvent::Done);
    }

    /// Sets the timer for the next thorough probe. A timer that is set is only brought forward, and a probe in
    /// progress is awaited.
    fn probe_again(&mut self, after: Duration) {
        let at = self.deps.now().mono + after;
        if self.inquiring || self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed = Some(at);
        self.timer.set(&mut self.work, after, OwnerEvent::TimerDue);
    }

    fn inquire(&mut self) {
        (self.armed, self.inquiring) = (None, true);
        let (generation, probe) =
            (self.timer.number(), self.observe(How { thorough: true, ..How::default() }));
        self.work.spawn(
            async move { OwnerEvent::Probed(generation, probe.await) },
            OwnerEvent::ProbeLost(generation),
        );
    }

    /// Notes what an observation says beyond what the lifecycle uses.
    fn note(&mut self, seen: &Observation) {
        if let Assignment::Hooked { hook } = &seen.assignment {
            self.hook = Some(hook.clone());
        }
        self.note_permission(seen);
        // The agent survived that end. The report says nothing about a later end, nor when that was noticed.
        let lives = matches!(seen.presence, Presence::Alive(_) | Presence::Starting(_));
        self.last_death.take_if(|death| lives && death.noticed.mono <= seen.begun.mono);
    }

    /// The status of the agent.
    pub fn snapshot(&self) -> AgentStatus {
        let (mut state, since) = self.phase;
        let mut why = Why::of(&self.lifecycle);
        let screen = |id| self.deps.records.screen(&self.spec.identity, id);
        let doing = self.doing();
        let screen = match self.state() {
            State::Alive { session, .. } => screen(Some(&session.id)),
            State::Starting { .. } => screen(None),
            _ => None,
        };
        let wait = match self.state() {
            State::Starting { .. } => self.deps.starts.memory.wait_of(&self.spec.identity),
            _ => None,
        };
        if let Some(wait) = wait {
            let text = format!("waits for memory: {wait}");
            (state, why) = (Phase::Waiting, Some(Why { code: reason::MEMORY, text }));
        }
        if let State::Absent { why: NotStarted::Denied(denial) } = self.state()
            && let Some(text) = dependencies::in_words(&self.deps, denial)
        {
            why = why.map(|why| Why { text, ..why });
        }
        let question = screen.and_then(|screen| screen.question.clone());
        if let Some(title) = question.filter(|_| state != Phase::Unknown) {
            (state, why) = (Phase::WaitingAtQuestion, Some(Why { code: "question", text: title }));
        }
        let now = self.deps.now();
        let mut next = phase::next_try(&self.lifecycle, now.wall);
        let denial = self.deps.accounts.denial_of(&self.spec.identity, now, &self.deps.clock.zone());
        if let Some(denial) = denial.filter(|_| concerns_its_account(self.state()) && state != Phase::Unknown)
        {
            (state, why) =
                (Phase::of_account(&denial), Some(Why { code: denial.code(), text: denial.to_string() }));
            if let Denial::UsageLimit { until, .. } = denial {
                next = until;
            }
        }
        let session = match self.state() {
            State::Alive { session, .. } => Some(session),
            _ => None,
        };
        let process = session.and_then(|it| self.deps.records.process(&self.spec.identity, &it.id));
        AgentStatus {
            pid: process.as_ref().map(|process| process.pid),
            program: process.and_then(|process| process.names.into_iter().next()),
            hook: self.hook_for_people(),
            started_at: session.map(|session| session.created),
            last_exit: self.deps.records.last_exit(&self.spec.identity),
            identity: self.spec.identity.to_string(),
            role: self.spec.identity.role().to_string(),
            rig: self.spec.identity.rig().map(ToString::to_string),
            session: self.spec.session.clone(),
            state: state.as_str(),
            since,
            restarts: self.lifecycle.history().restart_count,
            backoff_until: next,
            reason_code: why.as_ref().map(|why| why.code),
            reason: why.map(|why| why.text),
            activity: doing.0,
            activity_doubt: doing.1,
            last_end: self.last_end.clone(),
            health: self.health(),
        }
    }

    /// What the checks of its health say while it is alive.
    fn health(&self) -> Option<status::Health> {
        let State::Alive { session, .. } = self.state() else { return None };
        let course = self.deps.records.health(&self.spec.identity, &session.id)?;
        Some(status::Health {
            state: course.health().to_string(),
            since: course.since(),
            failures: course.failures(),
            said: course.said().map(str::to_owned),
        })
    }

    /// The bead on its hook, as its rig's beads were last read; of a polecat of which these say nothing, as it was last probed.
    fn hook_for_people(&self) -> Option<String> {
        let snapshot = self.spec.identity.rig().and_then(|rig| self.deps.snapshot(rig));
        match snapshot.and_then(|snapshot| snapshot.hook(&self.spec.identity)) {
            Some(Hook::Bead(bead)) => Some(bead),
            Some(Hook::Nothing) => None,
            None => self.hook.clone(),
        }
    }

    /// What the agent is doing while it is alive, and why its transcript is silent.
    fn doing(&self) -> (Option<Doing>, Option<String>) {
        let State::Alive { session, .. } = self.state() else { return Default::default() };
        let (records, identity) = (&self.deps.records, &self.spec.identity);
        let doing = records.activity(identity, Some(&session.id)).map(|reading| Doing {
            activity: reading.activity.code(),
            detail: reading.activity.detail().map(str::to_owned),
            source: reading.source.to_string(),
            since: reading.since,
        });
        (doing, records.evidence(identity, &session.id).and_then(|evidence| evidence.doubt))
    }
}

/// Whether its account matters now: it lives, or waits for that.
fn concerns_its_account(state: &State) -> bool {
    matches!(state, State::Alive { .. } | State::Waiting { why: WaitsFor::Account(_), .. })
}

fn shows_nothing_alive(seen: &Observation) -> bool {
    matches!(seen.presence, Presence::Absent | Presence::Dead(_))
}
