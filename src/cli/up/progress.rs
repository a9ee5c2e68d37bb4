//! Progress: how the agents of a plan come up, from the supervisor's reports. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{super::one_file::called, seconds};
use crate::{
    StatusReport,
    agents_file::plan::Plan,
    control::report::AgentReport,
    go_duration,
    town::identity::Identity,
    tree::one_file::kept::{Kept, taken},
    width,
};

/// A line about an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// It is as it should be.
    Said(String),
    /// It is not.
    Fault(String),
}

/// Where an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stand {
    /// It is coming up.
    Pending(String),
    /// It waits for another agent.
    Waits(String),
    /// It runs; with what a person should know.
    Up(Option<String>),
    /// It is not to run now.
    Left(String),
    /// It does not come up; in words that follow its name.
    Failed(String),
}

/// What was said of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Already,
    Up,
    Left,
    Failed,
}

#[derive(Debug)]
struct Agent {
    identity: Identity,
    session: String,
    /// What it takes at its start, by the file.
    takes: String,
    /// What was seen of it last.
    last: Stand,
    said: Option<Said>,
}

/// How far all agents are.
#[derive(Debug)]
pub struct Progress {
    agents: Vec<Agent>,
    /// Those that the file does not have, by identity, and that are supervised still.
    leaving: BTreeSet<String>,
    begun: Timestamp,
    column: usize,
}

/// Sessions say when they were made in whole seconds.
const A_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Within this a running supervisor looks again at what kept an agent from being started before.
const LOOKS_AGAIN: Duration = Duration::from_secs(4);

impl Progress {
    /// Nothing was seen yet.
    pub fn new(plan: &Plan, begun: Timestamp) -> Self {
        let standings = plan.standings();
        let agents = plan.agents.iter().map(|agent| {
            let identity = Identity::Own(agent.name.clone());
            let takes = standings.of(&identity).map(|standing| taken(&standing)).unwrap_or_default();
            let last = Stand::Pending("not seen yet".to_owned());
            Agent { identity, session: agent.session.clone(), takes, last, said: None }
        });
        let column = plan.agents.iter().map(|agent| width::of(agent.name.as_str())).max().unwrap_or(0);
        Progress { agents: agents.collect(), leaving: BTreeSet::new(), begun, column: column.max(8) + 2 }
    }

    /// The agents that only this command starts again: they were ended with the whole town, and the supervisor was not.
    pub fn to_start(&self, report: &StatusReport) -> Vec<String> {
        let is_in_file =
            |it: &&AgentReport| self.agents.iter().any(|own| own.identity.to_string() == it.identity);
        let held = report.agents.iter().filter(|it| it.state == "held" && code(it) == "down");
        held.filter(is_in_file).map(|it| it.identity.clone()).collect()
    }

    /// Takes a report; returns what is to be said. `after`: since the beginning.
    pub fn see(&mut self, report: &StatusReport, kept: &Kept, after: Duration) -> Vec<Line> {
        let by_identity: BTreeMap<&str, &AgentReport> =
            report.agents.iter().map(|agent| (agent.identity.as_str(), agent)).collect();
        let mut lines = self.see_leaving(&by_identity, after);
        for agent in self.agents.iter_mut().filter(|agent| agent.said.is_none()) {
            let Some(seen) = by_identity.get(agent.identity.to_string().as_str()) else { continue };
            let is_other = kept.agents.get(&agent.identity).is_some_and(|kept| kept.taken != agent.takes);
            let is_old = after < LOOKS_AGAIN && seen.since.is_some_and(|since| since < self.begun);
            agent.last = match stand(seen) {
                Stand::Up(_) if is_other => {
                    Stand::Pending("still running the previous definition".to_owned())
                }
                Stand::Failed(what) if is_old => Stand::Pending(what),
                stand => stand,
            };
            let is_older = seen.started_at.is_some_and(|at| self.begun.duration_since(at) > A_SECOND);
            agent.said = match &agent.last {
                Stand::Pending(_) | Stand::Waits(_) => None,
                Stand::Up(_) if is_older => Some(Said::Already),
                Stand::Up(_) => Some(Said::Up),
                Stand::Left(_) => Some(Said::Left),
                Stand::Failed(_) => Some(Said::Failed),
            };
            lines.extend(agent.said.map(|said| line(agent, said, after, self.column)));
        }
        lines.extend(self.see_waiting(after));
        lines
    }

    /// Those that are still supervised and not in the file.
    fn see_leaving(&mut self, seen: &BTreeMap<&str, &AgentReport>, after: Duration) -> Vec<Line> {
        let is_ours = |identity: &str| self.agents.iter().any(|it| it.identity.to_string() == identity);
        let now: BTreeSet<String> =
            seen.keys().filter(|identity| !is_ours(identity)).map(|it| (*it).to_owned()).collect();
        let gone = self.leaving.difference(&now).map(|identity| {
            let what = format!("has ended after {}: it is not in the file any more", seconds(after));
            Line::Said(padded(&called(identity), &what, self.column))
        });
        let gone = gone.collect();
        self.leaving = now;
        gone
    }

