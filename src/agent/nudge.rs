//! Nudge: types a message into the pane an agent lives in, so that it arrives whole and exactly once.
//!
//! The text is pasted literally, and Enter follows after `nudge.paste_settle`. Escape is pressed before Enter only
//! when the screen shows vim's insert mode, and never while work is in progress. The agent's pane and screen are read
//! right before each key. Nothing is typed when no agent is found, as the pane may be a person's shell, or when a
//! question shows, as the keys would answer it. Nudges to one session take turns, so they never interleave. It must
//! not decide whether to nudge.

use std::time::Duration;

use super::{
    confirmation::{Presence, SessionKey},
    observe, questions, readiness, screens,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    sessions::{Key, PaneTarget, SessionsError},
};

/// How often Enter is tried when tmux reports an error, with this time in between.
const ENTER_TRIES: u32 = 3;
const ENTER_RETRY: Duration = Duration::from_millis(200);

/// A nudge that was not delivered.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{why}")]
pub struct NotDelivered {
    /// Why.
    pub why: Why,
    /// Whether its text, or a part of it, may have been typed: then it must not be typed again.
    pub begun: bool,
}

/// Why a nudge was not delivered.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Why {
    /// The intended session is gone, or another one has its name.
    #[error("session {0} does not exist")]
    Gone(String),
    /// The session exists, but the agent runs in none of its panes.
    #[error("the agent runs in no pane of session {0}")]
    NoAgent(String),
    /// A question is on its screen, which the keys would answer.
    #[error("it waits at a question: {0}")]
    Question(String),
    /// It could not be found out where the agent runs, or what its screen shows.
    #[error("cannot tell where it runs or what its screen shows: {0}")]
    Unknown(String),
    /// tmux refused or failed.
    #[error(transparent)]
    Failed(SessionsError),
}

impl From<SessionsError> for Why {
    fn from(error: SessionsError) -> Self {
        match error {
            SessionsError::NoSuchSession(session) => Why::Gone(session),
            SessionsError::NoSuchPane { session, .. } => Why::NoAgent(session),
            other => Why::Failed(other),
        }
    }
}

/// Types `text` and Enter into the pane in which the agent lives, in this incarnation of its session.
pub async fn nudge(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
    text: &str,
) -> Result<(), NotDelivered> {
    let _turn = deps.starts.turn_to_type(&spec.session).await;
    let untouched = |why| NotDelivered { why, begun: false };
    let (pane, _) = probe(deps, spec, incarnation).await.map_err(untouched)?;
    let begun = |why| NotDelivered { why, begun: true };
    deps.sessions.paste(&pane, text).await.map_err(|error| begun(error.into()))?;
    enter(deps, spec, incarnation).await.map_err(begun)
}

/// Submits the pasted text.
async fn enter(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<(), Why> {
    let settings = deps.settings();
    tokio::time::sleep(settings.nudge.paste_settle).await;
    let (pane, screen) = probe(deps, spec, incarnation).await?;
    if readiness::wants_escape(&screen) {
        deps.sessions.press(&pane, Key::Escape).await?;
        tokio::time::sleep(settings.nudge.escape_settle).await;
    }
    let mut tries = 1;
    loop {
        let (pane, _) = probe(deps, spec, incarnation).await?;
        match deps.sessions.press(&pane, Key::Enter).await.map_err(Why::from) {
            Err(Why::Failed(_)) if tries < ENTER_TRIES => tries += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(ENTER_RETRY).await;
    }
}

/// The pane the agent lives in now, and its screen, on which there is no question.
async fn probe(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
) -> Result<(PaneTarget, Vec<String>), Why> {
    let pane = locate(deps, spec, incarnation).await?;
    let lines = match screens::read(deps, spec, &pane).await.map_err(Why::from) {
        Err(Why::Failed(error)) => return Err(Why::Unknown(error.to_string())),
        lines => lines?,
    };
    match questions::shown(&lines) {
        Some(question) => Err(Why::Question(question.title)),
        None => Ok((pane, lines)),
    }
}

/// The pane the agent lives in now.
async fn locate(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<PaneTarget, Why> {
    let (presence, pane) = observe::locate(deps, spec).await;
    match (presence, pane) {
        (Presence::Unknown(why), _) => Err(Why::Unknown(why)),
        (Presence::Absent, _) => Err(Why::Gone(spec.session.clone())),
        (Presence::Alive(key) | Presence::Starting(key) | Presence::Dead(key), _) if key != *incarnation => {
            Err(Why::Gone(spec.session.clone()))
        }
        (_, Some(pane)) => Ok(pane),
        (_, None) => Err(Why::NoAgent(spec.session.clone())),
    }
}
