//! The curator: the actor that keeps the feed up to date with the event log.
//!
//! A change of the log wakes it, and a timer in case a change was not reported. It runs one round at a time: it
//! writes our own pending events to the log, writes new lines to the feed, and saves its progress at most once per
//! second. It must not judge an event; the rules do.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::{
    curate::{self, Carried},
    follow::Follower,
    progress::FeedProgress,
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

/// The time between two rounds in case a change of the log is not reported,
const POLL: Duration = Duration::from_secs(30);
/// and when changes cannot be watched, or something waits for the disk.
const POLL_OFTEN: Duration = Duration::from_secs(5);
/// The pause between two rounds: lines that come in a burst are one round.
const REST: Duration = Duration::from_millis(10);
/// The delay between a change and saving the progress.
const SAVE_AFTER: Duration = Duration::from_secs(1);

/// What the curator receives.
#[derive(Debug)]
pub enum FeedMsg {
    /// From the file watch: the log changed.
    Changed,
    /// From the root: the settings may be different.
    TownChanged,
    /// From its timer; one of an earlier generation does nothing.
    PollDue(u64),
    /// From its timer, after a round.
    Rested,
    /// From its timer.
    SaveDue,
    /// From its task.
    RoundDone(Round),
    /// A request for its status.
    Status(RpcReplyPort<FeedSnapshot>),
}

/// The result of one round.
#[derive(Debug, Default)]
pub struct Round {
    follower: Option<Box<Follower>>,
    taken_over: bool,
    /// Whether the progress could be saved; `None` when the round did not save.
    saved: Option<bool>,
    carried: Carried,
    failed: Option<String>,
}

/// The curator's figures for status reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct FeedSnapshot {
    /// Whether the feed is curated (`feed.enabled`).
    pub enabled: bool,
    /// How far the event log was read, in bytes.
    pub position: u64,
    /// Lines written to the feed, ever.
    pub written: u64,
    /// Lines of the event log that could not be used, ever.
    pub skipped: u64,
    /// The reason for the last skipped line since this start.
    pub last_skipped: Option<String>,
    /// When the last line was written by this supervisor.
    pub last_written: Option<Timestamp>,
    /// Events of the supervisor's own that wait to be written into the log.
    pub waiting: usize,
    /// Why it cannot continue.
    pub problem: Option<String>,
}

/// The actor that writes the feed.
#[derive(Debug)]
pub struct Curator;

/// The curator as a child.
pub fn child(deps: &Arc<Deps>, fs_watcher: &Arc<dyn FsWatcher>) -> ChildSpec {
    let progress = FeedProgress::new(deps.paths.supervisor_dir());
    let arguments = (deps.clone(), fs_watcher.clone(), progress);
    let contact = Contact::taking(|broadcast| {
        matches!(broadcast, Broadcast::TownChanged).then_some(FeedMsg::TownChanged)
    })
    .answering(FeedMsg::Status, |feed| Answer::figures("feed", feed));
    ChildSpec::new("feed", || Curator, move || arguments.clone(), contact)
}

/// The state of the [`Curator`].
pub struct CuratorState {
    deps: Arc<Deps>,
    fs_watcher: Arc<dyn FsWatcher>,
    progress: FeedProgress,
    work: Work<FeedMsg>,
    timer: Timer,
    /// The delay of the timer, if it is set.
    poll: Option<Duration>,
    /// Here between rounds; during a round its task has it.
    follower: Option<Box<Follower>>,
    taken_over: bool,
    /// Whether a round is in progress, or the pause after one.
    busy: bool,
    wanted: bool,
    save_armed: bool,
    save_due: bool,
    last_skipped: Option<String>,
    last_written: Option<Timestamp>,
    problem: Option<String>,
}

impl Actor for Curator {
    type Msg = FeedMsg;
    type State = CuratorState;
    type Arguments = (Arc<Deps>, Arc<dyn FsWatcher>, FeedProgress);