    /// When nobody else comes up any more, those that wait for others do not, either.
    fn see_waiting(&mut self, after: Duration) -> Vec<Line> {
        let is_pending = |agent: &Agent| agent.said.is_none() && matches!(agent.last, Stand::Pending(_));
        if self.agents.iter().any(is_pending) {
            return Vec::new();
        }
        // Those that wait for one that has just come up hear of it in a moment.
        let is_up = |agent: &Agent| matches!(agent.said, Some(Said::Up | Said::Already));
        let waits_for_it = |why: &str, it: &Agent| {
            is_up(it)
                && why
                    .split([' ', ','])
                    .any(|word| word == it.identity.to_string() || word == it.identity.called())
        };
        let waits: Vec<usize> = (0..self.agents.len()).filter(|at| self.agents[*at].said.is_none()).collect();
        let mut lines = Vec::new();
        for at in waits {
            let Stand::Waits(why) = &self.agents[at].last else { continue };
            if self.agents.iter().any(|it| waits_for_it(why, it)) {
                continue;
            }
            let failed = Stand::Failed(format!("is not up: {why}"));
            let agent = &mut self.agents[at];
            agent.last = failed;
            agent.said = Some(Said::Failed);
            lines.push(line(agent, Said::Failed, after, self.column));
        }
        lines
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_over(&self) -> bool {
        self.leaving.is_empty() && self.agents.iter().all(|agent| agent.said.is_some())
    }

    /// The time is over: what is said of those that are not up.
    pub fn give_up(&mut self, limit: Duration) -> Vec<Line> {
        let mut lines = Vec::new();
        for agent in self.agents.iter_mut().filter(|agent| agent.said.is_none()) {
            if let Stand::Pending(why) | Stand::Waits(why) = &agent.last {
                agent.said = Some(Said::Failed);
                let what = format!("not up within {}: {why}", go_duration::short(limit));
                lines.push(Line::Fault(padded(&agent.identity.called(), &what, self.column)));
            }
        }
        for identity in std::mem::take(&mut self.leaving) {
            let what = format!("has not ended within {}", go_duration::short(limit));
            lines.push(Line::Fault(padded(&called(&identity), &what, self.column)));
        }
        lines
    }

    /// How it went, in one sentence: an error when some agent is not up that should be.
    pub fn summary(&self) -> Result<String, String> {
        let count = |said: Said| self.agents.iter().filter(|it| it.said == Some(said)).count();
        let (all, already, left) = (self.agents.len(), count(Said::Already), count(Said::Left));
        let up = already + count(Said::Up);
        let failed: Vec<String> = self
            .agents
            .iter()
            .filter(|it| matches!(it.said, None | Some(Said::Failed)))
            .map(|it| it.identity.called())
            .collect();
        if !failed.is_empty() {
            return Err(format!("{up} of {all} agents are up; not up: {}", failed.join(", ")));
        }
        let left = if left == 0 { String::new() } else { format!("; {left} not to run now") };
        Ok(match (all, up) {
            (0, _) => "the file has no agents".to_owned(),
            (1, 1) if already == 1 => "the agent was up already".to_owned(),
            (1, 1) => "the agent is up".to_owned(),
            (1, _) => "the agent is not to run now".to_owned(),
            (all, up) if up == all && already == all => format!("all {all} agents were up already"),
            (all, up) if up == all => format!("all {all} agents are up"),
            (all, up) => format!("{up} of {all} agents are up{left}"),
        })
    }
}

fn code(agent: &AgentReport) -> &str {
    agent.reason_code.as_deref().unwrap_or_default()
}

/// Where an agent is, by the report.
fn stand(agent: &AgentReport) -> Stand {
    let why = agent.reason.clone().unwrap_or_else(|| agent.state.replace('_', " "));
    let failed = || Stand::Failed(format!("is not up: {why}"));
    match (agent.state.as_str(), code(agent)) {
        ("alive", _) => Stand::Up(None),
        ("waiting_at_question", _) => Stand::Up(Some(format!("waits at a question: {why}"))),
        ("limited" | "logged_out", _) if agent.pid.is_some() => Stand::Up(Some(why)),
        ("limited" | "logged_out", _) => Stand::Left(why),
        ("held", "down" | "stop_requested") => Stand::Pending(why),
        ("held", _) => Stand::Left(format!("held: {why}")),
        ("waiting" | "paused", "waits_for_agent") => Stand::Waits(why),
        ("paused", "unclear") => Stand::Pending(why),
        ("waiting", "backoff" | "start_postponed") => failed(),
        ("absent", "cannot_start") => {
            let why = why.strip_prefix("it cannot be started: ").unwrap_or(&why);
            Stand::Failed(format!("cannot run: {why}"))
        }
        ("absent", "start_failed" | "not_restarted") => failed(),
        ("absent", "ended_well") => Stand::Left(why),
        ("crash_loop" | "paused", _) => failed(),
        _ => Stand::Pending(why),
    }
}

fn line(agent: &Agent, said: Said, after: Duration, column: usize) -> Line {
    let name = agent.identity.called();
    let what = match &agent.last {
        Stand::Up(note) => {
            let up = match said {
                Said::Already => "was up already".to_owned(),
                _ => format!("up after {}", seconds(after)),
            };
            let note = note.as_ref().map(|note| format!("; it {note} (`attach {name}`)")).unwrap_or_default();
            format!("{up} (session {}){note}", agent.session)
        }
        Stand::Left(why) if why.starts_with("held") => format!("{why} (`start {name}` starts it)"),
        Stand::Left(why) => format!("does not run: {why}"),
        Stand::Failed(what) | Stand::Pending(what) | Stand::Waits(what) => {
            return Line::Fault(padded(&name, what, column));
        }
    };
    Line::Said(padded(&name, &what, column))
}

fn padded(name: &str, what: &str, column: usize) -> String {
    format!("{name}{}{what}", " ".repeat(column.saturating_sub(width::of(name)).max(1)))
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
