//! Changes: the town as a stream of server-sent events: first one `snapshot`, then a `change` whenever something differs.
//!
//! A change contains only what differs: complete entries of changed agents, the names of agents that are `gone`, and other
//! changed parts of the report. A slow reader gets fewer events, each relative to the last one it got; nothing is queued for it.

use std::{collections::BTreeMap, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, future::select, stream};
use serde_json::{Map, Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    report::{AgentReport, StatusReport},
    reporter::{FRESH, Reporter},
};

/// Changes within this time are sent together. A report that was gathered before a change may serve for [`FRESH`].
const SETTLE: Duration = FRESH.saturating_add(Duration::from_millis(5));
/// From one event to the next, at least.
const PAUSE: Duration = Duration::from_millis(75);
/// How often the parts of the report that wake nobody, which are all but agents and problems, are compared while a client follows.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// Starts the stream of one client.
pub fn follow(reporter: Arc<Reporter>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (agents, problems) = (reporter.deps().records.changed(), reporter.problems().changed());
    let following = Following { reporter, agents, problems, told: None, at: Duration::ZERO };
    Sse::new(stream::unfold(following, Following::next)).keep_alive(KeepAlive::default())
}

struct Following {
    reporter: Arc<Reporter>,
    agents: watch::Receiver<()>,
    problems: watch::Receiver<()>,
    told: Option<Arc<StatusReport>>,
    /// When the last event was sent (monotonic).
    at: Duration,
}

impl Following {
    /// The next event; the stream ends when the root does not answer.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let Some(told) = self.told.clone() else {
            let report = self.reporter.report().await?;
            let text = serde_json::to_string(&*report).ok()?;
            (self.told, self.at) = (Some(report), self.now());
            return Some((Ok(Event::default().event("snapshot").data(text)), self));
        };
        loop {
            if timeout(COMPARE_EVERY, self.changed()).await.is_ok() {
                sleep(SETTLE.max((self.at + PAUSE).saturating_sub(self.now()))).await;
                self.agents.mark_unchanged();
                self.problems.mark_unchanged();
            }
            let report = self.reporter.report().await?;
            let change = change(&told, &report);
            if !change.is_empty() {
                (self.told, self.at) = (Some(report), self.now());
                let text = Value::Object(change).to_string();
                return Some((Ok(Event::default().event("change").data(text)), self));
            }
        }
    }

    fn now(&self) -> Duration {
        self.reporter.deps().now().mono
    }

    /// Returns when an agent or a problem changed.
    async fn changed(&mut self) {
        let agents = pin!(self.agents.changed());
        let problems = pin!(self.problems.changed());
        select(agents, problems).await;
    }
}

fn by_identity(report: &StatusReport) -> BTreeMap<&str, &AgentReport> {
    report.agents.iter().map(|agent| (agent.identity.as_str(), agent)).collect()
}

/// The differences between two reports; empty when there are none.
fn change(before: &StatusReport, now: &StatusReport) -> Map<String, Value> {
    let mut change = Map::new();
    let (agents_before, agents_now) = (by_identity(before), by_identity(now));
    let is_new = |agent: &&&AgentReport| agents_before.get(agent.identity.as_str()) != Some(*agent);
    let agents: Vec<_> = agents_now.values().filter(is_new).collect();
    if !agents.is_empty() {
        change.insert("agents".to_owned(), json!(agents));
    }
    let gone: Vec<&str> = agents_before.keys().copied().filter(|it| !agents_now.contains_key(it)).collect();
    if !gone.is_empty() {
        change.insert("gone".to_owned(), json!(gone));
    }
    let parts = |report: &StatusReport| {
        [
            ("heartbeat", json!(report.heartbeat)),
            ("actors", json!(report.actors)),
            ("gates", json!(report.gates)),
            ("summary", json!(report.summary)),
            ("problems", json!(report.problems)),
            ("deaths", report.deaths.clone()),
            ("feed", report.feed.clone()),
            ("convoys", report.convoys.clone()),
        ]
    };
    for ((name, before), (_, current)) in parts(before).into_iter().zip(parts(now)) {
        if before != current {
            change.insert(name.to_owned(), current);
        }
    }
    // Since when each is open is computed for each report, and may differ in its last digits.
    if change.contains_key("problems") {
        change.insert("problem_list".to_owned(), json!(now.problem_list));
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::ProblemReport;

    fn report(agents: &[(&str, &str)], beats: u64) -> StatusReport {
        let agent = |(identity, state): &(&str, &str)| AgentReport {
            identity: (*identity).to_owned(),
            state: (*state).to_owned(),
            ..AgentReport::default()
        };
        let mut report =
            StatusReport { agents: agents.iter().map(agent).collect(), ..StatusReport::default() };
        report.heartbeat.count = beats;
        report
    }

    #[test]
    fn many_agents_are_compared_each_with_itself() {
        let names: Vec<String> = (0..20_000).map(|number| format!("r/polecats/p{number:05}")).collect();
        let all = |state| names.iter().map(|name| (name.as_str(), state)).collect::<Vec<_>>();
        let (before, now) = (report(&all("alive"), 1), report(&all("absent"), 1));
        // Comparing each with each would take 400 million comparisons, and minutes.
        assert_eq!(change(&before, &now)["agents"].as_array().unwrap().len(), names.len());
        assert!(change(&before, &before).is_empty());
    }

    #[test]
    fn since_when_a_problem_is_open_is_no_change_by_itself() {
        let with = |text: &str, since: &str| {
            let mut report = report(&[], 1);
            report.problems.insert("command/gt".to_owned(), text.to_owned());
            let since = since.parse().unwrap();
            report.problem_list = ProblemReport::listed(&report.problems, |_| Some(since));
            report
        };
        let before = with("gt is missing", "2026-11-25T10:00:00.000000001Z");
        assert!(change(&before, &with("gt is missing", "2026-11-25T10:00:00.000000002Z")).is_empty());
        let now = change(&before, &with("gt hangs", "2026-11-25T10:00:00.000000002Z"));
        assert_eq!(now.keys().collect::<Vec<_>>(), ["problems", "problem_list"]);
        assert_eq!(now["problem_list"][0]["text"], "gt hangs");
    }

    #[test]
    fn only_what_is_different() {
        let before = report(&[("deacon", "alive"), ("r/witness", "alive")], 1);
        for (name, now, keys) in [
            ("nothing", report(&[("deacon", "alive"), ("r/witness", "alive")], 1), vec![]),
            ("a state", report(&[("deacon", "alive"), ("r/witness", "confirming")], 1), vec!["agents"]),
            ("one that is gone", report(&[("deacon", "alive")], 1), vec!["gone"]),
            ("a heartbeat", report(&[("deacon", "alive"), ("r/witness", "alive")], 2), vec!["heartbeat"]),
            ("everything", report(&[("s/witness", "alive")], 2), vec!["agents", "gone", "heartbeat"]),
        ] {
            let change = change(&before, &now);
            assert_eq!(change.keys().collect::<Vec<_>>(), keys, "{name}");
        }
        let now = report(&[("deacon", "alive"), ("r/witness", "confirming")], 1);
        let agents = change(&before, &now).remove("agents").unwrap();
        assert_eq!(agents.as_array().unwrap().len(), 1, "{agents}");
        assert_eq!(agents[0]["state"], "confirming");
    }
}
