//! The deacon's role: its progress ladder. A stale heartbeat file is answered with a nudge, a stuck one with a
//! replacement.
//!
//! It must not judge progress itself: [`rules`](crate::roles::deacon::rules) does.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;

use super::rules::{HeartbeatFile, Observed, Progress, Verdict};
use crate::{
    agent::{
        actor::Agent,
        confirmation::{Observation, Permission, Presence, SessionKey},
        history::Entry,
        lifecycle::{Event, StartEnd, State},
        nudge,
        owner::Owner,
        role::{Occasion, Role, RoleEvent},
        texts,
    },
    deps::Deps,
    go_duration,
    ledger::{bd, databases::Database, list_output},
    ports::problems::ProblemKey,
    sessions::scan::Scan,
    supervision::messages::Report,
    town::{deacon_file, identity::Identity, reading::Reading},
};

/// The key of the problem of a heartbeat file that is ahead of the clock.
const AHEAD: &str = "deacon/heartbeat_ahead";
/// The key of the problem of a living deacon whose heartbeat is old.
const STALE: &str = "deacon/heartbeat_stale";

/// What the deacon's actor keeps beside its owner.
#[derive(Debug, Default)]
pub struct Deacon {
    progress: Progress,
    /// Whether the deacon was last reported as held to the root.
    held: bool,
}

impl Role for Deacon {
    /// A new actor does not know yet whether the deacon is held.
    fn begin(&mut self, agent: &mut Agent) {
        agent.report(Report::DeaconHeld(self.held));
    }

    fn is_worth_a_probe(&self, occasion: Occasion<'_>, owner: &Owner) -> bool {
        match occasion {
            Occasion::Heartbeat(_) | Occasion::TownChange => true,
            Occasion::Scan(scan) => owner.is_news(scan),
        }
    }

    fn observe(&self, deps: &Arc<Deps>, _: Option<&Arc<Scan>>) -> Option<BoxFuture<'static, RoleEvent>> {
        let deps = deps.clone();
        Some(async move { RoleEvent::new(read_heartbeat(&deps).await) }.boxed())
    }

    fn observed(&mut self, agent: &mut Agent, seen: &Observation, more: Option<RoleEvent>) {
        if let Some(file) = more.and_then(RoleEvent::get) {
            self.check_progress(agent, seen, file);
        }
    }

    fn start_ended(&mut self, agent: &mut Agent, end: &StartEnd) -> bool {
        if !matches!(end, StartEnd::Up { .. }) {
            return false;
        }
        self.progress.started(agent.deps.now(), &agent.deps.settings().deacon);
        true
    }

    fn handled(&mut self, agent: &mut Agent) {
        let held = matches!(
            agent.owner.state(),
            State::Held { .. }
                | State::Stopping { .. }
                | State::HeldOnRequest { .. }
                | State::CrashLoop { .. }
        );
        if held != self.held {
            self.held = held;
            agent.report(Report::DeaconHeld(held));
        }
    }
}

impl Deacon {
    fn check_progress(&mut self, agent: &mut Agent, seen: &Observation, file: HeartbeatFile) {
        let (settings, now) = (agent.deps.settings(), agent.deps.now());
        let alive_in = match (agent.owner.state(), &seen.presence) {
            (State::Alive { .. }, Presence::Alive(key)) => Some(key.clone()),
            _ => None,
        };
        let paused = seen.permission != Permission::Allowed;
        let observed = Observed { alive_in, paused, file };
        let verdict = self.progress.judge(&observed, now, &settings.deacon);
        let is_known = !matches!(seen.presence, Presence::Unknown(_));
        if is_known && self.progress.is_stale(&observed, now, &settings.deacon) == Some(false) {
            agent.deps.problems.clear(STALE);
        }
        if !matches!(verdict, Verdict::FromTheFuture(_)) {
            agent.deps.problems.clear(AHEAD);
        }
        match (verdict, &observed.file) {
            (Verdict::Nudge { age }, HeartbeatFile::At(beat)) => {
                if let Some(session) = observed.alive_in.clone() {
                    nudge(agent, session, age, is_old(*beat, settings.deacon.stale_after));
                }
            }
            // It waits for a person, which is reported.
            (Verdict::Stuck { .. }, _) if is_at_question(agent, &observed) => {}
            (Verdict::Stuck { age }, HeartbeatFile::At(beat)) => {
                agent.deps.problems.note(
                    ProblemKey::named(STALE).of(&Identity::Deacon),
                    is_old(*beat, settings.deacon.stale_after),
                );
                let why = format!("its heartbeat is {} old", go_duration::short_minutes(age));
                let permission = seen.permission.clone();
                agent.owner.apply(Event::Replace { why, heartbeat: *beat, permission });
            }
            (Verdict::FromTheFuture(beat), _) => {
                let text = format!(
                    "deacon/heartbeat.json says {beat}, which is ahead of the clock; it counts as fresh"
                );
                agent.deps.problems.report(ProblemKey::from(AHEAD).of(&Identity::Deacon), text);
            }
            (Verdict::Leave | Verdict::Nudge { .. } | Verdict::Stuck { .. }, _) => {}
        }
        let due = self.progress.next_probe(&observed, now, &settings.deacon);
        // A replacement that has to wait falls due when its wait is over.
        let left = agent.owner.backoff_left(now);
        agent.probe_after(due.map(|due| left.map_or(due, |left| due.min(left))));
    }
}

