//! The convoy watcher: searches for completed convoys soon after a bead database changed, and runs a timed check
//! every `convoy.check_every`.
//!
//! It decides nothing itself ([`rules`] does) and awaits nothing: each round is a task that ends with the actor. When
//! its state is lost, its successor checks once more than necessary.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    feeder,
    round::{Outcome, Seen, forget, round},
    rules,
    status::{CheckStatus, ConvoySnapshot, StreamStatus},
};
use crate::{
    deps::Deps,
    supervision::{
        child::{Answer, ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
    town::watch::FsWatcher,
};

/// What the convoy watcher receives.
#[derive(Debug)]
pub enum ConvoyMsg {
    /// From its timer: a round may be due; a timer of an earlier generation does nothing.
    RoundDue(u64),
    /// From its task: the result of the round; `None` when it panicked.
    RoundEnded(Option<(Outcome, Seen)>),
    /// From the port's counter: a bead database may have changed.
    DatabaseChanged,
    /// From the root: settings or files of the town changed, or a heartbeat was made.
    TownChanged,
    /// A request for its status.
    Status(RpcReplyPort<ConvoySnapshot>),
}

/// The actor that watches convoys.
#[derive(Debug)]
pub struct ConvoyWatch;

/// The convoy watcher as a child; in a 1.x town it is the [`feeder`].
pub fn child(deps: &Arc<Deps>, fs_watcher: &Arc<dyn FsWatcher>) -> ChildSpec {
    if deps.dialect().facts().feeds_convoys {
        return feeder::child(deps);
    }
    let arguments = (deps.clone(), fs_watcher.clone());
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::TownChanged | Broadcast::Heartbeat(_))
            .then_some(ConvoyMsg::TownChanged)
    });
    let contact = contact.answering(ConvoyMsg::Status, |convoys| Answer::figures("convoys", convoys));
    ChildSpec::new("convoy", || ConvoyWatch, move || arguments.clone(), contact)
}

/// The state of the [`ConvoyWatch`]. Times are monotonic.
pub struct ConvoyState {
    deps: Arc<Deps>,
    fs_watcher: Arc<dyn FsWatcher>,
    work: Work<ConvoyMsg>,
    timer: Timer,
    enabled: bool,
    running: bool,
    /// Whether a database may have changed since the last round began.
    hinted: bool,
    /// When the next round may begin at the earliest, whatever hints there are.
    earliest: Duration,
    /// When the next round is due.
    next: Duration,
    /// When the next timed check is due.
    timed: Duration,
    /// The same by the wall clock, computed once for each, so that a snapshot changes only when the time does.
    timed_at: Timestamp,
    seen: Seen,
    closes_seen: u64,
    last_check: Option<CheckStatus>,
}

impl Actor for ConvoyWatch {
    type Msg = ConvoyMsg;
    type State = ConvoyState;
    type Arguments = (Arc<Deps>, Arc<dyn FsWatcher>);

    async fn pre_start(
        &self,
        myself: ActorRef<ConvoyMsg>,
        (deps, fs_watcher): Self::Arguments,
    ) -> Result<ConvoyState, ActorProcessingErr> {
        let post: ReplyTo<ConvoyMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let now = deps.now();
        let mut work = Work::new(post.clone());
        let mut changes = fs_watcher.databases();
        work.run(async move {
            while changes.changed().await.is_ok() {
                post(ConvoyMsg::DatabaseChanged);
                tokio::time::sleep(rules::EVERY).await;
            }
        });
        let mut state = ConvoyState {
            deps,
            fs_watcher,
            work,
            timer: Timer::default(),
            enabled: false,
            running: false,
            hinted: false,
            earliest: now.mono + rules::EVERY,
            next: now.mono,
            timed: now.mono,
            timed_at: now.wall,
            seen: Seen::default(),
            closes_seen: 0,
            last_check: None,
        };
        state.follow_settings();
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<ConvoyMsg>,
        message: ConvoyMsg,
        state: &mut ConvoyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConvoyMsg::RoundDue(generation) if state.timer.is_latest(generation) => state.proceed(),
            ConvoyMsg::RoundDue(_) => {}
            ConvoyMsg::RoundEnded(outcome) => state.round_ended(outcome),
            ConvoyMsg::DatabaseChanged => state.database_changed(),
            ConvoyMsg::TownChanged => state.follow_settings(),
            ConvoyMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

impl ConvoyState {
    fn follow_settings(&mut self) {
        let settings = self.deps.settings().convoy.clone();
        let was = std::mem::replace(&mut self.enabled, settings.enabled);
        let now = self.deps.now().mono;
        match (was, self.enabled) {
            (_, false) => {
                forget(&self.deps);
                self.seen = Seen::default();
                return;
            }
            (false, true) => {
                self.next = now + rules::EVERY;
                self.check_at(rules::FIRST.min(settings.check_every));
            }
            (true, true) if now + settings.check_every < self.timed => self.check_at(settings.check_every),
            (true, true) => return,
        }
        self.proceed();
    }

    fn database_changed(&mut self) {
        self.hinted = true;
        self.next = self.next.min(self.earliest);
        self.proceed();
    }

    fn check_at(&mut self, delay: Duration) {
        let now = self.deps.now();
        let delayed = SignedDuration::try_from(delay).ok().and_then(|delay| now.wall.checked_add(delay).ok());
        (self.timed, self.timed_at) = (now.mono + delay, delayed.unwrap_or(Timestamp::MAX));
    }

    /// Starts the round that is due, or sets the timer for it.
    fn proceed(&mut self) {
        if !self.enabled || self.running {
            return;
        }
        let (now, due) = (self.deps.now().mono, self.next.min(self.timed));
        if now < due {
            self.timer.set(&mut self.work, due - now, ConvoyMsg::RoundDue);
            return;
        }
        self.running = true;
        self.hinted = false;
        let (deps, timed, seen) = (self.deps.clone(), now >= self.timed, self.seen.clone());
        if timed {
            self.check_at(self.deps.settings().convoy.check_every);
        }
        let task = async move { ConvoyMsg::RoundEnded(Some(round(&deps, timed, seen).await)) };
        self.work.spawn(task, ConvoyMsg::RoundEnded(None));
    }

    fn round_ended(&mut self, result: Option<(Outcome, Seen)>) {
        let now = self.deps.now();
        self.running = false;
        let (mut earliest, mut pause) = (rules::EVERY, rules::EVERY);
        if let Some((outcome, seen)) = result.filter(|_| self.enabled) {
            self.closes_seen += seen.closed.difference(&self.seen.closed).count() as u64;
            self.seen = seen;
            if let Outcome::Closed(what) = &outcome {
                tracing::info!("convoys checked: {what}");
            }
            if !self.hinted && !self.seen.is_unsettled() && self.fs_watcher.are_complete() {
                pause = rules::UNHINTED;
            }
            if outcome.is_check() {
                (earliest, pause) = (rules::AFTER_CHECK, rules::AFTER_CHECK);
                self.check_at(self.deps.settings().convoy.check_every);
                self.last_check = Some(CheckStatus { at: now.wall, outcome: outcome.words() });
            }
        }
        (self.earliest, self.next) = (now.mono + earliest, now.mono + pause);
        self.proceed();
    }

    fn snapshot(&self) -> ConvoySnapshot {
        ConvoySnapshot {
            stream: StreamStatus::Absent { why: "the bead databases are read instead" },
            last_check: self.last_check.clone(),
            next_timed: self.enabled.then_some(self.timed_at),
            open_convoys: self.seen.any_open,
            closes_seen: self.closes_seen,
            lines_skipped: 0,
            feed: None,
        }
    }
}
