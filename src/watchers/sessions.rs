//! The session watch: decides when all sessions are scanned, and passes on the result.
//!
//! It scans when the sessions port reports a change, when a heartbeat asks, and at least every `tmux.sweep`. One scan
//! runs at a time; reports during a scan cause one more. Each death is reported once and at once: when the port
//! reports an end, or when a scan misses a session, before that scan is passed on. It must not judge a scan or a
//! death: the root passes scans on to the owners, and the directory routes deaths.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    agent::screens,
    deps::Deps,
    ports::problems::{Condition, ProblemKey},
    sessions::{
        Fact, Sessions,
        death::Death,
        scan::{Scan, scan_within},
        table::SessionTable,
    },
    supervision::{
        child::{ChildSpec, Contact},
        messages::Broadcast,
        work::{ReplyTo, Timer, Work},
    },
};

/// The name of the session watch.
pub const NAME: &str = "sessions";
/// The problem that tmux cannot be asked.
const PROBLEM: ProblemKey = ProblemKey::named("sessions").meaning(Condition::BrokenTool);

/// Minimum time between the starts of two scans that only a hint asked for: a burst of changes is one scan, not
/// hundreds.
const LEAST_GAP: Duration = Duration::from_millis(100);

/// The time limit of a scan; every request to tmux has its own limit below this.
const SCAN_LIMIT: Duration = Duration::from_secs(15);

/// After a scan, the agents' screens are read if the last reading is older than this.
const SCREENS_EVERY: Duration = Duration::from_secs(30);

/// What the session watch receives.
#[derive(Debug)]
pub enum WatchMsg {
    /// From its supervisor: scan now, for this heartbeat.
    ScanFor(u64),
    /// From its supervisor: something in the town changed, scan soon.
    Hint,
    /// From the port's change counter.
    Changed,
    /// From the port.
    Heard(Fact),
    /// From its timer; one of an earlier generation does nothing.
    Due(u64),
    /// From its task.
    Scanned(Box<Scan>),
    /// From its task: the screens were read.
    ScreensRead,
    /// A request for its figures.
    #[cfg_attr(not(feature = "test-support"), expect(dead_code, reason = "tests ask"))]
    Status(RpcReplyPort<WatchSnapshot>),
}

/// What it reports.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// A scan ended.
    Seen(Seen),
    /// A session ended, or something in it.
    Died(Death),
}

/// The result of one full scan.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The scan.
    pub scan: Arc<Scan>,
    /// The heartbeat it was made for.
    pub for_heartbeat: Option<u64>,
}

/// Its figures, for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSnapshot {
    /// Scans since its start.
    pub scans: u64,
    /// Whether a scan is in progress.
    pub scanning: bool,
    /// Sessions in the last scan; `None` when it failed, or none was made.
    pub sessions: Option<usize>,
    /// Deaths reported since its start.
    pub deaths: u64,
}

/// The actor that scans sessions.
#[derive(Debug)]
pub struct SessionWatch;

/// The session watch as a child. It is significant, as no death is noticed without it. Scans go to `scanned`, deaths
/// directly to the actor of the agent; the end of an unknown session is no death of an agent.
pub fn child(deps: &Arc<Deps>, scanned: ReplyTo<Seen>) -> ChildSpec {
    let deps = deps.clone();
    let to = deps.directory.clone();
    let tell: ReplyTo<WatchEvent> = Arc::new(move |event| match event {
        WatchEvent::Seen(seen) => scanned(seen),
        WatchEvent::Died(death) => {
            let session = death.session.clone();
            to.send_to_session(&session, Broadcast::Died(death));
        }
    });
    let arguments = move || (deps.clone(), tell.clone());
    let child = ChildSpec::new(NAME, || SessionWatch, arguments, Contact::taking(|_| None));
    ChildSpec { significant: true, ..child }
}

/// The state of the [`SessionWatch`].
pub struct WatchState {
    deps: Arc<Deps>,
    tell: ReplyTo<WatchEvent>,
    work: Work<WatchMsg>,
    timer: Timer,
    scans: u64,
    /// `Some` while a scan is in progress, with the heartbeat that waits for it, if any.
    scanning: Option<Option<u64>>,
    /// Another scan to make after this one.
    again: Option<Option<u64>>,
    last_began: Option<Duration>,
    sessions: Option<usize>,
    /// Empty after a crash: it reports no death of sessions it never saw; the scan shows the owners what is missing.
    table: SessionTable,
    deaths: u64,
    /// Whether the agents' screens are being read; when they were last read follows.
    reading_screens: bool,
    screens_read: Option<Duration>,
}

impl Actor for SessionWatch {
    type Msg = WatchMsg;
    type State = WatchState;
    type Arguments = (Arc<Deps>, ReplyTo<WatchEvent>);

