//! The death window's actor: finds the likely cause of a mass death and reports it.
//!
//! The [`register`](crate::deaths::register) decides and stores. The actor waits for the register and for the time of
//! the follow-up, and reports what is pending to the log, the town's event log and `notify.command`. After a crash it
//! continues where its predecessor stopped. It must not touch an agent, and nothing waits for it.

pub mod circumstance;
pub mod words;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use self::circumstance::{Reading, Readings};
use crate::{
    alerts::{Kind, register::News},
    deaths::{
        register::{ACTOR, DeathsSnapshot, PendingReport},
        rules::{self, Circumstance},
    },
    deps::Deps,
    ledger::notify,
    ports::outbox,
    supervision::{
        child::{Answer, ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
    town::log::line::AS_IS,
    watchers::alerts,
};

/// How often the counters and clocks are read, for later comparison.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The time limit of a search for the cause: the alert is more urgent than its cause.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// What the death window receives.
#[derive(Debug)]
pub enum DeathsMsg {
    /// From an owner: a death was recorded.
    DeathRecorded,
    /// From its timer: a follow-up is due. One of an earlier generation does nothing.
    Due(u64),
    /// From its timer: read counters and clocks.
    ReadingDue,
    /// From that task; `None` when it failed.
    Read(Option<Reading>),
    /// From the task that searches for the cause of the report of this number; `None` when it failed.
    Gathered(u64, Option<Reading>),
    /// From the task that delivers alerts: whether all were delivered; false when it failed.
    Delivered(bool),
    /// A request for its status.
    Status(RpcReplyPort<DeathsSnapshot>),
}

/// The actor that reports mass deaths.
#[derive(Debug)]
pub struct DeathWindow;

/// The death window's actor as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    ChildSpec::new(ACTOR, || DeathWindow, move || deps.clone(), contact())
}

/// The broadcasts and questions it accepts.
pub fn contact() -> Contact<DeathsMsg> {
    Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::DeathRecorded).then_some(DeathsMsg::DeathRecorded)
    })
    .answering(DeathsMsg::Status, |deaths| Answer::figures("deaths", deaths))
}

/// The state of the [`DeathWindow`].
pub struct DeathsState {
    deps: Arc<Deps>,
    work: Work<DeathsMsg>,
    timer: Timer,
    readings: Readings,
    /// The number of the report whose cause is being searched for.
    gathering: Option<u64>,
    delivering: bool,
}

impl Actor for DeathWindow {
    type Msg = DeathsMsg;
    type State = DeathsState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<DeathsMsg>,
        deps: Arc<Deps>,
    ) -> Result<DeathsState, ActorProcessingErr> {
        let post: ReplyTo<DeathsMsg> = Arc::new(move |message| drop(myself.cast(message)));
        // First, what a predecessor left.
        post(DeathsMsg::DeathRecorded);
        let mut work = Work::new(post);
        work.after(Duration::ZERO, DeathsMsg::ReadingDue);
        let readings = Readings::default();
        Ok(DeathsState { deps, work, timer: Timer::default(), readings, gathering: None, delivering: false })
    }

    async fn handle(
        &self,
        _: ActorRef<DeathsMsg>,
        message: DeathsMsg,
        state: &mut DeathsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DeathsMsg::DeathRecorded => state.proceed(),
            DeathsMsg::Due(generation) if state.timer.is_latest(generation) => state.proceed(),
            DeathsMsg::Due(_) => {}
            DeathsMsg::ReadingDue => state.read(),
            DeathsMsg::Read(reading) => {
                if let Some(reading) = reading {
                    state.readings.keep(reading);
                }
                state.work.after(READ_EVERY, DeathsMsg::ReadingDue);
            }
            DeathsMsg::Gathered(number, reading) => state.gathered(number, reading),
            DeathsMsg::Delivered(well) => {
                state.delivering = false;
                if well {
                    state.deliver(); // what came meanwhile
                }
            }
            DeathsMsg::Status(reply) => {
                let (now, settings) = (state.deps.now(), state.deps.settings());
                drop(reply.send(state.deps.deaths.snapshot(now, &settings.deaths)));
            }
        }
        Ok(())
    }
}

impl DeathsState {
    /// Starts everything that is due, and sets the timer for the next.
    fn proceed(&mut self) {
        let (now, settings) = (self.deps.now(), self.deps.settings());
        self.deps.deaths.review(now, &settings.deaths);
        self.timer.cancel();
        if let Some(after) = self.deps.deaths.due_in(now) {
            self.timer.set(&mut self.work, after, DeathsMsg::Due);
        }
        self.gather();
        self.deliver();
    }

    fn read(&mut self) {
        let deps = self.deps.clone();
        self.work.spawn(async move { DeathsMsg::Read(read_in_time(&deps).await) }, DeathsMsg::Read(None));
    }

    /// Searches for the cause of the oldest report.
    fn gather(&mut self) {
        let Some(PendingReport { number, .. }) = self.deps.deaths.unreported() else { return };
        if self.gathering.replace(number) == Some(number) {
            return;
        }
        let deps = self.deps.clone();
        self.work.spawn(
            async move { DeathsMsg::Gathered(number, read_in_time(&deps).await) },
            DeathsMsg::Gathered(number, None),
        );
    }

    /// Writes the log line, and starts the other deliveries.
    fn gathered(&mut self, number: u64, reading: Option<Reading>) {
        let pending = self.deps.deaths.unreported().filter(|pending| pending.number == number);
        let Some(PendingReport { deaths, follow_up, window, .. }) = pending else { return };
        let began = deaths.first().map_or(Duration::ZERO, |first| first.noticed.mono);
        let circumstance = match &reading {
            Some(reading) => self.readings.since(began.saturating_sub(window), reading),
            None => Circumstance::default(),
        };
        let cause = rules::possible_cause(&deaths, &circumstance);
        let event = words::event(self.deps.now().wall, &deaths, window, cause.as_deref());
        let news = News {
            kind: Kind::MassDeath,
            summary: words::sentence(&deaths, window, follow_up, cause.as_deref()),
            agents: deaths.iter().map(|death| death.agent.to_string()).collect(),
            attach: None,
            event: serde_json::to_value(&event).unwrap_or_default(),
        };
        if self.deps.deaths.report(number, event, cause.clone()) {
            if !follow_up {
                self.deps.metrics.mass_death();
            }
            let deps = self.deps.clone();
            self.work.run(async move { alerts::raise(&deps, news).await });
            let reason = if follow_up { "mass_death_follow_up" } else { "mass_death" };
            tracing::warn!(target: AS_IS, reason, "{}", words::line(&deaths, window, follow_up));
            if let Some(cause) = cause {
                tracing::warn!(reason = "mass_death_cause", "Possible cause of the mass death: {cause}");
            }
        }
        if let Some(reading) = reading {
            self.readings.keep(reading);
        }
        self.proceed();
    }

    /// Delivers all reports: events first, as they do not wait for a command.
    fn deliver(&mut self) {
        if self.delivering || self.deps.deaths.to_notify().is_none() {
            return;
        }
        self.delivering = true;
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                loop {
                    while let Some(event) = deps.deaths.hand_out() {
                        outbox::append(&deps, &event).await;
                    }
                    let Some((number, event)) = deps.deaths.to_notify() else { break };
                    notify::send(&deps, &event).await;
                    deps.deaths.notified(number);
                }
                DeathsMsg::Delivered(true)
            },
            DeathsMsg::Delivered(false),
        );
    }
}

async fn read_in_time(deps: &Deps) -> Option<Reading> {
    tokio::time::timeout(READ_LIMIT, circumstance::read(deps)).await.ok()
}
