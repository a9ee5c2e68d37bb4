//! Nudges by people: a text that somebody has typed into an agent.
//!
//! Nothing is typed that the gate forbids, nor while a question, a usage limit or a lost login is on its screen. Where it is not idle, or
//! nobody can say whether it is, only who asks for that has it typed all the same. The text itself is not kept, but for its beginning.

use std::sync::Arc;

use super::Owner;
use crate::{
    agent::{
        activity::Activity,
        confirmation::{Permission, SessionKey},
        history::Entry,
        idleness::{self, NotIdle},
        lifecycle::State,
        nudge::{self, NotDelivered, Why},
        permission,
        phase::Phase,
        screens,
        spec::AgentSpec,
    },
    deps::Deps,
    secrets,
    supervision::messages::{NotNudged, Nudge, Nudged},
    terminal,
};

/// The most characters that are kept of a text.
const BEGINNING: usize = 60;

impl Owner {
    /// Types a person's text into the agent, if that may be done, and answers. All of it is done in a task.
    pub fn nudge(&mut self, nudge: Arc<Nudge>) {
        let phase = Phase::of(&self.lifecycle);
        let session = match self.state() {
            State::Alive { session, .. } if phase == Phase::Alive => Some(session.clone()),
            _ => None,
        };
        let (deps, spec) = (self.deps.clone(), self.spec.clone());
        self.work.run(async move {
            let nudged = match &session {
                Some(session) => deliver(&deps, &spec, session, &nudge).await,
                None => Err(does_not_run(phase)),
            };
            note(&deps, &spec, &nudge, &nudged);
            // Who asked may have gone.
            if let Some(answer) = nudge.answer.lock().take() {
                let _ = answer.send(nudged);
            }
        });
    }
}

fn refused(code: &'static str, why: impl Into<String>) -> NotNudged {
    NotNudged { code, why: why.into() }
}

fn does_not_run(phase: Phase) -> NotNudged {
    match phase {
        Phase::Unknown | Phase::Confirming => refused("unclear", "whether it runs is not known now"),
        phase => refused("not_running", format!("it does not run: it is {phase}")),
    }
}

async fn deliver(deps: &Deps, spec: &AgentSpec, session: &SessionKey, nudge: &Nudge) -> Nudged {
    match permission::ask(deps, spec).await {
        Permission::Allowed => {}
        Permission::Denied(denial) => return Err(refused(denial.code(), denial.to_string())),
        Permission::Unknown(why) => return Err(refused("unclear", why)),
    }
    let not_idle = match idleness::ask(deps, spec, session).await {
        None => shown(deps, spec, session),
        not_idle => not_idle,
    };
    match not_idle {
        Some(NotIdle::Held(code, why)) => return Err(refused(code, why)),
        Some(NotIdle::Busy(why)) if !nudge.now => return Err(refused("busy", why)),
        Some(unknown @ (NotIdle::Unknown(_) | NotIdle::NoSource)) if !nudge.now => {
            return Err(refused("unclear", unknown.to_string()));
        }
        // Its transcript may say less than its screen.
        Some(_) => {
            if let Some(NotIdle::Held(code, why)) = shown(deps, spec, session) {
                return Err(refused(code, why));
            }
        }
        None => {}
    }
    let typed = match nudge.now {
        true => nudge::nudge(deps, spec, session, &nudge.text).await,
        false => nudge::at_empty_prompt(deps, spec, session, &nudge.text).await,
    };
    typed.map(|()| "typed, and sent with Enter".to_owned()).map_err(not_delivered)
}

/// What its screen says, as it was just read, if that forbids to type into it.
fn shown(deps: &Deps, spec: &AgentSpec, session: &SessionKey) -> Option<NotIdle> {
    let screen = deps.records.screen(&spec.identity, Some(&session.id))?;
    match screens::of_living(deps, &screen.lines)? {
        activity @ (Activity::WaitingAtQuestion(_) | Activity::Limited(_) | Activity::LoggedOut(_)) => {
            idleness::of(&activity, screen.at.wall)
        }
        Activity::Working | Activity::Idle | Activity::Hung(_) => None,
    }
}