    async fn pre_start(
        &self,
        myself: ActorRef<WatchMsg>,
        (deps, tell): Self::Arguments,
    ) -> Result<WatchState, ActorProcessingErr> {
        let post: ReplyTo<WatchMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post.clone());
        listen(&*deps.sessions, &mut work, post);
        let mut state = WatchState {
            deps,
            tell,
            work,
            timer: Timer::default(),
            scans: 0,
            scanning: None,
            again: None,
            last_began: None,
            sessions: None,
            table: SessionTable::default(),
            deaths: 0,
            reading_screens: false,
            screens_read: None,
        };
        // A restarted watch observes first; after the very first start the first heartbeat asks anyway.
        state.arm(Duration::ZERO);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<WatchMsg>,
        message: WatchMsg,
        state: &mut WatchState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WatchMsg::ScanFor(number) => state.want(Some(number)),
            WatchMsg::Hint | WatchMsg::Changed => state.hinted(),
            WatchMsg::Heard(fact) => state.heard(&fact),
            WatchMsg::Due(generation) if state.timer.is_latest(generation) => state.want(None),
            WatchMsg::Due(_) => {}
            WatchMsg::Scanned(scan) => state.scanned(*scan),
            WatchMsg::ScreensRead => state.reading_screens = false,
            WatchMsg::Status(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

/// Passes on what the port reports.
fn listen(sessions: &dyn Sessions, work: &mut Work<WatchMsg>, post: ReplyTo<WatchMsg>) {
    let (mut changes, mut facts) = (sessions.changes(), sessions.facts());
    let post_facts = post.clone();
    work.run(async move {
        while changes.changed().await.is_ok() {
            post(WatchMsg::Changed);
        }
    });
    work.run(async move {
        loop {
            match facts.recv().await {
                Ok(fact) => post_facts(WatchMsg::Heard(fact)),
                // The scan shows what was missed; nothing is held back for lost facts.
                Err(RecvError::Lagged(_)) => post_facts(WatchMsg::Heard(Fact::ServerLasts)),
                Err(RecvError::Closed) => return,
            }
        }
    });
}

impl WatchState {
    /// Reports a death at once, and requests a scan when something may have ended.
    fn heard(&mut self, fact: &Fact) {
        let deaths = self.table.heard(fact, self.deps.now());
        self.report_deaths(deaths);
        if !matches!(fact, Fact::Listed(_)) {
            self.hinted();
        }
    }

    fn report_deaths(&mut self, deaths: Vec<Death>) {
        for death in deaths {
            self.deaths += 1;
            (self.tell)(WatchEvent::Died(death));
        }
    }

    /// A hint: scan soon, but not more often than the minimum interval.
    fn hinted(&mut self) {
        if self.scanning.is_some() {
            self.again.get_or_insert(None);
            return;
        }
        let since = self.last_began.map(|began| self.deps.now().mono.saturating_sub(began));
        match since {
            Some(since) if since < LEAST_GAP => self.arm(LEAST_GAP - since),
            _ => self.want(None),
        }
    }

    fn want(&mut self, for_heartbeat: Option<u64>) {
        if self.scanning.is_some() {
            self.again = Some(for_heartbeat.or(self.again.flatten()));
            return;
        }
        self.scanning = Some(for_heartbeat);
        self.timer.cancel();
        let now = self.deps.now();
        self.last_began = Some(now.mono);
        let deps = self.deps.clone();
        let panicked = Scan::failed(now, "a scan panicked".to_owned());
        self.work.spawn(
            async move {
                let scan = scan_within(SCAN_LIMIT, &*deps.sessions, &*deps.processes, now).await;
                // Facts about ends are handled before the scan that shows their result.
                tokio::task::yield_now().await;
                WatchMsg::Scanned(Box::new(scan))
            },
            WatchMsg::Scanned(Box::new(panicked)),
        );
    }

    fn scanned(&mut self, scan: Scan) {
        self.scans += 1;
        match &scan.sessions {
            Ok(sessions) => {
                self.sessions = Some(sessions.len());
                self.deps.problems.clear(&PROBLEM);
            }
            Err(why) => {
                self.sessions = None;
                self.deps
                    .problems
                    .report(PROBLEM, format!("sessions cannot be seen, nothing is done: {why}"));
            }
        }
        let deaths = self.table.scanned(&scan, self.deps.now());
        self.report_deaths(deaths);
        let for_heartbeat = self.scanning.take().flatten();
        let scan = Arc::new(scan);
        (self.tell)(WatchEvent::Seen(Seen { scan: scan.clone(), for_heartbeat }));
        self.read_screens(scan);
        match self.again.take() {
            Some(Some(number)) => self.want(Some(number)),
            Some(None) => self.hinted(),
            None => self.arm(self.deps.settings().tmux.sweep),
        }
    }

    /// Stores the agents' screens every [`SCREENS_EVERY`], for the time after their end.
    fn read_screens(&mut self, scan: Arc<Scan>) {
        let now = self.deps.now().mono;
        let due = self.screens_read.is_none_or(|last| now.saturating_sub(last) >= SCREENS_EVERY);
        if self.reading_screens || !(due || self.deps.records.lack_a_screen(&scan)) {
            return;
        }
        (self.reading_screens, self.screens_read) = (true, Some(now));
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                screens::refresh(&deps, &scan).await;
                WatchMsg::ScreensRead
            },
            WatchMsg::ScreensRead,
        );
    }

    fn arm(&mut self, after: Duration) {
        self.timer.set(&mut self.work, after, WatchMsg::Due);
    }

    fn snapshot(&self) -> WatchSnapshot {
        WatchSnapshot {
            scans: self.scans,
            scanning: self.scanning.is_some(),
            sessions: self.sessions,
            deaths: self.deaths,
        }
    }
}
