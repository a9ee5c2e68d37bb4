//! The deacon's actor: owns the deacon and walks its progress ladder.
//!
//! The lifecycle keeps it running; this adds the heartbeat file: a stale one is answered with a nudge, a stuck one with a
//! kill and start in one step. It must not judge progress itself — that is [`rules`](super::rules)'s part.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::rules::{HeartbeatFile, Look, Progress, Verdict};
use crate::{
    agent::{
        confirmation::{Observation, Permission, SessionKey, Sighting},
        history::Entry,
        lifecycle::{Event, StartEnd, State},
        nudge,
        owner::{AgentStatus, Owner, OwnerEvent},
        spec::AgentSpec,
        texts,
    },
    deps::Deps,
    go_duration,
    sessions::sweep::Sweep,
    town::{deacon_file, reading::Reading},
    tree::part::{Answers, Report, Word},
    work::{Post, Timer, Work},
};

/// What the deacon's actor hears.
#[derive(Debug)]
pub enum DeaconMsg {
    /// From the root.
    Word(Word),
    /// From the root, for boot: look now, boot cannot.
    CheckNow,
    /// From its owner's tasks and timers.
    Owner(OwnerEvent),
    /// From its own look; with the heartbeat it answers, if one asked for it.
    Looked(Option<u64>, Option<(Observation, HeartbeatFile)>),
    /// From its timer: progress falls due. One of an earlier generation does nothing.
    ProgressDue(u64),
    /// From a nudge that was typed, or not.
    Nudged,
    /// From anybody: how is your agent?
    Probe(RpcReplyPort<AgentStatus>),
}

/// The actor.
#[derive(Debug)]
pub struct Deacon;

/// Its state.
pub struct DeaconState {
    deps: Arc<Deps>,
    owner: Owner,
    progress: Progress,
    work: Work<DeaconMsg>,
    timer: Timer,
    answers: Answers,
    held: bool,
}

impl Actor for Deacon {
    type Msg = DeaconMsg;
    type State = DeaconState;
    type Arguments = (Arc<Deps>, AgentSpec, Answers);

    async fn pre_start(
        &self,
        myself: ActorRef<DeaconMsg>,
        (deps, spec, answers): Self::Arguments,
    ) -> Result<DeaconState, ActorProcessingErr> {
        let post: Post<DeaconMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let owner_post = post.clone();
        let owner =
            Owner::new(deps.clone(), spec, Arc::new(move |event| owner_post(DeaconMsg::Owner(event))));
        let progress = Progress::default();
        Ok(DeaconState {
            deps,
            owner,
            progress,
            work: Work::new(post),
            timer: Timer::default(),
            answers,
            held: false,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<DeaconMsg>,
        message: DeaconMsg,
        state: &mut DeaconState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DeaconMsg::Word(word) => state.heard(word),
            DeaconMsg::CheckNow => state.look(None, None),
            DeaconMsg::Owner(event) => state.owner_told(event),
            DeaconMsg::Looked(heartbeat, seen) => state.looked(heartbeat, seen),
            DeaconMsg::ProgressDue(generation) if state.timer.is_latest(generation) => state.look(None, None),
            DeaconMsg::ProgressDue(_) | DeaconMsg::Nudged => {}
            DeaconMsg::Probe(reply) => drop(reply.send(state.owner.snapshot())),
        }
        state.tell_whether_held();
        Ok(())
    }
}

impl DeaconState {
    fn heard(&mut self, word: Word) {
        match word {
            Word::Heartbeat(beat) => {
                self.owner.wake_start();
                self.look(Some(beat.sweep), Some(beat.number));
            }
            Word::Swept(sweep) => {
                self.owner.wake_start();
                if self.owner.is_news(&sweep) {
                    self.look(Some(sweep), None);
                }
            }
            Word::Died(death) => self.owner.died(death),
            Word::TownChanged => {
                self.owner.wake_start();
                self.look(None, None);
            }
            Word::Asked(_) => self.owner.attend(),
            Word::Mail(_) => {}
            Word::SnapshotRead(_) => {}
            Word::RestartStateChanged => self.owner.recall(),
            Word::ClearBackoff(whose) => self.owner.clear_backoff(whose.as_ref()),
        }
    }

