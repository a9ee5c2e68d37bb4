//! Reading screens: what is done about what a screen shows. A question that an agent waits at is reported once, with how a
//! person attaches to its session; the agent's owner alerts people when it is not answered. A usage limit and a lost login hold
//! its [account](super::accounts).

use super::{
    accounts,
    activity::{Activity, Reading, Source, noting},
    oom,
    record::screens::{Screen, Turn},
};
use crate::{
    agent::{history::Entry, questions, spec::AgentSpec},
    deps::Deps,
    sessions::{PaneTarget, SessionsError, scan::Scan},
    supervision::messages::Broadcast,
    town::{
        login,
        usage_limit::{SCREEN_LINES, Sentence, reset},
    },
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
    let says = |lines: &[String]| activity(lines, limit_of_living(deps, lines));
    let (activity, before) = (says(&lines), deps.records.screen_alive(&agent.identity, pane.session_id()));
    saw(deps, agent, pane, lines.clone());
    deps.records.screen_is_alive(&agent.identity);
    let unseen = before.filter(|before| says(&before.lines) != activity).map(|before| before.at.wall);
    let reading = Reading { activity, source: Source::Screen, since: deps.now().wall };
    accounts::saw(deps, agent, &reading, unseen).await;
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

/// Reads what is left of an agent that has ended. It says nothing about its account any more, however long it is left there.
pub async fn read_left(deps: &Deps, agent: &AgentSpec, pane: &PaneTarget) -> Result<(), SessionsError> {
    let mut lines = deps.sessions.capture(pane, LEFT_LINES).await?;
    // A program that ended soon wrote at the top, and tmux writes at the bottom that the pane is dead.
    lines.dedup_by(|next, line| next.trim().is_empty() && line.trim().is_empty());
    saw(deps, agent, pane, lines);
    Ok(())
}

/// Takes the last screen of an agent whose end is being judged.
pub async fn at_its_end(deps: &Deps, agent: &AgentSpec, screen: &Screen) {
    let says = |lines: &[String]| activity(lines, limit(deps, lines));
    let activity = says(&screen.lines);
    if activity != Activity::Working {
        deps.accounts.said_its_last(&agent.identity);
        let reading = Reading { activity, source: Source::Screen, since: deps.now().wall };
        let before = deps.records.screen_alive(&agent.identity, screen.pane.session_id());
        let before = before.filter(|before| says(&before.lines) != reading.activity);
        accounts::saw(deps, agent, &reading, before.map(|before| before.at.wall)).await;
    }
}

/// What a screen on which this limit was found says about the account of its agent. One that says nothing says that the agent
/// got on.
fn activity(lines: &[String], limit: Option<String>) -> Activity {
    if let Some(sentence) = limit {
        return Activity::Limited(sentence);
    }
    let asked =
        || questions::shown(lines).map(|question| question.title).filter(|title| login::asks_for(title));
    match login::lost(lines).map(|sentence| sentence.line).or_else(asked) {
        Some(sentence) => Activity::LoggedOut(sentence),
        None => Activity::Working,
    }
}

/// The sentence of the last screen of an agent that ended, if it shows a usage limit.
pub fn limit(deps: &Deps, lines: &[String]) -> Option<String> {
    telling(deps, deps.settings().usage_limit.patterns.sentence(lines)?)
}

/// The same for the screen of a living agent.
fn limit_of_living(deps: &Deps, lines: &[String]) -> Option<String> {
    telling(deps, deps.settings().usage_limit.patterns.of_living(lines)?)
}

fn telling(deps: &Deps, sentence: Sentence) -> Option<String> {
    let (now, zone) = (deps.now().wall, deps.clock.zone());
    Some(sentence.telling(|text| reset::of(text, now, &zone).is_some()))
}

/// How many lines are read of what is left of an agent: all of a tall terminal.
const LEFT_LINES: u16 = 400;

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
