//! Boot's actor: spawns a boot agent when a heartbeat's observation asks for it, and does its checks in degraded mode.
//!
//! Boot is meant to end by itself, so its session is never repaired between heartbeats and its end is no death. It must
//! not touch the deacon: it asks the deacon's own actor instead.

use std::sync::Arc;

use jiff::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::rules::{self, BootSession, Decision, Look};
use crate::{
    agent::{
        confirmation::{Permission, Sighting},
        elsewhere, foreign,
        history::{Entry, Kind},
        identity::Identity,
        kill,
        lifecycle::{Attempt, StartEnd, StartOrder},
        observe, permission,
        phase::{NOT_OBSERVED, Phase},
        spec::AgentSpec,
        start,
        status::AgentStatus,
    },
    clock::Now,
    deacon::{role::read_heartbeat, rules::HeartbeatFile},
    deps::Deps,
    sessions::sweep::{self, Glimpse, Sweep},
    town::boot_status::BootStatus,
    tree::{
        child::{Answer, ChildSpec, Contact},
        messages::{Beat, Broadcast, Report, ReportTo},
    },
    work::{ReplyTo, Work},
    writes::{Content, Write},
};

/// The problem of a spawn that failed.
const START_PROBLEM: &str = "deacon-boot/start";
/// The problem of boot's program, checked only when it is spawned.
const PROGRAM_PROBLEM: &str = "deacon-boot/program";

/// What boot's actor hears.
#[derive(Debug)]
pub enum BootMsg {
    /// From the root.
    Broadcast(Broadcast),
    /// From its observation at a heartbeat.
    Looked(u64, Option<Found>),
    /// From a spawn under way.
    Spawned(StartEnd),
    /// From a probe of its session, which started then, after a report that it may be gone; `None` when the probe failed.
    Glanced(Now, Option<Glimpse>),
    /// From the mechanical triage: its status was written.
    Triaged,
    /// From anybody: how is your agent?
    Probe(RpcReplyPort<AgentStatus>),
}

/// What was observed at a heartbeat.
#[derive(Debug)]
pub struct Found {
    permission: Permission,
    glimpse: Glimpse,
    deacon_heartbeat: HeartbeatFile,
    /// In degraded mode: whether the deacon's session is there.
    deacon_session: Glimpse,
}

/// The actor.
#[derive(Debug)]
pub struct Boot;

/// The arguments of boot's actor.
#[derive(Debug, Clone)]
pub struct BootPlan {
    /// Boot itself.
    pub boot: AgentSpec,
    /// The deacon that it checks.
    pub deacon: AgentSpec,
}

fn contact() -> Contact<BootMsg> {
    let take = |broadcast| Some(BootMsg::Broadcast(broadcast));
    Contact::taking(take).answering(BootMsg::Probe, |agent| Answer::Agent(Box::new(agent)))
}

/// Boot's actor as a child.
pub fn child(deps: &Arc<Deps>, answers: &ReportTo) -> ChildSpec {
    let (deps, answers) = (deps.clone(), answers.clone());
    let arguments = move || {
        let spec = |identity| AgentSpec::new(identity, deps.settings().tmux.naming, "");
        let plan = BootPlan { boot: spec(Identity::Boot), deacon: spec(Identity::Deacon) };
        (deps.clone(), plan, answers.clone())
    };
    let child = ChildSpec::new(Identity::Boot.actor_name(), || Boot, arguments, contact());
    ChildSpec { agent: Some(Identity::Boot), ..child }
}

/// Its state.
pub struct BootState {
    deps: Arc<Deps>,
    plan: BootPlan,
    work: Work<BootMsg>,
    answers: ReportTo,
    deacon_held: bool,
    last_spawn: Option<Now>,
    spawning: bool,
    /// When the last spawn ended: what was seen before says nothing about what it made.
    spawned_at: Option<Now>,
    since: Timestamp,
    state: (Phase, Option<String>),
}

impl Actor for Boot {
    type Msg = BootMsg;
    type State = BootState;
    type Arguments = (Arc<Deps>, BootPlan, ReportTo);

