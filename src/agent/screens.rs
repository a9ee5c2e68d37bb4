//! Reading screens: what is done about what a screen shows. A question that an agent waits at is reported once, with how a
//! person attaches to its session; the agent's owner alerts people when it is not answered. A usage limit and a lost login hold
//! its [account](super::accounts).

use super::{
    accounts,
    activity::{Activity, Reading, Source, noting, screen},
    elsewhere, oom,
    record::screens::{Screen, Turn},
};
use crate::{
    agent::{history::Entry, phase::Phase, questions, spec::AgentSpec},
    deps::Deps,
    ports::problems::{Condition, ProblemKey},
    sessions::{PaneTarget, SessionsError, scan::Scan},
    supervision::messages::Broadcast,
    town::{
        dialogs::Dialog,
        usage_limit::{SCREEN_LINES, Sentence},
    },
};

/// The kind of problem that a question is.
const QUESTION: &str = "question";

fn saw(deps: &Deps, agent: &AgentSpec, pane: &PaneTarget, lines: Vec<String>, activity: Option<Activity>) {
    let now = deps.now();
    noting::screen_shows(deps, agent, pane.session_id(), activity, now);
    let may_be_answered = may_be_answered(deps, agent, &lines);
    let Some(Turn(question)) = deps.records.note_screen(&agent.identity, pane, lines, now) else { return };
    let key = question_key(agent);
    match question {
        Some(title) => {
            let attach = deps.sessions.place().attach(&agent.session);
            let who = &agent.identity;
            let done = if may_be_answered { MAY_BE_ANSWERED } else { NOTHING_IS_TYPED };
            let text = format!("{who} waits at a question, {done}: {title}; to answer it, run `{attach}`");
            deps.problems.report(key, text);
            let entry = Entry::word(now.wall, "question", &format!("waits at a question: {title}"), done);
            deps.records.happened(&agent.identity, entry);
            deps.directory.send(&agent.identity, Broadcast::Asks(title));
        }
        None => deps.problems.clear(&key),
    }
}

fn question_key(agent: &AgentSpec) -> ProblemKey {
    agent.problem_key(QUESTION).meaning(Condition::WaitingAtQuestion)
}

const NOTHING_IS_TYPED: &str = "nothing is typed to it";
const MAY_BE_ANSWERED: &str = "an answer may be typed (dialogs.answer)";

/// Whether the settings may have the question on this screen answered: at a start, or where the agent is woken at a limit.
fn may_be_answered(deps: &Deps, agent: &AgentSpec, lines: &[String]) -> bool {
    let Some(question) = questions::shown(lines) else { return false };
    let starts = deps.records.phase(&agent.identity).is_some_and(|(phase, _)| phase == Phase::Starting);
    let is_asked = starts || question.known == Some(Dialog::UsageLimit);
    is_asked && questions::answer(&question, &deps.settings().answered(true)).is_some()
}

/// The question with this title is left to people after all, and why.
pub fn left_to_people(deps: &Deps, agent: &AgentSpec, title: &str, why: &str) {
    let (who, attach) = (&agent.identity, deps.sessions.place().attach(&agent.session));
    let text = format!(
        "{who} waits at a question, nothing more is typed to it, as {why}: {title}; to answer it, run `{attach}`"
    );
    deps.problems.report(question_key(agent), text);
    let done = format!("nothing more is typed to it: {why}");
    let entry = Entry::word(deps.now().wall, "question", &format!("waits at a question: {title}"), &done);
    deps.records.happened(who, entry);
}

/// Reads what this pane of an agent shows now. A question at which the agent waits is reported once.
pub async fn read(deps: &Deps, agent: &AgentSpec, pane: &PaneTarget) -> Result<Vec<String>, SessionsError> {
    let lines = deps.sessions.capture(pane, SCREEN_LINES).await?;
    let (activity, before) =
        (of_living(deps, &lines), deps.records.screen_alive(&agent.identity, pane.session_id()));
    saw(deps, agent, pane, lines.clone(), activity.clone());
    deps.records.screen_is_alive(&agent.identity);
    let unseen = before.filter(|before| of_living(deps, &before.lines) != activity);
    // A screen that says nothing says that the agent got on.
    let activity = activity.unwrap_or(Activity::Working);
    let reading = Reading { activity, source: Source::Screen, since: deps.now().wall };
    accounts::saw(deps, agent, &reading, unseen.map(|before| before.at.wall)).await;
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
    let activity = of_living(deps, &lines);
    saw(deps, agent, pane, lines, activity);
    Ok(())
}

/// Takes the last screen of an agent whose end is being judged.
pub async fn at_its_end(deps: &Deps, agent: &AgentSpec, screen: &Screen) {
    let Some(activity @ (Activity::Limited(_) | Activity::LoggedOut(_))) = of_ended(deps, &screen.lines)
    else {
        return;
    };
    deps.accounts.said_its_last(&agent.identity);
    let before = deps.records.screen_alive(&agent.identity, screen.pane.session_id());
    let before = before.filter(|before| of_ended(deps, &before.lines).as_ref() != Some(&activity));
    let reading = Reading { activity, source: Source::Screen, since: deps.now().wall };
    accounts::saw(deps, agent, &reading, before.map(|before| before.at.wall)).await;
}

/// What the screen of a living agent says that it is doing; `None`: it does not say.
pub fn of_living(deps: &Deps, lines: &[String]) -> Option<Activity> {
    let limit = deps.settings().usage_limit.patterns.of_living(lines).map(Sentence::text);
    screen::judge(lines, questions::shown(lines).as_ref(), limit)
}

/// What the last screen of an agent that ended says of its account.
fn of_ended(deps: &Deps, lines: &[String]) -> Option<Activity> {
    let limited = limit(deps, lines).map(Activity::Limited);
    limited.or_else(|| screen::judge(lines, questions::shown(lines).as_ref(), None))
}

/// The sentence of the last screen of an agent that ended, if it shows a usage limit.
pub fn limit(deps: &Deps, lines: &[String]) -> Option<String> {
    deps.settings().usage_limit.patterns.sentence(lines).map(Sentence::text)
}

/// How many lines are read of what is left of an agent: all of a tall terminal.
const LEFT_LINES: u16 = 400;

/// The most screens that are requested at once.
const AT_ONCE: usize = 20;

/// Reads the screens of the watched agents that a scan shows, and what else tells later why they ended ([`oom`]); then drops what
/// is too old to be used. An agent whose screen cannot be read keeps the last one. Call it
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
    elsewhere::forget_old(deps);
}

/// Clears what the previous session of this agent showed or asked, because a new one was created.
pub fn begun(deps: &Deps, agent: &AgentSpec) {
    deps.records.forget_screen(&agent.identity);
    noting::forget(deps, agent);
    deps.problems.clear(&agent.problem_key(QUESTION));
}
