//! Nudge: types a message into the pane an agent lives in, so that it arrives whole and exactly once.
//!
//! The text is pasted literally, and Enter follows after `nudge.paste_settle`. Escape is pressed before Enter only
//! when the screen shows vim's insert mode, and never while work is in progress. The agent's pane and screen are read
//! right before each key. Nothing is typed when no agent is found, as the pane may be a person's shell, when a
//! question shows, as the keys would answer it, or when the prompt holds a text, as Enter would send it. Nudges to one session take turns, so they never interleave; where other
//! programs type too (Gas Town 1.x), with theirs. It must not decide whether to nudge.

use std::time::Duration;

use super::{
    answering::{self, Progress},
    confirmation::{Presence, SessionKey},
    observe,
    program::command,
    prompt::{self, Prompt},
    questions, readiness, screens, shells,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    sessions::{Key, PaneTarget, SessionsError},
    town::{files::HeldLock, usage_limit::SCREEN_LINES},
};

/// How often Enter is tried when tmux reports an error, with this time in between.
const ENTER_TRIES: u32 = 3;
const ENTER_RETRY: Duration = Duration::from_millis(200);

/// The interval at which the effect of a key is checked.
const KEY_POLL: Duration = Duration::from_millis(100);

/// How long other programs may type into a session before a nudge to it is given up; one of theirs takes about 2 s.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

/// After this long a screen shows that Enter was taken, in one of this many last lines; as `gt` 1.x checks it.
const ENTER_SHOWS: Duration = Duration::from_millis(600);
const LAST_LINES: usize = 5;

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
    /// The program has left its pane to a shell, which would execute the text.
    #[error("a shell waits for commands in its session {0}, and would execute the text")]
    Shell(String),
    /// Its prompt holds a text that somebody has not sent yet, which Enter would send.
    #[error("its prompt holds a text that was not sent")]
    Draft,
    /// Its prompt was not found on its screen, or it holds a text that may be a suggestion of the program.
    #[error("cannot tell whether its prompt is empty")]
    NoPrompt,
    /// It could not be found out where the agent runs, or what its screen shows.
    #[error("cannot tell where it runs or what its screen shows: {0}")]
    Unknown(String),
    /// Another program types into the session, as far as could be found out.
    #[error("the lock for typing into session {0} is not available: {1}")]
    Locked(String, String),
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

/// Types `text` and Enter into the pane in which the agent lives, in this incarnation of its session. Where its prompt is seen to hold
/// a text, that is left alone; where it cannot be read it is typed all the same, as Gas Town does.
pub async fn nudge(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
    text: &str,
) -> Result<(), NotDelivered> {
    deliver(deps, spec, incarnation, text, false).await
}

/// The same, and only where its prompt is seen to be empty.
pub async fn at_empty_prompt(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
    text: &str,
) -> Result<(), NotDelivered> {
    deliver(deps, spec, incarnation, text, true).await
}

async fn deliver(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
    text: &str,
    only_at_empty_prompt: bool,
) -> Result<(), NotDelivered> {
    let _turn = deps.starts.turn_to_type(&spec.session).await;
    let untouched = |why| NotDelivered { why, begun: false };
    let _lock = lock(deps, &spec.session).await.map_err(untouched)?;
    let (pane, screen) = probe(deps, spec, incarnation).await.map_err(untouched)?;
    match prompt(deps, &pane, &screen).await {
        Prompt::Empty => {}
        Prompt::Holds => return Err(untouched(Why::Draft)),
        Prompt::Unknown if only_at_empty_prompt => return Err(untouched(Why::NoPrompt)),
        Prompt::Unknown => {}
    }
    let begun = |why| NotDelivered { why, begun: true };
    deps.sessions.paste(&pane, text).await.map_err(|error| begun(error.into()))?;
    enter(deps, spec, incarnation).await.map_err(begun)?;
    deps.starts.took_a_text(&spec.session);
    Ok(())
}

/// What its prompt holds. Only a second reading of a screen with its attributes shows whether a text there is one that the program
/// suggests.
async fn prompt(deps: &Deps, pane: &PaneTarget, screen: &[String]) -> Prompt {
    match prompt::of(screen) {
        Prompt::Holds => match deps.sessions.capture_with_attributes(pane, SCREEN_LINES).await {
            Ok(screen) => prompt::of(&screen),
            Err(_) => Prompt::Unknown,
        },
        without_text => without_text,
    }
}

