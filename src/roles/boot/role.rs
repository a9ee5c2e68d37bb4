//! Boot's role: it starts a boot agent when a heartbeat says so; in a degraded town, rules do boot's work.
//!
//! Boot is meant to end by itself: it is not restarted, and its end is no death. The role must not touch the deacon:
//! what boot cannot do, it asks of the deacon's own actor.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};

use super::rules::{self, BootSession, Decision, Observed};
use crate::{
    agent::{
        actor::Agent,
        confirmation::{Observation, Permission, Presence, SessionKey},
        elsewhere, foreign,
        history::Entry,
        lifecycle::{Event, StartEnd, State},
        owner::Owner,
        role::{Occasion, Role, RoleEvent},
        spec::AgentSpec,
    },
    clock::Now,
    deps::Deps,
    ports::writes::{Content, Write},
    roles::deacon::{role::read_heartbeat, rules::HeartbeatFile},
    sessions::scan::{Glimpse, Scan},
    supervision::messages::Report,
    town::{boot_status::BootStatus, identity::Identity, rig_plan::Prefixes},
};

/// What boot's actor keeps beside its owner.
#[derive(Debug, Default)]
pub struct Boot {
    deacon_held: bool,
    /// When we last started boot.
    last_start: Option<Now>,
}

/// What is read with a heartbeat's probe.
struct Found {
    deacon_heartbeat: HeartbeatFile,
    deacon_session: Glimpse,
}

impl Role for Boot {
    /// Boot is started at heartbeats only; a scan may show that it ended.
    fn is_worth_a_probe(&self, occasion: Occasion<'_>, owner: &Owner) -> bool {
        match occasion {
            Occasion::Heartbeat(_) => true,
            Occasion::Scan(scan) => owner.is_news(scan),
            Occasion::TownChange => false,
        }
    }

    fn observe(
        &self,
        deps: &Arc<Deps>,
        heartbeat: Option<&Arc<Scan>>,
    ) -> Option<BoxFuture<'static, RoleEvent>> {
        let (deps, scan) = (deps.clone(), heartbeat?.clone());
        let found = async move {
            let deacon = AgentSpec::new(Identity::Deacon, deps.settings().tmux.naming, &Prefixes::default());
            let glimpse = scan.glimpse(&deacon.session);
            let deacon_session = foreign::left_out(&deps, &deacon, glimpse).await;
            RoleEvent::new(Found { deacon_heartbeat: read_heartbeat(&deps).await, deacon_session })
        };
        Some(found.boxed())
    }

    fn observed(&mut self, agent: &mut Agent, seen: &Observation, more: Option<RoleEvent>) {
        let Some(found) = more.and_then(RoleEvent::get::<Found>) else { return };
        if matches!(agent.owner.state(), State::Starting { .. }) {
            return;
        }
        if agent.deps.degraded || matches!(seen.presence, Presence::Unknown(_)) {
            self.triage(agent, seen, &found);
        } else {
            self.decide(agent, seen, &found);
        }
    }

    fn start_ended(&mut self, agent: &mut Agent, end: &StartEnd) -> bool {
        match end {
            StartEnd::Unclear(_)
            | StartEnd::NoProgram(_)
            | StartEnd::Impossible(_)
            | StartEnd::NeverAppeared(_)
            | StartEnd::NotByGt(_) => {
                agent.report(Report::CheckDeacon);
                false
            }
            // It may have ended already.
            StartEnd::Up { .. } => true,
            _ => false,
        }
    }

    fn deacon_held(&mut self, held: bool) {
        self.deacon_held = held;
    }
}

impl Boot {
    fn not_wanted(&self, seen: &Observation) -> Option<String> {
        match &seen.permission {
            Permission::Denied(why) => Some(why.to_string()),
            Permission::Unknown(why) => Some(why.clone()),
            Permission::Allowed => self.deacon_held.then(|| "the deacon is held".to_owned()),
        }
    }

    fn decide(&mut self, agent: &mut Agent, seen: &Observation, found: &Found) {
        let (now, settings) = (agent.deps.now(), agent.deps.settings());
        let (session, age) = session(seen, now);
        let since_spawn = self.last_start.map(|last| now.since(last));
        let deacon_heartbeat_age = match found.deacon_heartbeat {
            HeartbeatFile::At(beat) => Some(now.age_of(beat)),
            HeartbeatFile::Unknown => None,
        };
        let observed =
            Observed { not_wanted: self.not_wanted(seen), session: age, since_spawn, deacon_heartbeat_age };
        let (replaces, why) = match rules::decide(&observed, &settings.boot) {
            Decision::Leave(_) => {
                if observed.since_spawn.is_none_or(|since| since >= settings.boot.cooldown) {
                    // It is not needed any more, or somebody else started it.
                    for what in ["start", "program"] {
                        agent.deps.problems.clear(&agent.owner.spec().problem_key(what));
                    }
                    elsewhere::in_sight(&agent.deps, agent.owner.spec());
                }
                return;
            }
            Decision::Spawn => (None, "is to check the deacon".to_owned()),
            Decision::Replace => {
                let age = crate::go_duration::short(settings.boot.max_age);
                (session, format!("is older than {age}"))
            }
        };
        agent.owner.apply(Event::Needed { why, replaces });
        if matches!(agent.owner.state(), State::Starting { .. }) {
            self.last_start = Some(now);
        }
    }

    /// Does boot's work by rule.
    fn triage(&self, agent: &mut Agent, seen: &Observation, found: &Found) {
        if !agent.deps.settings().boot.enabled || self.not_wanted(seen).is_some() {
            return;
        }
        let now = agent.deps.now().wall;
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
                agent.deps.records.happened(&Identity::Boot, entry);
                agent.report(Report::CheckDeacon);
            }
            Glimpse::Unknown(why) => {
                (status.last_action, status.error) = (Some("error".to_owned()), Some(why.clone()));
            }
        }
        let deps = agent.deps.clone();
        agent.run(async move { write_status(&deps, status).await });
    }
}

/// Boot's session, and its age.
fn session(seen: &Observation, now: Now) -> (Option<SessionKey>, BootSession) {
    match &seen.presence {
        Presence::Absent => (None, BootSession::Missing),
        Presence::Alive(key) | Presence::Starting(key) | Presence::Dead(key) => {
            (Some(key.clone()), BootSession::Present(now.age_of(key.created)))
        }
        Presence::Unknown(why) => (None, BootSession::Unknown(why.clone())),
    }
}

impl Content for BootStatus {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        self.to_bytes()
    }
}

async fn write_status(deps: &Deps, status: BootStatus) {
    let (path, key) = (deps.paths.boot_status(), "deacon-boot/status".to_owned());
    let write = Write { path, mode: 0o644, key, content: Arc::new(status) };
    // `replace` reports a file that cannot be written, and retries.
    let _ = deps.writes.replace(deps, write).await;
}