fn not_delivered(NotDelivered { why, begun }: NotDelivered) -> NotNudged {
    if begun {
        return refused(
            "maybe_typed",
            format!("{why}; the text, or a part of it, may have been typed and was not sent: see its screen"),
        );
    }
    let code = match &why {
        Why::Gone(_) | Why::NoAgent(_) => "not_running",
        Why::Question(_) => "question",
        Why::Shell(_) => "shell",
        Why::Draft => "prompt_holds_text",
        Why::NoPrompt | Why::Unknown(_) => "unclear",
        Why::Locked(..) => "locked",
        Why::Failed(_) => "failed",
    };
    refused(code, why.to_string())
}

/// Notes for people what was typed, and by whom. What was refused left nothing.
fn note(deps: &Deps, spec: &AgentSpec, nudge: &Nudge, nudged: &Nudged) {
    let (agent, session, by) = (&spec.identity, &spec.session, &nudge.by);
    let done = match nudged {
        Ok(_) => format!("typed {}", beginning(&nudge.text)),
        Err(NotNudged { code: "maybe_typed", why }) => format!("{}: {why}", beginning(&nudge.text)),
        Err(NotNudged { code, why }) => {
            tracing::info!(%agent, session, reason = "nudged", "nudge requested ({by}), refused ({code}): {why}");
            return;
        }
    };
    tracing::info!(%agent, session, reason = "nudged", "nudge requested ({by}); {done}");
    let entry = Entry::word(deps.now().wall, "nudged", &format!("nudge requested ({by})"), &done);
    deps.records.happened(agent, entry);
}

/// The beginning of a text, in quotes, without secrets.
fn beginning(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = secrets::mask(&lines).join(" ");
    let begins: String = line.chars().take(BEGINNING).collect();
    let rest = if begins.len() < line.len() { "…" } else { "" };
    format!("\"{}{rest}\"", terminal::one_line(&begins))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::SessionsError;

    #[test]
    fn why_a_text_was_not_delivered() {
        let session = || "a".to_owned();
        for (why, begun, code) in [
            (Why::Gone(session()), false, "not_running"),
            (Why::NoAgent(session()), false, "not_running"),
            (Why::Question("Trust it?".into()), false, "question"),
            (Why::Shell(session()), false, "shell"),
            (Why::Draft, false, "prompt_holds_text"),
            (Why::NoPrompt, false, "unclear"),
            (Why::Unknown("no tmux".into()), false, "unclear"),
            (Why::Locked(session(), "held".into()), false, "locked"),
            (Why::Failed(SessionsError::NoSuchSession(session())), false, "failed"),
            (Why::Gone(session()), true, "maybe_typed"),
        ] {
            let text = why.to_string();
            let not_nudged = not_delivered(NotDelivered { why, begun });
            assert_eq!(not_nudged.code, code, "{text}");
            assert!(not_nudged.why.starts_with(&text), "{not_nudged:?}");
        }
    }

    #[test]
    fn what_is_said_of_one_that_does_not_run() {
        for (phase, code) in [
            (Phase::Unknown, "unclear"),
            (Phase::Confirming, "unclear"),
            (Phase::Held, "not_running"),
            (Phase::Starting, "not_running"),
            (Phase::Absent, "not_running"),
        ] {
            assert_eq!(does_not_run(phase).code, code, "{phase}");
        }
    }

    #[test]
    fn what_is_kept_of_a_text() {
        for (text, expected) in [
            ("go on", "\"go on\"".to_owned()),
            ("two\nlines\t!", "\"two lines\\t!\"".to_owned()),
            ("use API_TOKEN=abcdef0123456789", "\"use API_TOKEN=[masked]\"".to_owned()),
            (&"é".repeat(100), format!("\"{}…\"", "é".repeat(BEGINNING))),
        ] {
            assert_eq!(beginning(text), expected);
        }
    }
}