/// Reads the screen of the agent in this incarnation of its session; what it says is noted as always.
pub async fn read_screen(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<(), Why> {
    let pane = locate(deps, spec, incarnation).await?;
    screens::read(deps, spec, &pane).await?;
    Ok(())
}

/// Answers the question on its screen, if the settings allow that. Returns whether no question is left, and its prompt shows or
/// was waited for.
pub async fn answer(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<bool, Why> {
    let _turn = deps.starts.turn_to_type(&spec.session).await;
    let _lock = lock(deps, &spec.session).await?;
    let settings = deps.settings();
    // A living agent accepts no mode that it was not started in.
    let answered = settings.answered(false);
    let mut gone_since = None;
    loop {
        let pane = locate(deps, spec, incarnation).await?;
        let lines = screens::read(deps, spec, &pane).await?;
        match answering::step(deps, spec, incarnation, (&pane, &lines), &answered).await? {
            Progress::Left => return Ok(false),
            Progress::Waits => gone_since = None,
            Progress::Over => {
                let now = deps.now().mono;
                let gone_for = now.saturating_sub(*gone_since.get_or_insert(now));
                if prompt::of(&lines) != Prompt::Unknown || gone_for >= settings.start.dialog_wait {
                    return Ok(true);
                }
            }
        }
        tokio::time::sleep(KEY_POLL).await;
    }
}

/// Takes the lock under which all programs type into this session, where others do.
async fn lock(deps: &Deps, session: &str) -> Result<Option<HeldLock>, Why> {
    if !deps.dialect().facts().shares_typing {
        return Ok(None);
    }
    let held = deps.files.lock(&deps.paths.nudge_lock(session), LOCK_LIMIT).await;
    held.map(Some).map_err(|error| Why::Locked(session.to_owned(), error.to_string()))
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
    let before = press_enter(deps, spec, incarnation).await?;
    if deps.dialect().facts().shares_typing {
        enter_again(deps, spec, incarnation, &before).await;
    }
    Ok(())
}

/// Presses Enter, and returns what the screen showed right before.
async fn press_enter(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey) -> Result<Vec<String>, Why> {
    let mut tries = 1;
    loop {
        let (pane, screen) = probe(deps, spec, incarnation).await?;
        match deps.sessions.press(&pane, Key::Enter).await.map_err(Why::from) {
            Err(Why::Failed(_)) if tries < ENTER_TRIES => tries += 1,
            outcome => return outcome.map(|()| screen),
        }
        tokio::time::sleep(ENTER_RETRY).await;
    }
}

/// Presses Enter again while the screen shows that it was not taken. The text was submitted as far as anybody can tell,
/// so an error ends this and is none of the nudge.
async fn enter_again(deps: &Deps, spec: &AgentSpec, incarnation: &SessionKey, before: &[String]) {
    for _ in 1..ENTER_TRIES {
        tokio::time::sleep(ENTER_SHOWS).await;
        let Ok((pane, screen)) = probe(deps, spec, incarnation).await else { return };
        if last_lines(&screen) != last_lines(before) || deps.sessions.press(&pane, Key::Enter).await.is_err()
        {
            return;
        }
    }
}

fn last_lines(screen: &[String]) -> &[String] {
    screen.get(screen.len().saturating_sub(LAST_LINES)..).unwrap_or_default()
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
    if let Some(question) = questions::shown(&lines) {
        return Err(Why::Question(question.title));
    }
    match is_at_a_shell(deps, spec, &pane).await? {
        true => Err(Why::Shell(spec.session.clone())),
        false => Ok((pane, lines)),
    }
}

/// Whether a shell would execute what is typed, where nothing is known of the agent's program: any process in its pane is the agent then.
async fn is_at_a_shell(deps: &Deps, spec: &AgentSpec, pane: &PaneTarget) -> Result<bool, Why> {
    let standing = deps.standing(&spec.identity).filter(|it| it.preset.is_none());
    if standing.is_none_or(|it| command::is_a_shell(&it.command)) {
        return Ok(false);
    }
    let trees = deps.processes.trees(&[pane.pid()]).await.map_err(|error| Why::Unknown(error.to_string()))?;
    match trees.get(&pane.pid()) {
        Some(tree) => Ok(shells::is_at_a_shell(tree)),
        None => Err(Why::Unknown("its process has just ended".to_owned())),
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
