//! Changes: the town as a stream of server-sent events: first one `snapshot`, then a `change` whenever something differs.
//!
//! A change contains only what differs: complete entries of changed agents, the names of agents that are `gone`, other
//! changed parts of the report, and what `happened` to agents since the event before. A slow reader gets fewer events, each
//! relative to the last one it got; nothing is queued for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, future::select, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    histories::{self, Happened},
    report::{AgentReport, StatusReport},
    reporter::{FRESH, Reporter},
};

/// At most one change is sent within this time: what follows one is sent together.
const SETTLE: Duration = Duration::from_millis(75);
/// How often the parts of the report that wake nobody, which are all but agents and problems, are compared while a client follows.
const COMPARE_EVERY: Duration = Duration::from_secs(15);
/// How often a client hears that the supervisor lives while nothing changes.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// What happened may be stored this much later.
const STORED_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// Starts the stream of one client.
pub fn follow(reporter: Arc<Reporter>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (agents, problems) = (reporter.deps().records.changed(), reporter.problems().changed());
    // What happened before is in the histories that a client asks for.
    let since = reporter.deps().now().wall.checked_sub(STORED_WITHIN).unwrap_or(Timestamp::MIN);
    let mut histories = Histories { since, ..Histories::default() };
    histories.news(&reporter);
    let following = Following { reporter, agents, problems, sent: None, histories, next: Duration::ZERO };
    Sse::new(stream::unfold(following, Following::next)).keep_alive(KeepAlive::new().interval(SIGN_OF_LIFE))
}

struct Following {
    reporter: Arc<Reporter>,
    agents: watch::Receiver<()>,
    problems: watch::Receiver<()>,
    sent: Option<Arc<StatusReport>>,
    histories: Histories,
    /// The next change is not sent before this time of the monotonic clock.
    next: Duration,
}

impl Following {
    /// The next event; the stream ends when the root does not answer.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let Some(before) = self.sent.clone() else {
            let report = self.reporter.report().await?;
            let text = serde_json::to_string(&*report).ok()?;
            self.sent = Some(report);
            return Some((Ok(Event::default().event("snapshot").data(text)), self));
        };
        loop {
            let mut change = Map::new();
            if timeout(COMPARE_EVERY, self.changed()).await.is_ok() {
                sleep(self.next.saturating_sub(self.reporter.deps().now().mono)).await;
                // What changes from here on wakes once more, as the report may have been begun before it.
                self.agents.mark_unchanged();
                self.problems.mark_unchanged();
                sleep(FRESH).await;
                let happened = self.histories.news(&self.reporter);
                if !happened.is_empty() {
                    change.insert("happened".to_owned(), json!(happened));
                }
            }
            let report = self.reporter.report().await?;
            change.extend(differences(&before, &report));
            if !change.is_empty() {
                (self.sent, self.next) = (Some(report), self.reporter.deps().now().mono + SETTLE);
                let text = Value::Object(change).to_string();
                return Some((Ok(Event::default().event("change").data(text)), self));
            }
        }
    }

    /// Returns when an agent or a problem changed.
    async fn changed(&mut self) {
        let agents = pin!(self.agents.changed());
        let problems = pin!(self.problems.changed());
        select(agents, problems).await;
    }
}

/// What of the histories was sent already.
#[derive(Default)]
struct Histories {
    since: Timestamp,
    /// What was sent that happened since then.
    sent: BTreeSet<(String, Timestamp, Timestamp)>,
}

impl Histories {
    /// What is new, oldest first.
    fn news(&mut self, reporter: &Reporter) -> Vec<Happened> {
        let deps = reporter.deps();
        let now = deps.now().wall;
        let mut news =
            self.new_of(histories::since_then(&deps.records, Some(self.since), None, usize::MAX), now);
        histories::put_in_words(&mut news, now, &deps.clock.zone());
        news
    }

