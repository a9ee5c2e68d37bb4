//! Reading screens: what is done about what a screen shows. A question that an agent waits at is reported once, with how a
//! person attaches to its session; the agent's owner alerts people when it is not answered.

use super::{oom, record::screens::Turn};
use crate::{
    agent::{activity::noting, history::Entry, spec::AgentSpec},
    deps::Deps,
    sessions::{PaneTarget, SessionsError, scan::Scan},
    supervision::messages::Broadcast,
    town::usage_limit::SCREEN_LINES,
};

/// The kind of problem that a question is.
const QUESTION: &str = "question";

fn saw(deps: &Deps, agent: &AgentSpec, pane: &PaneTarget, lines: Vec<String>) {
    let now = deps.now();
    noting::screen_shows(deps, agent, pane.session_id(), &lines, now);
    let Some(Turn(question)) = deps.records.note_screen(&agent.identity, pane, lines, now) else { return };
    let key = agent.problem_key(QUESTION);
    match question {
        Some(title) => {
            let attach = deps.sessions.place().attach(&agent.session);
            let who = &agent.identity;
            let text = format!(
                "{who} waits at a question, nothing is typed to it: {title}; to answer it, run `{attach}`"
            );
            deps.problems.report(key, text);
            let entry = Entry::word(
                now.wall,
                "question",
                &format!("waits at a question: {title}"),
                "nothing is typed to it",
            );
            deps.records.happened(&agent.identity, entry);
            deps.directory.send(&agent.identity, Broadcast::Asks(title));
        }
        None => deps.problems.clear(&key),
    }
}

/// Reads what this pane of an agent shows now. A question at which the agent waits is reported once.
pub async fn read(deps: &Deps, agent: &AgentSpec, pane: &PaneTarget) -> Result<Vec<String>, SessionsError> {
    let lines = deps.sessions.capture(pane, SCREEN_LINES).await?;
    saw(deps, agent, pane, lines.clone());
    Ok(lines)
}

/// Whether this agent still waits at the question with this title, as its screen shows now.
pub async fn still_asks(deps: &Deps, agent: &AgentSpec, title: &str) -> bool {
    let asks =
        || deps.records.screen(&agent.identity, None).filter(|it| it.question.as_deref() == Some(title));
    let Some(screen) = asks() else { return false };
    // A screen that cannot be read now may still show it: the last one counts.
    let _ = read(deps, agent, &screen.pane).await;
    asks().is_some()
}

/// The most screens that are requested at once.
const AT_ONCE: usize = 20;

/// Reads the screens of the watched agents that a scan shows, and what else tells later why they ended
/// ([`oom`]); an agent whose screen cannot be read keeps the last one. Call it
/// in a task: it takes as long as tmux takes to answer for each of them.
pub async fn refresh(deps: &Deps, scan: &Scan) {
    let (there, over) = deps.records.watched_in(scan, deps.now());
    for agent in over {
        deps.problems.clear(&agent.problem_key(QUESTION));
    }
    // Several at once, because each single answer wakes the process; not all, so that other requests get their turn.
    for some in there.chunks(AT_ONCE) {
        futures::future::join_all(some.iter().map(|(agent, pane)| read(deps, agent, pane))).await;
    }
    oom::reading::refresh(deps, scan, &there).await;
}

/// Clears what the previous session of this agent showed or asked, because a new one was created.
pub fn begun(deps: &Deps, agent: &AgentSpec) {
    deps.records.forget_screen(&agent.identity);
    noting::forget(deps, agent);
    deps.problems.clear(&agent.problem_key(QUESTION));
}
