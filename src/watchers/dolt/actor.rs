//! The actor that asks the Dolt server for a sign of life every `dolt.check_every`.
//!
//! It decides nothing itself ([`rules`](super::rules) does). Only a server on this machine whose port the town's own
//! configuration names is watched: of any other nothing is known, and nothing is reported. It must not touch a session.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;

use super::rules::{Change, Health, STARTS, Starts};
use crate::{
    agent::permission,
    clock::Now,
    deps::Deps,
    ledger::{gt, notify},
    ports::{
        dolt::NoAnswer,
        problems::{Condition, ProblemKey},
    },
    supervision::{
        child::{ChildSpec, Contact},
        messages::{Report, ReportTo},
        work::{ReplyTo, Timer, Work},
    },
    town::{dialect::dolt::Server, events::Event},
};

/// The key of the problem that it is down.
const PROBLEM: ProblemKey = ProblemKey::named("dolt").meaning(Condition::BrokenTool);
/// How long `gt dolt start` may take.
const START: Duration = Duration::from_mins(1);

/// What the Dolt watch receives.
#[derive(Debug)]
pub enum DoltMsg {
    /// From its timer: ask again; a timer of an earlier generation does nothing.
    Due(u64),
    /// From its task: the answer to the question that was put at that time; `None` when it panicked.
    Answered(Option<(Now, Result<(), NoAnswer>)>),
    /// From its task: whether `gt dolt start` was run.
    StartEnded(bool),
}

/// The actor that watches the Dolt server.
#[derive(Debug)]
pub struct DoltWatch;

/// The Dolt watch as a child.
pub fn child(deps: &Arc<Deps>, answers: &ReportTo) -> ChildSpec {
    let arguments = (deps.clone(), answers.clone());
    ChildSpec::new("dolt", || DoltWatch, move || arguments.clone(), Contact::taking(|_| None))
}

/// The state of the [`DoltWatch`].
pub struct DoltState {
    deps: Arc<Deps>,
    answers: ReportTo,
    work: Work<DoltMsg>,
    timer: Timer,
    /// The server that was asked last.
    server: Option<Server>,
    health: Health,
    starts: Starts,
    starting: bool,
}

impl Actor for DoltWatch {
    type Msg = DoltMsg;
    type State = DoltState;
    type Arguments = (Arc<Deps>, ReportTo);

    async fn pre_start(
        &self,
        myself: ActorRef<DoltMsg>,
        (deps, answers): Self::Arguments,
    ) -> Result<DoltState, ActorProcessingErr> {
        let post: ReplyTo<DoltMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let mut work = Work::new(post);
        let mut timer = Timer::default();
        timer.set(&mut work, Duration::ZERO, DoltMsg::Due);
        let (server, health) = (deps.dolt.server(), Health::known(deps.dolt.is_down()));
        Ok(DoltState {
            deps,
            answers,
            work,
            timer,
            server,
            health,
            starts: Starts::default(),
            starting: false,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<DoltMsg>,
        message: DoltMsg,
        state: &mut DoltState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DoltMsg::Due(generation) if state.timer.is_latest(generation) => state.ask(),
            DoltMsg::Due(_) => {}
            DoltMsg::Answered(answer) => state.answered(answer),
            DoltMsg::StartEnded(was_run) => state.start_ended(was_run),
        }
        Ok(())
    }
}

impl DoltState {
    /// Asks the server, if there is one to watch.
    fn ask(&mut self) {
        let server = self.deps.dolt.server().filter(|server| server.is_configured && server.is_local());
        if server != self.server {
            // Of this one nothing is known yet.
            self.server.clone_from(&server);
            self.health = Health::default();
            if self.deps.dolt.is_down() {
                self.is_up();
            }
        }
        let Some(server) = server else { return self.ask_after(self.deps.settings().dolt.check_every) };
        let (deps, now) = (self.deps.clone(), self.deps.now());
        let task = async move { DoltMsg::Answered(Some((now, deps.dolt.port.greet(server.port).await))) };
        self.work.spawn(task, DoltMsg::Answered(None));
    }

    fn ask_after(&mut self, delay: Duration) {
        self.timer.set(&mut self.work, delay, DoltMsg::Due);
    }

    fn answered(&mut self, answer: Option<(Now, Result<(), NoAnswer>)>) {
        if let Some((asked, answer)) = answer {
            match self.health.answered(&answer, asked) {
                Some(Change::Down(since)) => self.is_down(since, &answer),
                Some(Change::Up) => self.is_up(),
                None => {}
            }
        }
        if self.health.is_down() {
            self.start();
        }
        self.ask_after(self.health.pause(self.deps.settings().dolt.check_every));
    }

    fn is_down(&mut self, since: Now, answer: &Result<(), NoAnswer>) {
        self.starts.changed(true, self.deps.now().mono);
        self.deps.dolt.set_down(Some(since.wall));
        self.report();
        let Some(server) = &self.server else { return };
        let why = match answer {
            Err(NoAnswer::Silent(why)) => why.as_str(),
            _ => "connection refused",
        };
        let address = format!("{}:{}", server.host, server.port);
        let payload = json!({"address": address, "since": since.wall.to_string(), "reason": why});
        let event = Event::ours(self.deps.now().wall, "dolt_down", payload);
        let deps = self.deps.clone();
        self.work.run(async move { notify::send(&deps, &event).await });
    }

    /// Reports that it is down, under one key.
    fn report(&self) {
        let (Some(server), Some(since)) = (&self.server, self.deps.dolt.down_since()) else { return };
        let advice = match self.starts.are_over() {
            true => format!("`gt dolt start` was run {STARTS} times in vain: see daemon/dolt.log"),
            false => "`gt dolt start` starts it".to_owned(),
        };
        let text = format!(
            "Dolt does not answer on {}:{} since {}: mail, hooks and slings fail; {advice}",
            server.host,
            server.port,
            since.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        self.deps.problems.report(PROBLEM, text);
    }

    fn is_up(&mut self) {
        self.starts.changed(false, self.deps.now().mono);
        self.deps.dolt.set_down(None);
        self.deps.problems.clear(&PROBLEM);
        (self.answers)(Report::DoltAnswers);
    }

    /// Starts it, if the settings say so and it is time.
    fn start(&mut self) {
        let now = self.deps.now().mono;
        if self.starting || !self.deps.settings().dolt.restart || !self.starts.is_due(now) {
            return;
        }
        self.starting = true;
        let deps = self.deps.clone();
        self.work.spawn(async move { DoltMsg::StartEnded(start(&deps).await) }, DoltMsg::StartEnded(false));
    }

    fn start_ended(&mut self, was_run: bool) {
        self.starting = false;
        if !was_run {
            return;
        }
        self.starts.started(self.deps.now().mono);
        if self.starts.are_over() && self.health.is_down() {
            self.report();
        }
    }
}

/// Runs `gt dolt start`, unless nothing may be started in the town; returns whether it was run.
async fn start(deps: &Deps) -> bool {
    if let Err(why) = permission::of_town(deps).await {
        tracing::debug!("Dolt is not started: {why}");
        return false;
    }
    match gt::run_within(deps, &["dolt", "start"], &[], START).await {
        Ok(_) => tracing::info!(reason = "dolt_started", "ran `gt dolt start`, as Dolt did not answer"),
        Err(error) => tracing::warn!(reason = "dolt_start_failed", "Dolt was not started: {error}"),
    }
    true
}