    fn new_of(&mut self, mut happened: Vec<Happened>, now: Timestamp) -> Vec<Happened> {
        let key = |it: &Happened| (it.identity.clone(), it.entry.at, it.entry.latest());
        happened.retain(|it| self.sent.insert(key(it)));
        self.since = now.checked_sub(STORED_WITHIN).unwrap_or(Timestamp::MIN);
        self.sent.retain(|(_, _, latest)| *latest >= self.since);
        happened
    }
}

fn by_identity(report: &StatusReport) -> BTreeMap<&str, &AgentReport> {
    report.agents.iter().map(|agent| (agent.identity.as_str(), agent)).collect()
}

/// The differences between two reports; empty when there are none.
fn differences(before: &StatusReport, now: &StatusReport) -> Map<String, Value> {
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
            ("problems", json!(report.problems)),
            ("deaths", report.deaths.clone()),
            ("feed", report.feed.clone()),
            ("convoys", report.convoys.clone()),
            ("accounts", report.accounts.clone()),
            ("gates", json!(report.gates)),
            ("summary", json!(report.summary)),
            ("binary_replaced", json!(report.binary_replaced)),
        ]
    };
    for ((name, before), (_, now)) in parts(before).into_iter().zip(parts(now)) {
        if before != now {
            change.insert(name.to_owned(), now);
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
        assert_eq!(differences(&before, &now)["agents"].as_array().unwrap().len(), names.len());
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn since_when_a_problem_is_open_is_no_change_by_itself() {
        let with = |text: &str, since: &str| {
            let mut report = report(&[], 1);
            report.show(vec![ProblemReport::new("command/gt", text, Some(since.parse().unwrap()))]);
            report
        };
        let before = with("gt is missing", "2026-11-25T10:00:00.000000001Z");
        assert!(differences(&before, &with("gt is missing", "2026-11-25T10:00:00.000000002Z")).is_empty());
        let now = differences(&before, &with("gt hangs", "2026-11-25T10:00:00.000000002Z"));
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
            let change = differences(&before, &now);
            assert_eq!(change.keys().collect::<Vec<_>>(), keys, "{name}");
        }
        let now = report(&[("deacon", "alive"), ("r/witness", "confirming")], 1);
        let agents = differences(&before, &now).remove("agents").unwrap();
        assert_eq!(agents.as_array().unwrap().len(), 1, "{agents}");
        assert_eq!(agents[0]["state"], "confirming");
    }

    #[test]
    fn what_follows_the_changes_has_the_report() {
        use crate::control::following::Change;
        let mut now = report(&[("deacon", "confirming"), ("s/witness", "alive")], 3);
        now.gates = None;
        now.binary_replaced = true;
        now.show(vec![ProblemReport::new("x", "broken", None)]);
        now.deaths = json!({"recent": 1});
        let mut followed = report(&[("deacon", "alive"), ("r/witness", "alive")], 1);
        followed.gates = Some(Vec::new());
        let change: Change =
            serde_json::from_str(&Value::Object(differences(&followed, &now)).to_string()).unwrap();
        change.apply(&mut followed);
        assert_eq!(followed, now);
    }

    #[test]
    fn what_happened_is_sent_once_and_again_when_it_is_repeated() {
        use crate::agent::history::{Entry, Kind};
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let happened = |second, again: Option<i64>| {
            let entry = Entry { last: again.map(at), ..Entry::new(Kind::Change, at(second), "gone", "") };
            Happened { identity: "deacon".into(), text: String::new(), entry }
        };
        let mut histories = Histories::default();
        let stored_late = happened(8, None);
        for (name, stored, now, expected) in [
            ("the first", vec![happened(10, None)], 10, 1),
            ("not again", vec![happened(10, None)], 11, 0),
            ("repeated", vec![happened(10, Some(12))], 12, 1),
            ("stored late", vec![stored_late.clone(), happened(10, Some(12))], 13, 1),
            ("nor that again", vec![stored_late, happened(10, Some(12))], 70, 0),
        ] {
            assert_eq!(histories.new_of(stored, at(now)).len(), expected, "{name}");
        }
        histories.new_of(vec![], at(200));
        assert!(histories.sent.is_empty(), "what is not asked for again is forgotten");
    }
}
