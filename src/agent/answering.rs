//! Answering: presses the keys that the [stepper](super::questions::stepper) asks for, and reports what was chosen.
//!
//! A start and a waking answer questions, and both do it here, one step at a time: each step is given the screen that was just read.
//! What is known of the keys belongs to the session, so one that goes on where another gave up presses nothing twice. It must
//! not decide what is answered, nor whether the agent may be touched. Call it in one's turn to type.

use std::collections::BTreeSet;

use super::{
    confirmation::SessionKey,
    history::Entry,
    questions::{self, stepper::Step},
    screens,
    spec::AgentSpec,
};
use crate::{
    deps::Deps,
    go_duration,
    sessions::{Key, PaneTarget, SessionsError},
    town::dialogs::Dialog,
};

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A key is on its way: the screen is to be read again.
    Waits,
    /// The screen shows no question.
    Over,
    /// Its question is left to people.
    Left,
}

/// One step towards the answer to the question on this screen, which was just read in this pane.
pub async fn step(
    deps: &Deps,
    spec: &AgentSpec,
    incarnation: &SessionKey,
    (pane, screen): (&PaneTarget, &[String]),
    answered: &BTreeSet<Dialog>,
) -> Result<Progress, SessionsError> {
    let shown = questions::shown(screen);
    let title = || shown.as_ref().map(|question| question.title.clone()).unwrap_or_default();
    let (now, patience) = (deps.now(), deps.settings().start.dialog_wait);
    let (step, gone) = deps.starts.answering(&spec.session, incarnation, |answering| {
        answering.step(shown.as_ref(), answered, now.mono, patience)
    });
    let agent = &spec.identity;
    if let Some((title, option)) = gone {
        tracing::info!(agent = %agent, reason = "answered", "answered {title:?} with {option:?}");
    }
    match step {
        Step::Press(key, option) => {
            if key == Key::Enter {
                let (title, chosen) = (title(), format!("Enter pressed on {option:?}"));
                tracing::info!(agent = %agent, reason = "question", "{chosen} at {title:?}");
                let seen = format!("waits at a question: {title}");
                deps.records.happened(agent, Entry::word(now.wall, "question", &seen, &chosen));
            }
            deps.sessions.press(pane, key).await?;
            Ok(Progress::Waits)
        }
        Step::Wait => Ok(Progress::Waits),
        Step::Over => Ok(Progress::Over),
        Step::Leave => Ok(Progress::Left),
        Step::GiveUp(key) => {
            let why = format!(
                "the screen does not show that {} arrived within {}",
                name(key),
                go_duration::short(patience)
            );
            screens::left_to_people(deps, spec, &title(), &why);
            Ok(Progress::Left)
        }
    }
}

fn name(key: Key) -> &'static str {
    match key {
        Key::Enter => "Enter",
        Key::Escape => "Escape",
        Key::Up => "the arrow up",
        Key::Down => "the arrow down",
    }
}