    async fn pre_start(
        &self,
        myself: ActorRef<BootMsg>,
        (deps, plan, answers): Self::Arguments,
    ) -> Result<BootState, ActorProcessingErr> {
        deps.directory.claim(&plan.boot.identity, &plan.boot.session);
        deps.directory.register(&plan.boot.identity, contact().with(myself.clone()));
        let post: ReplyTo<BootMsg> = Arc::new(move |message| drop(myself.cast(message)));
        let since = deps.now().wall;
        Ok(BootState {
            deps,
            plan,
            work: Work::new(post),
            answers,
            deacon_held: false,
            last_spawn: None,
            spawning: false,
            spawned_at: None,
            since,
            state: (Phase::Unknown, Some(NOT_OBSERVED.to_owned())),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<BootMsg>,
        message: BootMsg,
        state: &mut BootState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            BootMsg::Broadcast(Broadcast::Heartbeat(beat)) => state.look(beat),
            BootMsg::Broadcast(Broadcast::Died(death)) if death.session == state.plan.boot.session => {
                state.glance()
            }
            BootMsg::Broadcast(Broadcast::Swept(sweep)) => {
                state.glanced(sweep.begun, Some(sweep.glimpse(&state.plan.boot.session)));
            }
            BootMsg::Broadcast(Broadcast::DeaconHeld(held)) => state.deacon_held = held,
            BootMsg::Broadcast(_) | BootMsg::Triaged => {}
            BootMsg::Looked(number, found) => state.looked(number, found),
            BootMsg::Spawned(end) => state.spawned(end),
            BootMsg::Glanced(begun, glimpse) => state.glanced(begun, glimpse),
            BootMsg::Probe(reply) => drop(reply.send(state.snapshot())),
        }
        Ok(())
    }
}

impl BootState {
    fn look(&mut self, beat: Beat) {
        let (deps, plan, number) = (self.deps.clone(), self.plan.clone(), beat.number);
        self.work.spawn(
            async move { BootMsg::Looked(number, Some(find(&deps, &plan, &beat.sweep).await)) },
            BootMsg::Looked(number, None),
        );
    }

    fn looked(&mut self, number: u64, found: Option<Found>) {
        // A look that was cut short by a fault is no answer: the heartbeat names this part as late.
        let Some(found) = found else { return };
        if !self.spawning {
            let unavailable = matches!(found.glimpse, Glimpse::Unknown(_));
            if self.deps.degraded || unavailable {
                self.triage(&found);
            } else {
                self.decide(&found);
            }
        }
        (self.answers)(Report::looked(number, "boot"));
    }

    fn not_wanted(&self, permission: &Permission) -> Option<String> {
        match permission {
            Permission::Denied(why) => Some(why.to_string()),
            Permission::Unknown(why) => Some(why.clone()),
            Permission::Allowed => self.deacon_held.then(|| "the deacon is held".to_owned()),
        }
    }

    fn decide(&mut self, found: &Found) {
        let now = self.deps.now();
        let look = Look {
            not_wanted: self.not_wanted(&found.permission),
            session: match &found.glimpse {
                Glimpse::Absent => BootSession::Missing,
                Glimpse::Present(session, _) => BootSession::Present(now.age_of(session.created)),
                Glimpse::Unknown(why) => BootSession::Unknown(why.clone()),
            },
            since_spawn: self.last_spawn.map(|last| now.since(last)),
            deacon_heartbeat_age: match found.deacon_heartbeat {
                HeartbeatFile::At(beat) => Some(now.age_of(beat)),
                HeartbeatFile::Unknown => None,
            },
        };
        match rules::decide(&look, &self.deps.settings().boot) {
            Decision::Leave(why) => {
                if look.since_spawn.is_none_or(|since| since >= self.deps.settings().boot.cooldown) {
                    // It is not wanted any more, or was made by somebody else.
                    self.deps.problems.clear(START_PROBLEM);
                    self.deps.problems.clear(PROGRAM_PROBLEM);
                    elsewhere::in_sight(&self.deps, &self.plan.boot);
                }
                let missing = look.session == BootSession::Missing;
                let standing = if missing { gone(found, &why) } else { Phase::Alive };
                self.enter(standing, Some(why));
            }
            Decision::Spawn => self.spawn(false, now),
            Decision::Replace => self.spawn(true, now),
        }
    }

