//! The convoy watcher of a town of Gas Town 1.x: slings the next step of each convoy every `convoy.feed_every`.
//!
//! It decides nothing itself ([`feeding`](super::feeding) does) and awaits nothing: each scan is a task that ends with the
//! actor. When its memory is lost, its successor checks once more than necessary.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    feeding::{self, Memory},
    round::{Outcome, forget},
    rules,
    scan::{Scan, scan},
    status::{CheckStatus, ConvoySnapshot, FeedStatus, StreamStatus},
};
use crate::{
    deps::Deps,
    supervision::{
        child::{Answer, ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
    town::identity::RigName,
};

/// What the convoy watcher receives.
#[derive(Debug)]
pub enum FeederMsg {
    /// From its timer: a scan is due; a timer of an earlier generation does nothing.
    ScanDue(u64),
    /// From its task: the result of the scan; `None` when it panicked.
    ScanEnded(Option<Box<(Scan, Memory)>>),
    /// From the root: settings or files of the town changed, or a heartbeat was made.
    TownChanged,
    /// From the root: the town's rigs.
    Rigs(Arc<BTreeSet<RigName>>),
    /// From the root: Dolt answers again.
    DoltAnswers,
    /// A request for its status.
    Status(RpcReplyPort<ConvoySnapshot>),
}

/// The actor that feeds convoys.
#[derive(Debug)]
pub struct ConvoyFeeder;

/// The convoy watcher of a 1.x town as a child.
pub fn child(deps: &Arc<Deps>) -> ChildSpec {
    let deps = deps.clone();
    let contact = Contact::taking(|broadcast| match broadcast {
        Broadcast::TownChanged | Broadcast::Heartbeat(_) => Some(FeederMsg::TownChanged),
        Broadcast::Rigs(rigs) => Some(FeederMsg::Rigs(rigs)),
        Broadcast::DoltAnswers => Some(FeederMsg::DoltAnswers),
        _ => None,
    });
    let contact = contact.answering(FeederMsg::Status, |convoys| Answer::figures("convoys", convoys));
    ChildSpec::new("convoy", || ConvoyFeeder, move || deps.clone(), contact)
}

/// The state of the [`ConvoyFeeder`].
pub struct FeederState {
    deps: Arc<Deps>,
    work: Work<FeederMsg>,
    timer: Timer,
    enabled: bool,
    every: Duration,
    /// When the scan in progress began (monotonic).
    scanning: Option<Duration>,
    /// When the next scan is due (monotonic); and by the wall clock, computed once for each.
    next: (Duration, Timestamp),
    /// How many scans in a row failed.
    failures: u32,
    rigs: Option<Arc<BTreeSet<RigName>>>,
    memory: Memory,
    feed: FeedStatus,
    last_check: Option<CheckStatus>,
}

impl Actor for ConvoyFeeder {
    type Msg = FeederMsg;
    type State = FeederState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<FeederMsg>,
        deps: Arc<Deps>,
    ) -> Result<FeederState, ActorProcessingErr> {
        let post: ReplyTo<FeederMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let now = deps.now();
        let mut state = FeederState {
            deps,
            work: Work::new(post),
            timer: Timer::default(),
            enabled: false,
            every: Duration::ZERO,
            scanning: None,
            next: (now.mono, now.wall),
            failures: 0,
            rigs: None,
            memory: Memory::default(),
            feed: FeedStatus::default(),
            last_check: None,
        };
        state.follow_settings();
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<FeederMsg>,
        message: FeederMsg,
        state: &mut FeederState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            FeederMsg::ScanDue(generation) if state.timer.is_latest(generation) => state.proceed(),
            FeederMsg::ScanDue(_) => {}
            FeederMsg::ScanEnded(result) => state.scan_ended(result.map(|it| *it)),
            FeederMsg::TownChanged => state.follow_settings(),
            FeederMsg::Rigs(rigs) => state.rigs = Some(rigs),
            FeederMsg::DoltAnswers => {
                state.failures = 0;
                state.scan_after(Duration::ZERO);
                state.proceed();
            }
            FeederMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

impl FeederState {
    fn follow_settings(&mut self) {
        let settings = self.deps.settings().convoy.clone();
        let was = std::mem::replace(&mut self.enabled, settings.enabled);
        let every = std::mem::replace(&mut self.every, settings.feed_every);
        match (was, self.enabled) {
            (_, false) => {
                forget(&self.deps);
                self.memory = Memory::default();
                return;
            }
            (false, true) => self.scan_after(rules::FIRST.min(self.every)),
            (true, true) if self.every < every => self.scan_after(self.every),
            (true, true) => return,
        }
        self.proceed();
    }

    fn scan_after(&mut self, delay: Duration) {
        let now = self.deps.now();
        let delayed = SignedDuration::try_from(delay).ok().and_then(|delay| now.wall.checked_add(delay).ok());
        self.next = (now.mono + delay, delayed.unwrap_or(Timestamp::MAX));
    }

    /// Begins the scan that is due, or sets the timer for it.
    fn proceed(&mut self) {
        if !self.enabled || self.scanning.is_some() {
            return;
        }
        let (now, due) = (self.deps.now().mono, self.next.0);
        if now < due {
            self.timer.set(&mut self.work, due - now, FeederMsg::ScanDue);
            return;
        }
        self.scanning = Some(now);
        let (deps, rigs, memory) = (self.deps.clone(), self.rigs.clone(), self.memory.clone());
        let task =
            async move { FeederMsg::ScanEnded(Some(Box::new(scan(&deps, rigs.as_deref(), memory).await))) };
        self.work.spawn(task, FeederMsg::ScanEnded(None));
    }

    fn scan_ended(&mut self, result: Option<(Scan, Memory)>) {
        let now = self.deps.now();
        let begun = self.scanning.take().unwrap_or(now.mono);
        if let Some((scan, memory)) = result.filter(|_| self.enabled) {
            self.memory = memory;
            self.failures = if scan.failed.is_some() { self.failures.saturating_add(1) } else { 0 };
            self.feed.fed += scan.fed.len() as u64;
            if scan.failed.is_none() && scan.paused.is_none() {
                self.feed.stranded = Some(scan.stranded);
            }
            self.feed.last_scan = Some(CheckStatus { at: now.wall, outcome: scan.words() });
            if let Some(outcome) = scan.check {
                if let Outcome::Closed(what) = &outcome {
                    tracing::info!("convoys checked: {what}");
                }
                self.last_check = Some(CheckStatus { at: now.wall, outcome: outcome.words() });
            }
        }
        // Scans begin this often, however long they take.
        let pause = feeding::pause(self.every, self.failures);
        self.scan_after((begun + pause).saturating_sub(now.mono));
        self.proceed();
    }

    fn snapshot(&self) -> ConvoySnapshot {
        let mut feed = self.feed.clone();
        feed.next_scan = self.enabled.then_some(self.next.1);
        ConvoySnapshot {
            stream: StreamStatus::Absent { why: "gt is asked for stranded convoys instead" },
            last_check: self.last_check.clone(),
            next_timed: None,
            open_convoys: None,
            closes_seen: 0,
            lines_skipped: 0,
            feed: Some(feed),
        }
    }
}
