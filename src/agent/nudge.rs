//! Nudge: typing a message into the pane an agent lives in, so that it arrives whole and exactly once.
//!
//! Pasted literally, a moment later Escape (leaves a vi mode), then Enter. Where the agent lives is looked up right before
//! each; where none is found, nothing is typed, as what is there may be a person's shell. Two nudges to one session never
//! interleave: they take turns. It must not decide whether to nudge.

use std::time::Duration;

use super::{
    confirmation::{SessionKey, Sighting},
    observe,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    sessions::{Key, PaneTarget, SessionsError},
};

/// Enter is tried so often, this far apart, when tmux reports an error.
const ENTER_TRIES: u32 = 3;
const ENTER_RETRY: Duration = Duration::from_millis(200);

/// Why a nudge was not delivered.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotDelivered {
    /// The session that was meant is gone, or another one has its name.
    #[error("session {0} does not exist")]
    Gone(String),
    /// The session is there, and in none of its panes runs the agent.
    #[error("the agent runs in no pane of session {0}")]
    NoAgent(String),
    /// It could not be found out where the agent runs.
    #[error("it is not known where it runs: {0}")]
    Unknown(String),
    /// tmux refused or failed.
    #[error(transparent)]
    Failed(SessionsError),
}

impl From<SessionsError> for NotDelivered {
    fn from(error: SessionsError) -> Self {
        match error {
            SessionsError::NoSuchSession(session) => NotDelivered::Gone(session),
            SessionsError::NoSuchPane { session, .. } => NotDelivered::NoAgent(session),
            other => NotDelivered::Failed(other),
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
    let _turn = deps.turns.take(&spec.session).await;
    let settings = deps.settings();
    deps.sessions.paste(&locate(deps, spec, incarnation).await?, text).await?;
    tokio::time::sleep(settings.nudge.paste_settle).await;
    deps.sessions.press(&locate(deps, spec, incarnation).await?, Key::Escape).await?;
    tokio::time::sleep(settings.nudge.escape_settle).await;
    let mut tries = 1;
    loop {
        let pane = locate(deps, spec, incarnation).await?;
        match deps.sessions.press(&pane, Key::Enter).await.map_err(NotDelivered::from) {
            Err(NotDelivered::Failed(_)) if tries < ENTER_TRIES => tries += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(ENTER_RETRY).await;
    }
}

/// The pane the agent lives in right now.
async fn locate(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<PaneTarget, NotDelivered> {
    let (sighting, pane) = observe::locate(deps, spec).await;
    match (sighting, pane) {
        (Sighting::Unknown(why), _) => Err(NotDelivered::Unknown(why)),
        (Sighting::Absent, _) => Err(NotDelivered::Gone(spec.session.clone())),
        (Sighting::Alive(key) | Sighting::Starting(key) | Sighting::Dead(key), _) if key != *incarnation => {
            Err(NotDelivered::Gone(spec.session.clone()))
        }
        (_, Some(pane)) => Ok(pane),
        (_, None) => Err(NotDelivered::NoAgent(spec.session.clone())),
    }
}