    fn spawn(&mut self, replace: bool, now: Now) {
        self.last_spawn = Some(now);
        self.spawning = true;
        self.enter(Phase::Starting, None);
        let (deps, boot) = (self.deps.clone(), self.plan.boot.clone());
        self.work.spawn(
            async move { BootMsg::Spawned(spawn(&deps, &boot, replace).await) },
            BootMsg::Spawned(StartEnd::Unclear("spawn interrupted: its task panicked".to_owned())),
        );
    }

    fn spawned(&mut self, end: StartEnd) {
        self.spawning = false;
        self.spawned_at = Some(self.deps.now());
        match end {
            StartEnd::Up { .. } | StartEnd::Found(_) | StartEnd::Taken | StartEnd::Left { .. } => {
                self.deps.problems.clear(START_PROBLEM);
                self.enter(Phase::Alive, None);
                self.glance(); // it may have ended already
            }
            StartEnd::Refused(why) => self.enter(Phase::Paused, Some(why.to_string())),
            StartEnd::Unwanted(why) => self.enter(Phase::Absent, Some(why.to_string())),
            StartEnd::StoppedByHand(why) => self.enter(Phase::Absent, Some(why)),
            StartEnd::Unclear(why) | StartEnd::Impossible(why) | StartEnd::NeverAppeared(why) => {
                self.deps.problems.report(
                    START_PROBLEM,
                    format!("boot cannot be spawned, the deacon is checked directly: {why}"),
                );
                self.enter(Phase::Absent, Some(why));
                (self.answers)(Report::CheckDeacon);
            }
            StartEnd::Ended(_) => self.enter(Phase::Absent, Some("it ended".to_owned())),
        }
    }

    /// Probes at once whether its session still exists.
    fn glance(&mut self) {
        let (deps, session, begun) = (self.deps.clone(), self.plan.boot.session.clone(), self.deps.now());
        self.work.spawn(
            async move {
                let glimpse = sweep::glimpse(&*deps.sessions, &*deps.processes, &session).await;
                BootMsg::Glanced(begun, Some(glimpse))
            },
            BootMsg::Glanced(begun, None),
        );
    }

    fn glanced(&mut self, begun: Now, glimpse: Option<Glimpse>) {
        let current = !self.spawning && self.spawned_at.is_none_or(|at| at.mono <= begun.mono);
        if current && self.state.0 == Phase::Alive && matches!(glimpse, Some(Glimpse::Absent)) {
            self.enter(Phase::Absent, Some("it ended".to_owned()));
        }
    }

    /// What boot would have done, done by rule.
    fn triage(&mut self, found: &Found) {
        if !self.deps.settings().boot.enabled {
            return self.enter(Phase::Absent, Some("boot is disabled".to_owned()));
        }
        if let Some(why) = self.not_wanted(&found.permission) {
            return self.enter(gone(found, &why), Some(why));
        }
        let now = self.deps.now().wall;
        let mut status = BootStatus {
            running: false,
            started_at: Some(now),
            completed_at: Some(now),
            last_action: Some("nothing".to_owned()),
            target: None,
            error: None,
        };
        match &found.deacon_session {
            Glimpse::Present(..) => {}
            Glimpse::Absent => {
                (status.last_action, status.target) = (Some("start".to_owned()), Some("deacon".to_owned()));
                let entry =
                    Entry::word(now, "triage", "the deacon's session is missing", "its actor probes it");
                self.deps.histories.add(&self.plan.boot.identity, entry);
                (self.answers)(Report::CheckDeacon);
            }
            Glimpse::Unknown(why) => {
                (status.last_action, status.error) = (Some("error".to_owned()), Some(why.clone()));
            }
        }
        match &found.glimpse {
            Glimpse::Unknown(why) => self.enter(Phase::Unknown, Some(why.clone())),
            _ => self.enter(Phase::Absent, Some("degraded mode: triage without an agent".to_owned())),
        }
        let deps = self.deps.clone();
        self.work.spawn(
            async move {
                write_status(&deps, &status).await;
                BootMsg::Triaged
            },
            BootMsg::Triaged,
        );
    }

