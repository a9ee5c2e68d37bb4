//! Owner: the one who may start, nudge and end an agent, as a component of the actor that owns it.
//!
//! It feeds the [`lifecycle`](super::lifecycle) with what was seen and carries out what it decides, one thing at a time:
//! at most one start is under way, at most one timer is set. All slow work runs in tasks that end in an [`OwnerEvent`],
//! which the actor hands back to [`Owner::handle`]. Guards of a role (pause, heartbeat, cooldown) belong to the role.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    confirmation::Observation,
    lifecycle::{Attempt, Decision, Event, Lifecycle, Notice, StartEnd, StartOrder, State, Surroundings},
    observe::{self, KnownNames},
    spec::AgentSpec,
    start,
};
use crate::{
    clock::Now,
    deps::Deps,
    go_duration,
    ledger::{events, mail, notify},
    sessions::sweep::Sweep,
    town::events::Event as TownEvent,
    work::{Post, Work},
};

/// So many of an agent's last transitions are kept for a probe.
const REMEMBERED: usize = 50;

/// What an owner's tasks and timers tell it.
#[derive(Debug)]
pub enum OwnerEvent {
    /// From its timer; one of an earlier generation does nothing.
    TimerDue(u64),
    /// From the look the timer asked for.
    Looked(u64, Observation),
    /// From the start under way.
    StartEnded(StartEnd),
    /// A task ended that nobody waits for.
    Done,
}

/// What a probe shows of an agent.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct AgentSnapshot {
    /// Its identity.
    pub identity: String,
    /// Its role.
    pub role: String,
    /// Its rig, if it has one.
    pub rig: Option<String>,
    /// Its session's name.
    pub session: String,
    /// `alive`, `starting`, `confirming`, `waiting`, `held`, `crash_loop`, `absent` or `unknown`.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// Restarts since it was last stable.
    pub restarts: u32,
    /// No start by itself before this.
    pub backoff_until: Option<Timestamp>,
    /// Why it is in this state, where there is a reason.
    pub reason: Option<String>,
    /// Its last transitions, oldest first.
    pub recent: Vec<(Timestamp, String)>,
}

/// One agent and the work on it.
#[derive(Debug)]
pub struct Owner {
    deps: Arc<Deps>,
    spec: Arc<AgentSpec>,
    lifecycle: Lifecycle,
    work: Work<OwnerEvent>,
    timer: u64,
    known: KnownNames,
    /// Tells the start under way that something changed: it looks whether its session and permission are still there.
    pulse: Arc<Notify>,
    state_since: Now,
    recent: VecDeque<(Timestamp, String)>,
}

impl Owner {
    /// An owner that has not looked yet; its tasks' events go to `post`.
    pub fn new(deps: Arc<Deps>, spec: AgentSpec, post: Post<OwnerEvent>) -> Self {
        let history = deps.restarts.recall(&spec.identity);
        let memory = deps.restarts.memory(&spec.identity);
        let state_since = deps.now();
        Owner {
            lifecycle: Lifecycle::resumed(history, memory, state_since),
            spec: Arc::new(spec),
            work: Work::new(post),
            timer: 0,
            known: KnownNames::default(),
            pulse: Arc::new(Notify::new()),
            state_since,
            recent: VecDeque::new(),
            deps,
        }
    }

    /// The agent.
    pub fn spec(&self) -> &Arc<AgentSpec> {
        &self.spec
    }

    /// Where it is in its life.
    pub fn state(&self) -> &State {
        self.lifecycle.state()
    }

    /// Whether it is known to be alive.
    pub fn is_alive(&self) -> bool {
        matches!(self.state(), State::Alive { .. })
    }

    /// How long its next restart still has to wait, and a moment more; `None` when it has not to.
    pub fn backoff_left(&self, now: Now) -> Option<Duration> {
        let until = self.lifecycle.history().backoff_until?;
        let left = Duration::try_from(until.duration_since(now.wall)).ok()?;
        (!left.is_zero()).then(|| left + Duration::from_millis(1))
    }

