//! Nudge: typing a message into an agent's session, so that it arrives whole and exactly once.
//!
//! Pasted literally, a moment later Escape (leaves a vi mode), then Enter. Two nudges to one session never interleave:
//! they take turns. It must not decide whether to nudge.

use std::time::Duration;

use crate::{
    deps::Deps,
    sessions::{Key, SessionsError},
};

/// Enter is tried so often, this far apart, when tmux reports an error.
const ENTER_TRIES: u32 = 3;
const ENTER_RETRY: Duration = Duration::from_millis(200);

/// Types `text` and Enter into the session. The caller has made sure that an agent lives in it.
pub async fn nudge(deps: &Deps, session: &str, text: &str) -> Result<(), SessionsError> {
    let _turn = deps.turns.take(session).await;
    let settings = deps.settings();
    deps.sessions.paste(session, text).await?;
    tokio::time::sleep(settings.nudge.paste_settle).await;
    deps.sessions.press(session, Key::Escape).await?;
    tokio::time::sleep(settings.nudge.escape_settle).await;
    let mut tries = 1;
    loop {
        match deps.sessions.press(session, Key::Enter).await {
            Err(SessionsError::NoSuchSession(name)) => return Err(SessionsError::NoSuchSession(name)),
            Err(error) if tries >= ENTER_TRIES => return Err(error),
            Err(_) => tries += 1,
            Ok(()) => return Ok(()),
        }
        tokio::time::sleep(ENTER_RETRY).await;
    }
}