    fn look(&mut self, sweep: Option<Arc<Sweep>>, heartbeat: Option<u64>) {
        let look = self.owner.look(sweep);
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                let seen = look.await;
                DeaconMsg::Looked(heartbeat, Some((seen, read_heartbeat(&deps).await)))
            },
            DeaconMsg::Looked(heartbeat, None),
        );
    }

    fn owner_told(&mut self, event: OwnerEvent) {
        let started = matches!(&event, OwnerEvent::StartEnded(StartEnd::Up { .. }));
        self.owner.handle(event);
        if started {
            self.progress.started(self.deps.now(), &self.deps.settings().deacon);
            self.look(None, None);
        }
    }

    fn looked(&mut self, heartbeat: Option<u64>, seen: Option<(Observation, HeartbeatFile)>) {
        // A look that was cut short by a fault is no answer: the heartbeat names this part as late.
        let Some((seen, file)) = seen else { return };
        self.owner.apply(Event::Seen(seen.clone()));
        self.check_progress(&seen, file);
        if let Some(number) = heartbeat {
            (self.answers)(Report::looked(number, "deacon"));
        }
    }

    fn check_progress(&mut self, seen: &Observation, file: HeartbeatFile) {
        let (settings, now) = (self.deps.settings(), self.deps.now());
        let alive_in = match (self.owner.state(), &seen.sighting) {
            (State::Alive { .. }, Sighting::Alive(key)) => Some(key.clone()),
            _ => None,
        };
        let paused = seen.permission != Permission::Allowed;
        let look = Look { alive_in, paused, file };
        let verdict = self.progress.judge(&look, now, &settings.deacon);
        let ahead = "deacon/heartbeat_ahead";
        if !matches!(verdict, Verdict::FromTheFuture(_)) {
            self.deps.problems.clear(ahead);
        }
        match (verdict, &look.file) {
            (Verdict::Nudge { age }, _) => {
                if let Some(session) = look.alive_in.clone() {
                    self.nudge(session, age);
                }
            }
            // It waits for a person, which is reported.
            (Verdict::Stuck { .. }, _) if self.is_at_question(&look) => {}
            (Verdict::Stuck { age }, HeartbeatFile::At(beat)) => {
                let why = format!("its heartbeat is {} old", go_duration::format_minutes(age));
                self.owner.apply(Event::Replace {
                    why,
                    heartbeat: *beat,
                    permission: seen.permission.clone(),
                });
            }
            (Verdict::FromTheFuture(beat), _) => {
                let text =
                    format!("deacon/heartbeat.json says {beat}, which is ahead of the clock; taken as fresh");
                self.deps.problems.report(ahead, text);
            }
            (Verdict::Leave | Verdict::Stuck { .. }, _) => {}
        }
        self.timer.cancel();
        if let Some(after) = self.progress.next_look(&look, now, &settings.deacon) {
            // A replacement that has to wait falls due when its wait is over.
            let after = self.owner.backoff_left(now).map_or(after, |left| after.min(left));
            self.timer.set(&mut self.work, after, DeaconMsg::ProgressDue);
        }
    }

    fn is_at_question(&self, look: &Look) -> bool {
        let session = &self.owner.spec().session;
        let asks = |key: &SessionKey| self.deps.screens.question(session, Some(&key.id)).is_some();
        look.alive_in.as_ref().is_some_and(asks)
    }

    fn nudge(&mut self, session: SessionKey, age: std::time::Duration) {
        let seen = format!("its heartbeat is {} old", go_duration::format_minutes(age));
        tracing::info!("deacon: {seen}, nudging it");
        let (deps, spec) = (self.deps.clone(), self.owner.spec().clone());
        self.work.spawn(
            async move {
                let done = match nudge::nudge(&deps, &spec, &session, texts::HEALTH_CHECK).await {
                    Ok(()) => "nudged".to_owned(),
                    Err(error) => {
                        tracing::warn!("deacon: nudge was not delivered: {error}");
                        format!("nudge was not delivered: {error}")
                    }
                };
                deps.histories.add(&spec.identity, Entry::word(deps.now().wall, &seen, &done));
                DeaconMsg::Nudged
            },
            DeaconMsg::Nudged,
        );
    }

    fn tell_whether_held(&mut self) {
        let held = matches!(
            self.owner.state(),
            State::Held { .. }
                | State::Stopping { .. }
                | State::HeldOnRequest { .. }
                | State::CrashLoop { .. }
        );
        if held != self.held {
            self.held = held;
            (self.answers)(Report::DeaconHeld(held));
        }
    }
}

/// Missing or unreadable is unknown; what is wrong with it is reported once.
pub async fn read_heartbeat(deps: &Deps) -> HeartbeatFile {
    let path = deps.paths.deacon_heartbeat();
    let key = "deacon/heartbeat";
    match Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, deacon_file::parse_heartbeat) {
        Reading::Good(file) => {
            deps.problems.clear(key);
            HeartbeatFile::At(file.timestamp)
        }
        Reading::Missing => {
            deps.problems.clear(key);
            HeartbeatFile::Unknown
        }
        Reading::Bad(problem) => {
            deps.problems.report(key, problem.to_string());
            HeartbeatFile::Unknown
        }
    }
}
