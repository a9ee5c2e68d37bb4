//! Attends one pending spawn: is its polecat ready for its first instruction?
//!
//! When the session is gone, nothing is sent. When the polecat does not take input in time, it is tried again later,
//! and dropped after `spawns.prune_after`. What cannot be found out changes nothing. It types only into the polecat's
//! own session, and only while an agent lives there.

use std::{sync::Arc, time::Duration};

use crate::{
    agent::{
        confirmation::{Permission, Presence, SessionKey},
        history::Entry,
        nudge::{self, NotDelivered},
        observe, permission,
        program::Ready,
        programs, questions, readiness, screens,
        spec::AgentSpec,
        texts,
    },
    deps::Deps,
    ledger::inbox::{self, Removal},
    sessions::SessionsError,
};

/// Time between two readings of a screen.
const SCREEN_POLL: Duration = Duration::from_millis(250);

/// One message to handle.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// The polecat it names.
    pub spec: Arc<AgentSpec>,
    /// Whether there is such a polecat in the rig. Otherwise the session may be another agent's.
    pub is_known: bool,
    /// Whether it has waited long enough.
    pub is_old: bool,
    /// Whether a later message names the same polecat.
    pub is_superseded: bool,
}

/// The result for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attended {
    /// Nothing more is to be done; the message is to be archived.
    Settled,
    /// It is to be handled again the next time.
    Later,
}

/// Whether the polecat takes input.
enum Readiness {
    Ready(SessionKey),
    Not,
    Gone,
    Unknown,
}

/// Handles one message, up to the point where it only has to be archived. Takes as long as `spawns.ready_within` and
/// a nudge.
pub async fn attend(deps: &Deps, pending: &Pending) -> Attended {
    if permission::ask(deps, &pending.spec).await != Permission::Allowed {
        return Attended::Later;
    }
    let identity = &pending.spec.identity;
    if pending.is_superseded {
        tracing::info!(agent = %identity, "mail {} is archived, as a later one says the same", pending.id);
        return Attended::Settled;
    }
    match ready(deps, pending).await {
        Readiness::Unknown => Attended::Later,
        Readiness::Gone => {
            tracing::warn!(
                agent = %identity, "its session {} is gone; first instruction not sent (mail {})",
                pending.spec.session,
                pending.id
            );
            remember(deps, pending, "its session is gone", "first instruction not sent");
            Attended::Settled
        }
        Readiness::Ready(key) => begin(deps, pending, &key).await,
        Readiness::Not if pending.is_old => {
            let waited = crate::go_duration::short(deps.settings().spawns.prune_after);
            tracing::warn!(
                agent = %identity, "not ready within {waited}; first instruction not sent (mail {})",
                pending.id
            );
            remember(deps, pending, &format!("not ready within {waited}"), "first instruction not sent");
            Attended::Settled
        }
        Readiness::Not => Attended::Later,
    }
}

/// Archives a message. An error says that it is still in the inbox, and why.
pub async fn archive(deps: &Deps, id: &str) -> Result<(), String> {
    match inbox::archive(deps, id).await {
        Removal::Done | Removal::NotFound => Ok(()),
        Removal::Failed(why) => {
            Err(format!("mail {id} in the deacon's inbox, which is processed, cannot be archived: {why}"))
        }
    }
}

async fn ready(deps: &Deps, pending: &Pending) -> Readiness {
    let key = match observe::probe_session(deps, &pending.spec).await {
        Presence::Absent => return Readiness::Gone,
        Presence::Unknown(_) => return Readiness::Unknown,
        Presence::Alive(key) | Presence::Starting(key) if pending.is_known => key,
        Presence::Alive(_) | Presence::Starting(_) | Presence::Dead(_) => return Readiness::Not,
    };
    let limit = deps.settings().spawns.ready_within;
    match programs::find(deps, &pending.spec).await.program.ready {
        Ready::Delay(delay) => {
            let left = delay.saturating_sub(deps.now().age_of(key.created));
            if left > limit {
                return Readiness::Not;
            }
            tokio::time::sleep(left).await;
            Readiness::Ready(key)
        }
        Ready::Prompt(prompts) => {
            let mut seen = false;
            let shown = async {
                loop {
                    match screen(deps, &pending.spec).await {
                        Screen::Shows(screen) if questions::shown(&screen).is_some() => seen = true,
                        Screen::Shows(screen) if readiness::shows_prompt(&screen, &prompts) => break true,
                        Screen::Shows(_) => seen = true,
                        Screen::Gone => break false,
                        Screen::Unknown => {}
                    }
                    tokio::time::sleep(SCREEN_POLL).await;
                }
            };
            match tokio::time::timeout(limit, shown).await {
                Ok(true) => Readiness::Ready(key),
                Ok(false) => Readiness::Gone,
                Err(_) if seen => Readiness::Not,
                Err(_) => Readiness::Unknown,
            }
        }
    }
}

enum Screen {
    Shows(Vec<String>),
    Gone,
    Unknown,
}

/// The screen of the pane in which the agent lives; nothing when there is none.
async fn screen(deps: &Deps, spec: &AgentSpec) -> Screen {
    match observe::locate(deps, spec).await {
        (Presence::Absent, _) => Screen::Gone,
        (Presence::Unknown(_), _) => Screen::Unknown,
        (_, None) => Screen::Shows(Vec::new()),
        (_, Some(pane)) => match screens::read(deps, spec, &pane).await {
            Ok(lines) => Screen::Shows(lines),
            Err(SessionsError::NoSuchSession(_)) => Screen::Gone,
            Err(_) => Screen::Unknown,
        },
    }
}

/// Sends the first instruction, if an agent still lives there and may still be touched.
async fn begin(deps: &Deps, pending: &Pending, key: &SessionKey) -> Attended {
    match observe::probe_session(deps, &pending.spec).await {
        Presence::Alive(seen) if seen == *key => {}
        _ => return Attended::Later,
    }
    if permission::ask(deps, &pending.spec).await != Permission::Allowed {
        return Attended::Later;
    }
    let identity = &pending.spec.identity;
    match nudge::nudge(deps, &pending.spec, key, texts::BEGIN).await {
        Ok(()) => {
            tracing::info!(agent = %identity, "ready, first instruction sent (mail {})", pending.id);
            remember(deps, pending, "ready", "first instruction sent");
        }
        Err(NotDelivered { why, begun: false }) if !pending.is_old => {
            tracing::warn!(agent = %identity, "first instruction not sent (mail {}), retried: {why}", pending.id);
            return Attended::Later;
        }
        // A part may have been typed: it is not typed again.
        Err(error) => {
            tracing::warn!(agent = %identity, "first instruction perhaps not sent (mail {}): {error}", pending.id);
            remember(deps, pending, "ready", &format!("first instruction perhaps not sent: {error}"));
        }
    }
    Attended::Settled
}

fn remember(deps: &Deps, pending: &Pending, seen: &str, done: &str) {
    let done = format!("{done} (mail {})", pending.id);
    deps.records.happened(&pending.spec.identity, Entry::word(deps.now().wall, "nudged", seen, &done));
}