    async fn pre_start(
        &self,
        myself: ActorRef<FeedMsg>,
        (deps, fs_watcher, progress): Self::Arguments,
    ) -> Result<CuratorState, ActorProcessingErr> {
        let post: ReplyTo<FeedMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post.clone());
        let mut changes = fs_watcher.events();
        work.run(async move {
            while changes.changed().await.is_ok() {
                post(FeedMsg::Changed);
            }
        });
        let mut state = CuratorState {
            deps,
            fs_watcher,
            progress,
            work,
            timer: Timer::default(),
            poll: None,
            follower: None,
            taken_over: false,
            busy: false,
            wanted: true,
            save_armed: false,
            save_due: false,
            last_skipped: None,
            last_written: None,
            problem: None,
        };
        state.begin_round();
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<FeedMsg>,
        message: FeedMsg,
        state: &mut CuratorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            FeedMsg::PollDue(generation) if !state.timer.is_latest(generation) => {}
            FeedMsg::PollDue(_) => {
                state.poll = None;
                state.want_round();
            }
            FeedMsg::Changed | FeedMsg::TownChanged => state.want_round(),
            FeedMsg::Rested => {
                state.busy = false;
                state.begin_round();
            }
            FeedMsg::SaveDue => {
                (state.save_armed, state.save_due) = (false, true);
                state.begin_round();
            }
            FeedMsg::RoundDone(round) => state.round_done(round),
            FeedMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

impl CuratorState {
    fn want_round(&mut self) {
        self.wanted = true;
        self.begin_round();
    }

    fn begin_round(&mut self) {
        if self.busy || !(self.wanted || self.save_due) {
            return;
        }
        (self.busy, self.wanted) = (true, false);
        let (deps, progress, taken_over) = (self.deps.clone(), self.progress.clone(), self.taken_over);
        let save = std::mem::take(&mut self.save_due);
        let follower = self.follower.take().unwrap_or_default();
        let task =
            async move { FeedMsg::RoundDone(round(&deps, &progress, follower, taken_over, save).await) };
        let panicked = Round { failed: Some("the curator panicked".to_owned()), ..Round::default() };
        self.work.spawn(task, FeedMsg::RoundDone(panicked));
    }

    fn round_done(&mut self, round: Round) {
        let Round { follower, taken_over, saved, carried, failed } = round;
        self.follower = follower;
        self.taken_over = taken_over;
        if let Some(why) = carried.skipped {
            tracing::debug!("a line of .events.jsonl is left out of the feed: {why}");
            self.last_skipped = Some(why);
        }
        if carried.lines > 0 {
            self.last_written = Some(self.deps.now().wall);
        }
        let problems = &self.deps.problems;
        match &failed {
            Some(why) => problems.report("feed", why.clone()),
            None => problems.clear("feed"),
        };
        self.problem = failed;
        self.wanted |= carried.more;
        if (carried.changed || saved == Some(false)) && !self.save_armed {
            self.save_armed = true;
            let after = if saved == Some(false) { POLL_OFTEN } else { SAVE_AFTER };
            self.work.after(after, FeedMsg::SaveDue);
        }
        if carried.more {
            self.busy = false;
            return self.begin_round();
        }
        self.work.after(REST, FeedMsg::Rested);
        self.arm_poll();
    }

    fn arm_poll(&mut self) {
        let deps = &self.deps;
        let often =
            self.problem.is_some() || deps.writes.events.waiting() > 0 || !self.fs_watcher.are_complete();
        let after = if often { POLL_OFTEN } else { POLL };
        if self.poll.is_some_and(|armed| armed <= after) {
            return;
        }
        self.poll = Some(after);
        self.timer.set(&mut self.work, after, FeedMsg::PollDue);
    }

    fn snapshot(&self) -> FeedSnapshot {
        let progress = self.progress.get();
        FeedSnapshot {
            enabled: self.deps.settings().feed.enabled,
            position: progress.position.offset,
            written: progress.written,
            skipped: progress.skipped,
            last_skipped: self.last_skipped.clone(),
            last_written: self.last_written,
            waiting: self.deps.writes.events.waiting(),
            problem: self.problem.clone(),
        }
    }
}

async fn round(
    deps: &Deps,
    progress: &FeedProgress,
    mut follower: Box<Follower>,
    taken_over: bool,
    save: bool,
) -> Round {
    progress.load(deps).await;
    deps.writes.events.flush(deps).await;
    let mut round = Round { taken_over, ..Round::default() };
    if deps.settings().feed.enabled {
        if let Err(why) = carry(deps, progress, &mut follower, &mut round).await {
            round.failed = Some(why);
        }
        if save && round.taken_over {
            round.saved = Some(save_progress(deps, progress).await);
        }
    }
    round.follower = Some(follower);
    round
}

async fn carry(
    deps: &Deps,
    progress: &FeedProgress,
    follower: &mut Follower,
    round: &mut Round,
) -> Result<(), String> {
    if !round.taken_over {
        curate::take_over(deps, progress).await?;
        round.taken_over = true;
    }
    round.carried = curate::carry_over(deps, progress, follower).await?;
    Ok(())
}

/// The feed is synced first: saved progress must not include lines that a power cut could lose.
async fn save_progress(deps: &Deps, progress: &FeedProgress) -> bool {
    let synced = deps.journals.sync(&deps.paths.feed()).await;
    synced.is_ok() && progress.save(deps).await
}
