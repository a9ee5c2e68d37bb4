//! The check right before a mail: the polecat's beads, its session and its permission are read once more, and the
//! mail is sent only if all of them still agree.
//!
//! What cannot be read is no reason to mail: the next snapshot leads to another check.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{rounds, rules, texts};
use crate::{
    agent::{
        confirmation::{Assignment, Permission, Presence, SessionKey},
        incidents::Condition,
        mailing::{self, IncidentMail},
        observe, permission,
        polecat::work,
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::agents::AgentBead,
};

/// A polecat that a snapshot nominated for a mail.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// The polecat.
    pub spec: Arc<AgentSpec>,
    /// When it was last seen alive.
    pub seen_alive: Option<Timestamp>,
    /// The work on its hook.
    pub hook: String,
    /// Whether it stalls ([`Condition::Gupp`]) or is dead.
    pub condition: Condition,
    /// Since when nothing keeps it from working: the machine woke from a sleep, or its account can be used again.
    pub woke: Option<Timestamp>,
}

/// Reads everything again, and mails when all of it still agrees. Returns whether the rig may be mailed at all now.
pub async fn make_sure(deps: &Deps, suspect: &Suspect) -> bool {
    if !is_allowed(deps, &suspect.spec).await {
        return false;
    }
    let (assignment, agent) =
        work::read_with_agent(deps, &suspect.spec, &suspect.spec.prefix, suspect.seen_alive).await;
    let (Some(agent), Assignment::Hooked { hook }) = (agent, assignment) else { return true };
    if hook != suspect.hook {
        return true;
    }
    let presence = observe::probe_session(deps, &suspect.spec).await;
    let mail = match (suspect.condition, presence) {
        (Condition::Gupp, Presence::Alive(key)) => stall(deps, suspect, &agent, &key),
        (Condition::Orphaned, Presence::Absent | Presence::Dead(_)) => Some(orphan(suspect, &agent)),
        _ => None,
    };
    // `bd` may have taken a while.
    if !is_allowed(deps, &suspect.spec).await {
        return false;
    }
    if let Some(mail) = mail {
        rounds::note_stalled(deps, &suspect.spec, suspect.condition, &suspect.hook);
        mailing::send_once(deps, mail).await;
    }
    true
}

/// Whether its rig may be mailed now.
pub async fn is_allowed(deps: &Deps, spec: &AgentSpec) -> bool {
    permission::ask(deps, spec).await == Permission::Allowed && deps.records.hold(&spec.identity).is_none()
}

fn stall(deps: &Deps, suspect: &Suspect, agent: &AgentBead, key: &SessionKey) -> Option<IncidentMail> {
    let limit = deps.settings().polecats.gupp_after;
    let could_begin = suspect.woke.map_or(key.created, |woke| woke.max(key.created));
    let stuck: Duration = rules::idle(agent, could_begin, deps.now().wall).filter(|stuck| *stuck > limit)?;
    let (id, hook) = (&agent.id, &suspect.hook);
    let line = texts::gupp_line(id, hook, stuck, limit);
    Some(mail(suspect, texts::gupp_subject(id, stuck), texts::gupp_body(id, hook, stuck), line))
}

fn orphan(suspect: &Suspect, agent: &AgentBead) -> IncidentMail {
    let (id, hook) = (&agent.id, &suspect.hook);
    mail(suspect, texts::orphaned_subject(id), texts::orphaned_body(id, hook), texts::orphaned_line(id, hook))
}

fn mail(suspect: &Suspect, subject: String, body: String, line: String) -> IncidentMail {
    let rig = suspect.spec.identity.rig().map_or("", |rig| rig.as_str());
    IncidentMail {
        identity: suspect.spec.identity.clone(),
        condition: suspect.condition,
        hook: suspect.hook.clone(),
        to: format!("{rig}/witness"),
        subject,
        body,
        line: Some(line),
    }
}