    /// A look at the agent as a sweep shows it, to be run as a task. With `None` it looks afresh.
    pub fn look(&self, sweep: Option<Arc<Sweep>>) -> impl Future<Output = Observation> + Send + 'static {
        let (deps, spec, known) = (self.deps.clone(), self.spec.clone(), self.known.clone());
        async move { observe::observe(&deps, &spec, sweep, &known).await }
    }

    /// Something may have happened: a start under way looks whether it may go on.
    pub fn wake_start(&self) {
        self.pulse.notify_waiters();
    }

    /// Whether a sweep shows anything that is not known already, so that a full look is worth its files.
    pub fn is_news(&self, sweep: &Sweep) -> bool {
        match (self.state(), &sweep.sessions) {
            (State::Starting { .. }, _) => false,
            (State::Alive { session, .. }, Ok(sessions)) => {
                sessions.get(&self.spec.session).is_none_or(|seen| super::kill::key(seen) != *session)
                    || observe::looks_dead(sweep, &self.spec.session)
            }
            (State::Unseen, _) => true,
            (_, Ok(sessions)) => sessions.contains_key(&self.spec.session),
            (_, Err(_)) => false,
        }
    }

    /// Takes what a task or timer of its own told.
    pub fn handle(&mut self, event: OwnerEvent) {
        match event {
            OwnerEvent::TimerDue(generation) if generation == self.timer => {
                let look = self.look(None);
                self.work.spawn(
                    async move { OwnerEvent::Looked(generation, look.await) },
                    // The look panicked: ask again a little later.
                    OwnerEvent::Done,
                );
            }
            OwnerEvent::Looked(generation, seen) if generation == self.timer => {
                self.apply(Event::Looked(seen));
            }
            OwnerEvent::StartEnded(end) => {
                self.tell_start_problem(&end);
                self.apply(Event::StartEnded(end));
            }
            OwnerEvent::TimerDue(_) | OwnerEvent::Looked(..) | OwnerEvent::Done => {}
        }
    }

    /// The restart state may have been changed from outside.
    pub fn recall(&mut self) {
        let history = self.deps.restarts.recall(&self.spec.identity);
        self.apply(Event::Remembered(history));
    }

    /// Takes one event through the lifecycle and begins what it decides.
    pub fn apply(&mut self, event: Event) {
        let settings = self.deps.settings();
        let now = self.deps.now();
        let before = std::mem::discriminant(self.lifecycle.state());
        let step = self.lifecycle.apply(
            event,
            Surroundings {
                now,
                policy: &settings.restart,
                confirm: settings.restart.confirm,
                jitter: self.deps.dice.roll(),
            },
        );
        self.deps.restarts.remember(&self.spec.identity, self.lifecycle.memory());
        if std::mem::discriminant(self.lifecycle.state()) != before {
            self.state_since = now;
            self.timer += 1; // what the old state waited for does not matter any more
        }
        for notice in step.notices {
            self.notice(notice, now);
        }
        if self.lifecycle.history().crash_loop_since.is_none() {
            self.deps.problems.clear(&self.problem_key("crash_loop"));
        }
        if self.is_alive() {
            self.forget_start_problems();
        }
        match step.decision {
            Decision::Leave => {}
            Decision::LookAgain(after) => {
                self.timer += 1;
                self.work.after(after, OwnerEvent::TimerDue(self.timer));
            }
            Decision::Start(order) => self.start(order),
        }
    }

    fn start(&mut self, order: StartOrder) {
        let (deps, spec, pulse) = (self.deps.clone(), self.spec.clone(), self.pulse.clone());
        self.work.spawn(
            async move { OwnerEvent::StartEnded(start::start(&deps, &spec, &order, &pulse).await) },
            OwnerEvent::StartEnded(StartEnd::Unclear("the start was cut short by a fault of ours".into())),
        );
    }

    fn notice(&mut self, notice: Notice, now: Now) {
        let identity = &self.spec.identity;
        match notice {
            Notice::Told(text) => {
                tracing::info!("{identity}: {text}");
                self.remember(now, text);
            }
            Notice::Keep(history) => self.deps.restarts.keep(identity, &history),
            Notice::Started { attempt, took } => self.tell_started(attempt, took, now),
            Notice::CrashLoop { restarts, until } => self.tell_crash_loop(restarts, until, now),
        }
    }

    fn remember(&mut self, now: Now, text: String) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((now.wall, text));
    }

    fn tell_started(&mut self, attempt: Attempt, took: Duration, now: Now) {
        let which = match attempt {
            Attempt::Fresh => String::new(),
            Attempt::Restart(n) => format!(" (restart {n})"),
            Attempt::Trial => " (trial after a crash loop)".to_owned(),
        };
        let text = format!("started in {:.1}s{which}", took.as_secs_f64());
        tracing::info!("{}: {text}", self.spec.identity);
        self.remember(now, text);
        let attempt = match attempt {
            Attempt::Fresh => return,
            Attempt::Restart(n) => n,
            Attempt::Trial => self.lifecycle.history().restart_count,
        };
        let payload = serde_json::json!({
            "agent": self.spec.identity.to_string(),
            "session": self.spec.session,
            "took": format!("{:.1}s", took.as_secs_f64()),
            "attempt": attempt,
        });
        self.append(TownEvent::ours(now.wall, "agent_restarted", payload));
    }

    fn tell_crash_loop(&mut self, restarts: u32, until: Timestamp, now: Now) {
        let identity = self.spec.identity.to_string();
        let text = format!(
            "{identity} was restarted {restarts} times within {} and is held; it is tried again in {}",
            go_duration::format(self.deps.settings().restart.crash_loop_window),
            go_duration::format(self.deps.settings().restart.retry_crash_loop_after),
        );
        self.deps.problems.report(self.problem_key("crash_loop"), text.clone());
        let payload = serde_json::json!({
            "agent": identity,
            "session": self.spec.session,
            "restarts": restarts,
            "until": until.to_string(),
        });
        let event = TownEvent::ours(now.wall, "crash_loop", payload);
        self.append(event.clone());
        let deps = self.deps.clone();
        self.work.run(async move { notify::tell(&deps, &event).await });
        let deps = self.deps.clone();
        self.work.run(async move {
            let subject = format!("CRASH_LOOP: {identity} held after {restarts} restarts");
            mail::send(&deps, "mayor/", &subject, &text).await;
        });
    }

    fn append(&mut self, event: TownEvent) {
        let deps = self.deps.clone();
        self.work.run(async move { events::append(&deps, &event).await });
    }

    /// A start that could not be made is a problem as long as it lasts; it is told once.
    fn tell_start_problem(&self, end: &StartEnd) {
        let key = self.problem_key("start");
        match end {
            StartEnd::Impossible(why) | StartEnd::Unclear(why) => {
                self.deps.problems.report(key, format!("{} cannot be started: {why}", self.spec.identity));
            }
            StartEnd::Up { .. } | StartEnd::Found(_) => {
                self.deps.problems.clear(&key);
            }
            StartEnd::Refused(_) | StartEnd::NeverAppeared(_) | StartEnd::Ended(_) => {}
        }
    }

    /// Whoever started it: it runs, so that nothing hinders its start any more.
    fn forget_start_problems(&self) {
        self.deps.problems.clear(&self.problem_key("start"));
        if self.lifecycle.history().crash_loop_since.is_none() {
            self.deps.problems.clear(&self.problem_key("crash_loop"));
        }
    }

    fn problem_key(&self, what: &str) -> String {
        match self.spec.identity.rig() {
            Some(rig) => format!("rig/{rig}/{}/{what}", self.spec.identity),
            None => format!("{}/{what}", self.spec.identity),
        }
    }

    /// What a probe shows.
    pub fn snapshot(&self) -> AgentSnapshot {
        let (state, reason) = describe(self.lifecycle.state(), self.lifecycle.doubt());
        AgentSnapshot {
            identity: self.spec.identity.to_string(),
            role: self.spec.identity.role().to_string(),
            rig: self.spec.identity.rig().map(ToString::to_string),
            session: self.spec.session.clone(),
            state,
            since: self.state_since.wall,
            restarts: self.lifecycle.history().restart_count,
            backoff_until: self.lifecycle.history().backoff_until,
            reason,
            recent: self.recent.iter().cloned().collect(),
        }
    }
}

fn describe(state: &State, doubt: Option<&str>) -> (&'static str, Option<String>) {
    let (name, reason) = match state {
        State::Unseen => ("unknown", Some("not looked at yet".to_owned())),
        State::Absent { why } => ("absent", Some(why.clone())),
        State::Starting { order, .. } => (
            "starting",
            Some(match &order.replace {
                Some(replacement) => replacement.why.clone(),
                None => match order.attempt {
                    Attempt::Fresh => "it was not running".to_owned(),
                    Attempt::Restart(n) => format!("restart {n}"),
                    Attempt::Trial => "trial after a crash loop".to_owned(),
                },
            }),
        ),
        State::Alive { .. } => ("alive", None),
        State::Confirming { what, .. } => ("confirming", Some(what.clone())),
        State::Waiting { why, .. } => ("waiting", Some(why.clone())),
        State::Held { .. } => ("held", Some("stopped by hand".to_owned())),
        State::CrashLoop { trial_at } => ("crash_loop", Some(format!("next trial at {trial_at}"))),
    };
    (name, doubt.map(str::to_owned).or(reason))
}