fn is_at_question(agent: &Agent, observed: &Observed) -> bool {
    let session = observed.alive_in.as_ref();
    let screen = session.and_then(|key| agent.deps.records.screen(&Identity::Deacon, Some(&key.id)));
    screen.is_some_and(|screen| screen.question.is_some())
}

/// The problem of a heartbeat that is older than `limit`.
fn is_old(beat: Timestamp, limit: Duration) -> String {
    let limit = go_duration::short(limit);
    format!(
        "the deacon lives, but its heartbeat is old: deacon/heartbeat.json says {beat}, and more than {limit} is too long"
    )
}

/// Nudges it, and notes `problem`, unless it has nothing to do. Both are logged in one line.
fn nudge(agent: &mut Agent, session: SessionKey, age: Duration, problem: String) {
    let seen = format!("its heartbeat is {} old", go_duration::short_minutes(age));
    let (deps, spec) = (agent.deps.clone(), agent.owner.spec().clone());
    agent.run(async move {
        if deps.dialect().facts().deacon_waits_without_work && !is_work_in_progress(&deps).await {
            tracing::debug!(agent = "deacon", "{seen}, and no bead is known to be in progress: not nudged");
            return;
        }
        deps.problems.note(ProblemKey::named(STALE).of(&Identity::Deacon), problem);
        tracing::info!(agent = "deacon", reason = "nudged", "{seen}, nudging it");
        let done = match nudge::nudge(&deps, &spec, &session, texts::HEALTH_CHECK).await {
            Ok(()) => "nudged".to_owned(),
            Err(error) => {
                tracing::warn!(agent = "deacon", reason = "nudged", "nudge was not delivered: {error}");
                format!("nudge was not delivered: {error}")
            }
        };
        deps.records.happened(&spec.identity, Entry::word(deps.now().wall, "nudged", &seen, &done));
    });
}

/// Whether some bead of the town's database is in progress (bd 1.0); false also when that is unknown.
async fn is_work_in_progress(deps: &Deps) -> bool {
    let words = ["list", "--status=in_progress", "--json", "--limit", "1"];
    let printed = bd::run(deps, &words, &BTreeSet::from([Database::town()]), deps.paths.root()).await;
    let rows = printed.map_err(|error| error.to_string());
    let rows = rows.and_then(|printed| list_output::rows(&printed.stdout, "bd list"));
    rows.is_ok_and(|rows| !rows.is_empty())
}

/// A missing or unreadable file is unknown; an error in it is reported once.
pub async fn read_heartbeat(deps: &Deps) -> HeartbeatFile {
    let path = deps.paths.deacon_heartbeat();
    let key = ProblemKey::named("deacon/heartbeat").of(&Identity::Deacon);
    match Reading::of(deps.paths.shown(&path), deps.files.read(&path).await, deacon_file::parse_heartbeat) {
        Reading::Good(file) => {
            deps.problems.clear(&key);
            HeartbeatFile::At(file.timestamp)
        }
        Reading::Missing => {
            deps.problems.clear(&key);
            HeartbeatFile::Unknown
        }
        Reading::Bad(problem) => {
            deps.problems.report(key, problem.to_string());
            HeartbeatFile::Unknown
        }
    }
}