    /// From now on it is so; that it is so since now is part of its history.
    fn enter(&mut self, standing: Phase, reason: Option<String>) {
        let before = std::mem::replace(&mut self.state, (standing, reason)).0;
        if before == standing {
            return;
        }
        self.since = self.deps.now().wall;
        let seen = match (before, standing) {
            (Phase::Starting, Phase::Alive) => "was spawned",
            (Phase::Starting, _) => "was not spawned",
            (_, Phase::Starting) => "spawning boot to check the deacon",
            (Phase::Unknown, Phase::Alive) => "is running",
            (_, Phase::Alive) => "was started by somebody else",
            (Phase::Alive, _) => "its session is gone",
            _ => "is not running",
        };
        let done = self.state.1.as_deref().unwrap_or_default();
        let entry = Entry::new(Kind::Change, self.since, seen, done).leading_to(standing, None);
        let (histories, boot) = (&self.deps.histories, &self.plan.boot.identity);
        histories.stands(boot, standing, self.since);
        if before == Phase::Unknown {
            histories.add_if_news(boot, entry);
        } else {
            histories.add(boot, entry);
        }
    }

    fn snapshot(&self) -> AgentStatus {
        AgentStatus {
            identity: self.plan.boot.identity.to_string(),
            role: self.plan.boot.identity.role().to_string(),
            rig: None,
            session: self.plan.boot.session.clone(),
            state: self.state.0.as_str(),
            since: self.since,
            restarts: 0,
            backoff_until: None,
            reason: self.state.1.clone(),
            reason_code: None,
            last_end: None,
        }
    }
}

/// How boot is when it has no session and is not spawned, for this reason.
fn gone(found: &Found, why: &str) -> Phase {
    match &found.permission {
        Permission::Denied(denied) if denied.to_string() == why => Phase::Paused,
        _ => Phase::Absent,
    }
}

async fn find(deps: &Deps, plan: &BootPlan, sweep: &Arc<Sweep>) -> Found {
    Found {
        permission: permission::ask(deps, &plan.boot).await,
        glimpse: foreign::left_out(deps, &plan.boot, sweep.glimpse(&plan.boot.session)).await,
        deacon_heartbeat: read_heartbeat(deps).await,
        deacon_session: foreign::left_out(deps, &plan.deacon, sweep.glimpse(&plan.deacon.session)).await,
    }
}

/// Ends the old one when there is one, right after looking that it is still there, and starts a new one.
async fn spawn(deps: &Deps, boot: &AgentSpec, replace: bool) -> StartEnd {
    if replace {
        let old = match observe::look_at_session(deps, boot).await {
            Sighting::Alive(key) | Sighting::Starting(key) | Sighting::Dead(key) => Some(key),
            Sighting::Absent => None,
            Sighting::Unknown(why) => return StartEnd::Unclear(why),
        };
        let max_age = deps.settings().boot.max_age;
        if let Some(old) = old.filter(|old| deps.now().age_of(old.created) >= max_age) {
            match permission::ask(deps, boot).await {
                Permission::Denied(why) => return StartEnd::Refused(why),
                Permission::Unknown(why) => return StartEnd::Unclear(why),
                Permission::Allowed => {}
            }
            tracing::info!(
                "deacon-boot: is older than {}, replacing it",
                crate::go_duration::format(max_age)
            );
            if let Err(why) = kill::kill(deps, &boot.session, &old).await {
                return StartEnd::Unclear(why);
            }
        }
    }
    let order = StartOrder { attempt: Attempt::Fresh, replace: None };
    start::start(deps, boot, &order, &tokio::sync::Notify::new(), None).await
}

impl Content for BootStatus {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        self.to_bytes()
    }
}

async fn write_status(deps: &Deps, status: &BootStatus) {
    let (path, key) = (deps.paths.boot_status(), "deacon-boot/status".to_owned());
    let write = Write { path, mode: 0o644, key, content: Arc::new(status.clone()) };
    // That it cannot be written is reported there, and retried.
    let _ = deps.writes.replace(deps, write).await;
}
