//! The convoy watcher: keeps the child that tells closes, and looks after convoys when that is worth it.
//!
//! It decides nothing itself ([`rules`](super::rules)), and awaits nothing: the child and the look under way are tasks of its
//! own, which end with it. What it remembers may be lost: its successor hears old closes again and asks once too often.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    look::{Outcome, forget, look},
    news::News,
    rules::{Agenda, Next},
    status::{CheckStatus, ConvoySnapshot},
    stream::Stream,
};
use crate::{
    commands::CommandError,
    deps::Deps,
    work::{Post, Timer, Work},
};

/// What the convoy watcher hears.
#[derive(Debug)]
pub enum ConvoyMsg {
    /// From its timer: the child is to be started; one of an earlier number does nothing.
    StartDue(u64),
    /// From the child of this number, by its task: it told something.
    Heard(u64),
    /// From that task: the child ended, and how; nothing when it was ended on purpose.
    Ended(u64, Option<Result<(), CommandError>>),
    /// From its timer: the child of this number has run for a while.
    WellDue(u64),
    /// From its timer: there may be something to look into; one of an earlier generation does nothing.
    LookDue(u64),
    /// From its task: what came of the look; nothing when it failed.
    Looked(Option<Outcome>),
    /// From the root: a heartbeat; what it goes by may be different now.
    Heartbeat,
    /// From the root: settings or files of the town changed, or somebody asks for them to be read again.
    TownChanged,
    /// From anybody: how are you?
    Probe(RpcReplyPort<ConvoySnapshot>),
}

/// The actor.
#[derive(Debug)]
pub struct ConvoyWatch;

/// Its state.
pub struct ConvoyState {
    pub(super) deps: Arc<Deps>,
    pub(super) work: Work<ConvoyMsg>,
    pub(super) post: Post<ConvoyMsg>,
    pub(super) stream: Stream,
    pub(super) news: News,
    pub(super) agenda: Agenda,
    /// Whether a close was told since the last look began,
    pub(super) told_close: bool,
    /// and between that and the one before.
    told_before: bool,
    pub(super) closes_seen: u64,
    pub(super) lines_skipped: u64,
    enabled: bool,
    timer: Timer,
    /// When the timer goes off, if it is set (monotonic).
    armed: Option<Duration>,
    /// When the next timed question is due, by both clocks: the wall clock is read once for each, so that whoever is told of it
    /// sees a change only when there is one.
    timed: Option<(Duration, Timestamp)>,
    last_check: Option<CheckStatus>,
    open: Option<bool>,
}

impl Actor for ConvoyWatch {
    type Msg = ConvoyMsg;
    type State = ConvoyState;
    type Arguments = Arc<Deps>;

    async fn pre_start(
        &self,
        myself: ActorRef<ConvoyMsg>,
        deps: Arc<Deps>,
    ) -> Result<ConvoyState, ActorProcessingErr> {
        let post: Post<ConvoyMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let (now, every) = (deps.now().mono, deps.settings().convoy.check_every);
        let mut state = ConvoyState {
            deps,
            work: Work::new(post.clone()),
            post,
            stream: Stream::default(),
            news: News::default(),
            agenda: Agenda::new(now, every),
            told_close: false,
            told_before: false,
            closes_seen: 0,
            lines_skipped: 0,
            enabled: false,
            timer: Timer::default(),
            armed: None,
            timed: None,
            last_check: None,
            open: None,
        };
        state.reconsider(false);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<ConvoyMsg>,
        message: ConvoyMsg,
        state: &mut ConvoyState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConvoyMsg::StartDue(number) => state.start_due(number),
            ConvoyMsg::Heard(number) => state.heard(number),
            ConvoyMsg::Ended(number, how) => state.ended(number, how, None),
            ConvoyMsg::WellDue(number) => state.well_due(number),
            ConvoyMsg::LookDue(generation) if state.timer.is_latest(generation) => state.armed = None,
            ConvoyMsg::LookDue(_) => {}
            ConvoyMsg::Looked(outcome) => state.looked(outcome),
            ConvoyMsg::Heartbeat => state.reconsider(false),
            ConvoyMsg::TownChanged => state.reconsider(true),
            ConvoyMsg::Probe(reply) => drop(reply.send(state.snapshot())),
        }
        state.go_on();
        Ok(())
    }
}

impl ConvoyState {
    /// Follows the settings in force; `again`: what was given up is tried again.
    fn reconsider(&mut self, again: bool) {
        let (now, settings) = (self.deps.now().mono, self.deps.settings());
        let wanted = settings.convoy.enabled;
        let was = std::mem::replace(&mut self.enabled, wanted);
        match (was, wanted) {
            (false, false) => return,
            (true, false) => {
                forget(&self.deps);
                return self.end();
            }
            (false, true) => self.agenda.begin_again(now, settings.convoy.check_every),
            (true, true) => self.agenda.every(settings.convoy.check_every, now),
        }
        self.reconsider_stream(again);
        self.go_on();
    }

    /// Begins what is due, or sees to it that it is thought of in time.
    fn go_on(&mut self) {
        if !self.enabled {
            return;
        }
        self.note_timed();
        let now = self.deps.now().mono;
        match self.agenda.next(now) {
            Next::Busy => {}
            Next::Wait(delay) => self.arm(now + delay, delay),
            Next::Look(why) => {
                self.told_before = std::mem::take(&mut self.told_close);
                let deps = self.deps.clone();
                let task = async move { ConvoyMsg::Looked(Some(look(&deps, why).await)) };
                self.work.spawn(task, ConvoyMsg::Looked(None));
            }
        }
    }

    fn note_timed(&mut self) {
        let timed = self.agenda.timed();
        if self.timed.is_none_or(|(before, _)| before != timed) {
            let now = self.deps.now();
            self.timed = Some((timed, later(now.wall, timed.saturating_sub(now.mono))));
        }
    }

    fn arm(&mut self, at: Duration, delay: Duration) {
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            self.timer.set(&mut self.work, delay, ConvoyMsg::LookDue);
        }
    }

    fn looked(&mut self, outcome: Option<Outcome>) {
        let now = self.deps.now();
        let outcome = outcome.unwrap_or_else(|| Outcome::Unknown("the look failed".to_owned()));
        let every = self.deps.settings().convoy.check_every;
        // Only a look at all convoys can find that none is open, or that nothing is known.
        self.agenda.done(outcome != Outcome::Untracked, now.mono, every);
        self.open = if outcome == Outcome::Untracked { self.open } else { outcome.any_open() };
        match &outcome {
            Outcome::Closed(what) => {
                tracing::info!("convoys checked: {what}");
                if !self.told_before && !self.told_close {
                    self.replace_deaf_stream();
                }
            }
            other => tracing::debug!("convoys looked after: {}", other.words()),
        }
        if outcome.is_check() {
            self.last_check = Some(CheckStatus { at: now.wall, outcome: outcome.words() });
        }
    }

    fn snapshot(&self) -> ConvoySnapshot {
        let timed = self.timed.filter(|_| self.enabled);
        ConvoySnapshot {
            stream: self.stream_status(),
            last_check: self.last_check.clone(),
            next_timed: timed.map(|(_, at)| at),
            open_convoys: self.open,
            closes_seen: self.closes_seen,
            lines_skipped: self.lines_skipped,
        }
    }
}

/// So much after `at`.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
