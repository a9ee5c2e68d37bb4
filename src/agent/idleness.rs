//! Idleness: whether an agent may be ended that is to be ended only while it is idle.
//!
//! What an agent is doing says its [activity](super::activity). Its screen is read for that, as the last reading of it may be a minute
//! old. What is not known to be idle is not idle. It must not act.

use std::fmt;

use jiff::Timestamp;

use super::{
    activity::{Activity, Reading},
    confirmation::{Presence, SessionKey},
    denial::Denial,
    observe, screens,
    spec::AgentSpec,
};
use crate::deps::Deps;

/// Why an agent is not known to be idle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotIdle {
    /// It does something, or may be hung.
    Busy(String),
    /// A question, a usage limit or a lost login holds it; which of them, as a code.
    Held(&'static str, String),
    /// What it is doing could not be found out.
    Unknown(String),
    /// No source says what it is doing.
    NoSource,
}

impl fmt::Display for NotIdle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotIdle::Busy(text) | NotIdle::Held(_, text) | NotIdle::Unknown(text) => text,
            NotIdle::NoSource => "what it is doing is not known",
        })
    }
}

/// Why this agent must not be ended while it lives in this incarnation of its session; `None` when it is idle. A program of which
/// nothing is known has no turns: where nothing says what it is doing, nothing is waited for.
pub async fn busy(deps: &Deps, spec: &AgentSpec, session: &SessionKey) -> Option<Denial> {
    let not_idle = ask(deps, spec, session).await?;
    let has_turns = deps.standing(&spec.identity).is_none_or(|standing| standing.preset.is_some());
    (has_turns || not_idle != NotIdle::NoSource).then(|| Denial::Busy(not_idle.to_string()))
}

/// Why this agent is not known to be idle in this incarnation of its session; `None` when it is.
pub async fn ask(deps: &Deps, spec: &AgentSpec, session: &SessionKey) -> Option<NotIdle> {
    let unknown = |why: &str| Some(NotIdle::Unknown(format!("what it is doing is not known: {why}")));
    let (Presence::Alive(key) | Presence::Starting(key), Some(pane)) = observe::locate(deps, spec).await
    else {
        return unknown("it is not found in its session");
    };
    if key != *session {
        return unknown("its session is another one by now");
    }
    let lines = match screens::read(deps, spec, &pane).await {
        Ok(lines) => lines,
        Err(error) => return unknown(&error.to_string()),
    };
    // A transcript may be behind: one glimpse of work is enough not to end it, although it does not overrule the transcript.
    if screens::of_living(deps, &lines) == Some(Activity::Working) {
        return Some(NotIdle::Busy("its screen shows that it is working".to_owned()));
    }
    judge(deps.records.activity(&spec.identity, Some(&session.id)).as_ref())
}

/// The same for one that does this, as far as is known.
fn judge(doing: Option<&Reading>) -> Option<NotIdle> {
    match doing {
        Some(reading) => of(&reading.activity, reading.since),
        None => Some(NotIdle::NoSource),
    }
}

/// The same for one that does this since then.
pub fn of(activity: &Activity, since: Timestamp) -> Option<NotIdle> {
    Some(match activity {
        Activity::Idle => return None,
        Activity::Working => NotIdle::Busy(format!("it is working since {since}")),
        Activity::WaitingAtQuestion(question) => {
            NotIdle::Held("question", format!("it waits at a question ({question})"))
        }
        Activity::Limited(said) => NotIdle::Held("usage_limit", format!("it is at a usage limit ({said})")),
        Activity::LoggedOut(said) => NotIdle::Held("logged_out", format!("its login is lost ({said})")),
        Activity::Hung(why) => NotIdle::Busy(format!("it may be hung ({why})")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::activity::Source;

    #[test]
    fn only_what_is_known_to_be_idle_is_idle() {
        let text = || "text".to_owned();
        for (activity, expected) in [
            (Some(Activity::Idle), None),
            (Some(Activity::Working), Some("it is working since 1970-01-01T00:00:00Z")),
            (Some(Activity::WaitingAtQuestion(text())), Some("it waits at a question (text)")),
            (Some(Activity::Limited(text())), Some("it is at a usage limit (text)")),
            (Some(Activity::LoggedOut(text())), Some("its login is lost (text)")),
            (Some(Activity::Hung(text())), Some("it may be hung (text)")),
            (None, Some("what it is doing is not known")),
        ] {
            for source in [Source::Transcript, Source::Screen, Source::Processes] {
                let reading = activity.clone().map(|activity| Reading {
                    activity,
                    source,
                    since: jiff::Timestamp::UNIX_EPOCH,
                });
                let busy = judge(reading.as_ref()).map(|denial| denial.to_string());
                assert_eq!(busy.as_deref(), expected, "{activity:?}, {source}");
            }
        }
    }
}
