//! The alerts' actor: compares what lasts with what is open, delivers what waits, and gives the sign of life.
//!
//! While nothing is configured it does nothing at all. A heartbeat and a change of the settings wake it. One delivery of a channel
//! runs at a time; channels do not wait for each other. It must not decide anything, and nothing waits for it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use serde_json::{Value, json};

use super::{
    reading,
    sending::{self, Failure, Outside},
};
use crate::{
    alerts::{
        Alert, Channel, Kind,
        levels::{Edge, Level, Levels},
        pace,
        register::{ACTOR, Lost, News, Running, Step},
    },
    deps::Deps,
    ports::problems::OpenProblems,
    supervision::{
        child::{Address, Answer, ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
    town::settings::Settings,
};

/// How often what lasts is read.
const READ_EVERY: Duration = Duration::from_secs(5);
/// From one sign of life to the next, and from the start to the first.
const BEAT_EVERY: Duration = Duration::from_secs(60);
const FIRST_BEAT: Duration = Duration::from_secs(5);
/// How long an actor has to answer for the sign of life.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The key of the problem with `notify.heartbeat_url`.
const BEAT_PROBLEM: &str = "notify/heartbeat_url";

/// Whether the root answers.
pub type RootAnswers = Arc<dyn Fn(Duration) -> BoxFuture<'static, bool> + Send + Sync>;

/// What the alerts' actor receives.
#[derive(Debug)]
pub enum AlertsMsg {
    /// From the root: the settings may have changed. From its start.
    SettingsMayHaveChanged,
    /// From the part that raised an alert, and from the task that saved some: deliver what waits.
    Deliver,
    /// From its timer; one of an earlier generation does nothing.
    Due(u64),
    /// From its timer: the sign of life is due.
    BeatDue(u64),
    /// From its task: a delivery ended, whatever came of it.
    Sent(Channel),
    /// A request for its status.
    Status(RpcReplyPort<Value>),
}

/// The actor that delivers alerts.
#[derive(Debug)]
pub struct AlertsActor;

/// What the actor is created with.
pub type Arguments = (Arc<Deps>, OpenProblems, Running, RootAnswers);

/// The alerts' actor as a child of the root.
pub fn child(deps: Arc<Deps>, problems: OpenProblems, process: Running, root: RootAnswers) -> ChildSpec {
    ChildSpec::new(
        ACTOR,
        || AlertsActor,
        move || (deps.clone(), problems.clone(), process, root.clone()),
        contact(),
    )
}

/// The broadcasts and questions it accepts.
pub fn contact() -> Contact<AlertsMsg> {
    Contact::taking(|broadcast| match broadcast {
        Broadcast::AlertRaised => Some(AlertsMsg::Deliver),
        Broadcast::TownChanged | Broadcast::Heartbeat(_) => Some(AlertsMsg::SettingsMayHaveChanged),
        _ => None,
    })
    .answering(AlertsMsg::Status, |alerts| Answer::figures("alerts", alerts))
}

/// The state of [`AlertsActor`].
pub struct AlertsState {
    deps: Arc<Deps>,
    problems: OpenProblems,
    process: Running,
    root: RootAnswers,
    /// When this incarnation began (monotonic).
    began: Duration,
    levels: Levels,
    /// The channels on which a delivery runs.
    sending: BTreeSet<Channel>,
    work: Work<AlertsMsg>,
    timer: Timer,
    /// Whether the timer runs.
    reads: bool,
    beat: Timer,
    /// Whether signs of life are given.
    beats: bool,
}

impl Actor for AlertsActor {
    type Msg = AlertsMsg;
    type State = AlertsState;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<AlertsMsg>,
        (deps, problems, process, root): Arguments,
    ) -> Result<AlertsState, ActorProcessingErr> {
        let post: ReplyTo<AlertsMsg> = Arc::new(move |message| drop(myself.cast(message)));
        post(AlertsMsg::SettingsMayHaveChanged);
        Ok(AlertsState {
            began: deps.now().mono,
            deps,
            problems,
            process,
            root,
            levels: Levels::default(),
            sending: BTreeSet::new(),
            work: Work::new(post),
            timer: Timer::default(),
            reads: false,
            beat: Timer::default(),
            beats: false,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<AlertsMsg>,
        message: AlertsMsg,
        state: &mut AlertsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AlertsMsg::SettingsMayHaveChanged => state.follow_settings(),
            AlertsMsg::Deliver => state.deliver(),
            AlertsMsg::Due(number) if state.timer.is_latest(number) => state.read(),
            AlertsMsg::BeatDue(number) if state.beat.is_latest(number) => state.beat(),
            AlertsMsg::Due(_) | AlertsMsg::BeatDue(_) => {}
            AlertsMsg::Sent(channel) => {
                state.sending.remove(&channel);
                state.deliver();
            }
            AlertsMsg::Status(reply) => drop(reply.send(Value::Null)),
        }
        Ok(())
    }
}

impl AlertsState {
    fn channels(&self) -> Vec<Channel> {
        Channel::of(&self.deps.settings().notify)
    }

    /// Begins or ends what the settings ask for.
    fn follow_settings(&mut self) {
        let channels = self.channels();
        self.deps.alerts.keep_channels(&channels);
        for channel in Channel::ALL.into_iter().filter(|channel| !channels.contains(channel)) {
            self.deps.problems.clear(&problem(channel));
            self.deps.problems.clear(&lost_problem(channel));
        }
        if channels.is_empty() {
            self.reads = false;
            self.timer.cancel();
            if self.deps.alerts.forget() {
                self.save();
            }
        } else if !std::mem::replace(&mut self.reads, true) {
            self.runs(&channels);
            self.read();
        }
        let beats = self.deps.settings().notify.heartbeat_url.is_some();
        if !beats {
            self.beat.cancel();
            self.deps.problems.clear(BEAT_PROBLEM);
        } else if !self.beats {
            self.beat.set(&mut self.work, FIRST_BEAT, AlertsMsg::BeatDue);
        }
        self.beats = beats;
    }

    /// Notes that this process runs. One before it that ended without a request is an alert.
    fn runs(&mut self, channels: &[Channel]) {
        if self.deps.alerts.is_running(self.process) {
            return;
        }
        if let Some(before) = self.deps.alerts.runs(self.process) {
            let summary = format!(
                "the supervisor ended without a request (PID {}, started {}): killed, crashed, or the machine went down; it runs \
                 again as PID {}",
                before.pid, before.started_at, self.process.pid
            );
            let payload = json!({
                "pid": self.process.pid,
                "before": {"pid": before.pid, "started_at": before.started_at.to_string()},
            });
            let event = pace::event(self.deps.now().wall, Kind::SupervisorCrashed.code(), payload);
            let news =
                News { kind: Kind::SupervisorCrashed, summary, agents: Vec::new(), attach: None, event };
            self.deps.alerts.raise(&self.deps, channels, None, news);
        }
        self.save();
    }

    /// Compares what lasts with what is open, and delivers.
    fn read(&mut self) {
        let channels = self.channels();
        for channel in &channels {
            report_lost(&self.deps, *channel, &self.deps.settings());
        }
        let (levels, open) = (reading::levels(&self.deps, &self.problems), self.deps.alerts.open());
        let edges = self.levels.step(&levels, &open, self.deps.now().mono, self.began);
        for edge in &edges {
            match edge {
                Edge::Begins(level) => {
                    let news = self.news(level);
                    self.deps.alerts.raise(&self.deps, &channels, Some(&level.key), news);
                }
                Edge::Ends(key) => self.deps.alerts.resolve(&self.deps, &channels, key),
            }
        }
        match edges.is_empty() {
            true => self.deliver(),
            false => self.save(),
        }
    }

    fn news(&self, level: &Level) -> News {
        let Level { key, kind, summary, agents } = level.clone();
        let payload = json!({"key": key, "agents": agents, "text": summary});
        News {
            event: pace::event(self.deps.now().wall, kind.code(), payload),
            attach: reading::attach(&self.deps, &agents),
            kind,
            summary,
            agents,
        }
    }

    /// Saves what begins, ends or runs, also where no message is due.
    fn save(&mut self) {
        let deps = self.deps.clone();
        let task = async move {
            deps.alerts.save(&deps).await;
            AlertsMsg::Deliver
        };
        self.work.spawn(task, AlertsMsg::Deliver);
    }

    /// Starts a delivery on each channel that is due, and sets the timer.
    fn deliver(&mut self) {
        if !self.reads {
            return;
        }
        let now = self.deps.now().wall;
        let mut pause = READ_EVERY;
        for channel in self.channels() {
            if self.sending.contains(&channel) {
                continue;
            }
            match self.deps.alerts.next(channel, now) {
                Step::Rest => {}
                Step::Wait(until) => {
                    let left = Duration::try_from(until.duration_since(now)).unwrap_or(READ_EVERY);
                    pause = pause.min(left);
                }
                Step::Send(alert, ids) => {
                    self.sending.insert(channel);
                    let deps = self.deps.clone();
                    let task = async move {
                        send(&deps, channel, &alert, &ids).await;
                        AlertsMsg::Sent(channel)
                    };
                    self.work.spawn(task, AlertsMsg::Sent(channel));
                }
            }
        }
        self.timer.set(&mut self.work, pause, AlertsMsg::Due);
    }

    /// Gives a sign of life, if all actors answer.
    fn beat(&mut self) {
        self.beat.set(&mut self.work, BEAT_EVERY, AlertsMsg::BeatDue);
        let (deps, root) = (self.deps.clone(), self.root.clone());
        self.work.run(async move {
            if !all_answer(&deps, &root).await {
                return;
            }
            let settings = deps.settings();
            let Some(url) = &settings.notify.heartbeat_url else { return };
            match sending::beat(outside(&deps, &settings), url).await {
                Ok(_) => deps.problems.clear(BEAT_PROBLEM),
                Err(Failure { text, .. }) => deps.problems.report(
                    BEAT_PROBLEM,
                    format!("notify.heartbeat_url ({url}) was not reached: {text}; tried again each minute"),
                ),
            }
        });
    }
}

fn outside<'a>(deps: &'a Deps, settings: &'a Settings) -> Outside<'a> {
    Outside { network: &*deps.network, commands: &*deps.commands, settings, root: deps.paths.root() }
}

/// Whether the root and every actor answer, and none is suspended.
async fn all_answer(deps: &Deps, root: &RootAnswers) -> bool {
    if !deps.directory.by_name().values().all(Address::is_running) {
        return false;
    }
    let (root, answers) = futures::join!(root(ANSWER_WITHIN), deps.directory.ask_all(ANSWER_WITHIN));
    root && answers.iter().all(|(_, answer)| answer.is_some())
}

/// The key of the problem that a channel does not take alerts.
fn problem(channel: Channel) -> String {
    format!("notify/{channel}")
}

/// The key of the problem that a channel never got some alerts.
fn lost_problem(channel: Channel) -> String {
    format!("{}/lost", problem(channel))
}

/// Shows for a day that alerts were lost, also those that the last supervisor lost.
fn report_lost(deps: &Deps, channel: Channel, settings: &Settings) {
    let key = lost_problem(channel);
    let Some(Lost { count, summary, .. }) = deps.alerts.lost(channel, deps.now().wall) else {
        return deps.problems.clear(&key);
    };
    let (target, s) = (sending::target(settings, channel), if count == 1 { "" } else { "s" });
    let text = format!("{count} alert{s} never delivered by {channel} ({target}); the last: {summary}");
    // It is an error in the log already.
    deps.problems.note(key, text);
}

/// Makes one delivery and notes on disk what came of it.
async fn send(deps: &Deps, channel: Channel, alert: &Alert, ids: &[String]) {
    // An alert is on disk before it is sent.
    deps.alerts.save(deps).await;
    let settings = deps.settings();
    let sent = sending::deliver(outside(deps, &settings), channel, alert).await;
    let (now, key) = (deps.now().wall, problem(channel));
    match sent {
        Ok(answer) => {
            deps.alerts.delivered(channel, ids, now);
            deps.alerts.save(deps).await;
            deps.problems.clear(&key);
            let (kind, count) = (alert.kind.code(), ids.len());
            tracing::info!(reason = "alert_sent", "alert sent by {channel} ({kind}, {count}): {answer}");
        }
        Err(Failure { text, refused }) => {
            let given_up = deps.alerts.failed(channel, ids, refused, now);
            let target = sending::target(&settings, channel);
            deps.problems.report(
                key,
                format!("alerts are not delivered by {channel} ({target}): {text}; tried again"),
            );
            for alert in &given_up {
                let summary = &alert.summary;
                tracing::error!(
                    reason = "alert_lost",
                    "an alert was never delivered by {channel} ({target}): {text}; it said: {summary}"
                );
            }
            if deps.alerts.waiting(channel) == 0 {
                deps.problems.clear(&problem(channel));
            }
            report_lost(deps, channel, &settings);
            deps.alerts.save(deps).await;
        }
    }
}
