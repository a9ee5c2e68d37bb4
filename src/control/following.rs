//! Following: the client's side of the stream of changes: what each event says, and a report kept up to date by them.
//!
//! It must not ask for anything else, and shows nothing.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    changes::SIGN_OF_LIFE,
    client::{Client, ClientError},
    histories::Happened,
    http::{AskError, Http},
    report::{AgentReport, GateReport, HeartbeatReport, ProblemReport, StatusReport, SummaryReport},
};
/// A supervisor that sends nothing for this long does not answer.
const SILENT: Duration = Duration::from_secs(SIGN_OF_LIFE.as_secs() * 2 + 2);
/// The most bytes of one event.
const LARGEST: usize = 64 * 1024 * 1024;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Followed {
    /// All that is.
    Snapshot(Box<StatusReport>),
    /// What differs from the event before.
    Change(Box<Change>),
}

/// What differs from the event before; what does not is `None`, or empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Change {
    /// The agents that changed.
    pub agents: Vec<AgentReport>,
    /// The agents that are no longer supervised.
    pub gone: Vec<String>,
    /// What happened to agents, oldest first. An entry that was repeated comes again, with the time of its first occurrence.
    pub happened: Vec<Happened>,
    heartbeat: Option<HeartbeatReport>,
    actors: Option<Vec<super::report::ActorReport>>,
    problems: Option<BTreeMap<String, String>>,
    problem_list: Option<Vec<ProblemReport>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    deaths: Option<Value>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    feed: Option<Value>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    convoys: Option<Value>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    accounts: Option<Value>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    gates: Option<Option<Vec<GateReport>>>,
    binary_replaced: Option<bool>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    summary: Option<Option<SummaryReport>>,
}

/// A part that may be `null` in the report.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Change {
    /// Takes it over into the report that the event before led to. What happened is in no report.
    pub fn apply(self, report: &mut StatusReport) {
        fn put<T>(to: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *to = new;
            }
        }
        put(&mut report.heartbeat, self.heartbeat);
        put(&mut report.actors, self.actors);
        put(&mut report.problems, self.problems);
        put(&mut report.problem_list, self.problem_list);
        put(&mut report.deaths, self.deaths);
        put(&mut report.feed, self.feed);
        put(&mut report.convoys, self.convoys);
        put(&mut report.accounts, self.accounts);
        put(&mut report.gates, self.gates);
        put(&mut report.binary_replaced, self.binary_replaced);
        put(&mut report.summary, self.summary);
        if self.agents.is_empty() && self.gone.is_empty() {
            return;
        }
        let before = std::mem::take(&mut report.agents).into_iter();
        let mut agents: BTreeMap<String, AgentReport> =
            before.map(|agent| (agent.identity.clone(), agent)).collect();
        self.gone.iter().for_each(|gone| drop(agents.remove(gone)));
        agents.extend(self.agents.into_iter().map(|agent| (agent.identity.clone(), agent)));
        report.agents = agents.into_values().collect();
    }
}

impl Client {
    /// Passes on each event of the stream of changes, until the supervisor ends, or does not answer; returns in which way.
    pub(crate) async fn follow(&self, mut on: impl FnMut(Followed)) -> ClientError {
        let mut events = Events::default();
        let http = Http::new(self.paths.clone(), SILENT);
        let followed = http.follow("/v1/events", |bytes| events.add(bytes, &mut on)).await;
        let followed = followed.and_then(|(status, body)| match status.is_success() {
            true => Err(AskError::Garbled("the stream of changes ended".to_owned())),
            false => Ok((status, body)),
        });
        match self.understood::<Value>(followed).await {
            Ok(_) => ClientError::Unresponsive("the supervisor sent no stream of changes".to_owned()),
            Err(error) => error,
        }
    }
}

/// The bytes of a stream of server-sent events, of which the last event may not be complete yet.
#[derive(Debug, Default)]
struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// Passes on each event that is complete now.
    fn add(&mut self, bytes: &[u8], on: &mut impl FnMut(Followed)) -> Result<(), AskError> {
        // The end of an event may be in two pieces.
        let mut from = self.rest.len().saturating_sub(1);
        self.rest.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(at) = self.rest[from..].windows(2).position(|end| end == b"\n\n") {
            let end = from + at;
            if let Some(event) = event(&self.rest[begin..end])? {
                on(event);
            }
            (begin, from) = (end + 2, end + 2);
        }
        self.rest.drain(..begin);
        match self.rest.len() > LARGEST {
            true => Err(AskError::Garbled("an event is too long".to_owned())),
            false => Ok(()),
        }
    }
}

/// One event; `None` for a sign of life, and for kinds of a later version.
fn event(text: &[u8]) -> Result<Option<Followed>, AskError> {
    let garbled = |error: &dyn std::fmt::Display| AskError::Garbled(error.to_string());
    let text = std::str::from_utf8(text).map_err(|error| garbled(&error))?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let (Some(kind), Some(data)) = (field("event:"), field("data:")) else { return Ok(None) };
    let read = match kind {
        "snapshot" => serde_json::from_str(data).map(|report| Some(Followed::Snapshot(report))),
        "change" => serde_json::from_str(data).map(|change| Some(Followed::Change(change))),
        _ => Ok(None),
    };
    read.map_err(|error| garbled(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Result<Vec<Followed>, AskError> {
        let (mut events, mut seen) = (Events::default(), Vec::new());
        for piece in pieces {
            events.add(piece.as_bytes(), &mut |event| seen.push(event))?;
        }
        Ok(seen)
    }

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let stream = concat!(
            "event: snapshot\ndata: {\"running\": true, \"pid\": 7}\n\n",
            ":\n\n",
            "event: something new\ndata: {}\n\n",
            "event: change\ndata: {\"gone\": [\"dé\"], \"gates\": null}\n\nevent: cha"
        );
        let whole = all(&[stream]).unwrap();
        let [Followed::Snapshot(report), Followed::Change(change)] = whole.as_slice() else {
            panic!("{whole:?}")
        };
        assert_eq!((report.running, report.pid), (true, Some(7)));
        assert_eq!((&*change.gone, &change.gates), (&["dé".to_owned()][..], &Some(None)));
        for cut in (0..stream.len()).filter(|cut| stream.is_char_boundary(*cut)) {
            let (first, second) = stream.split_at(cut);
            assert_eq!(all(&[first, second]).unwrap(), whole, "{cut}");
        }
        assert!(all(&["event: change\ndata: {\n\n"]).is_err(), "what cannot be read is not ignored");
    }

    #[test]
    fn a_change_is_taken_over() {
        let agent = |identity: &str, state: &str| AgentReport {
            identity: identity.into(),
            state: state.into(),
            ..AgentReport::default()
        };
        let mut report = StatusReport {
            agents: vec![agent("a", "alive"), agent("c", "alive"), agent("d", "alive")],
            gates: Some(Vec::new()),
            deaths: serde_json::json!({"recent": 1}),
            ..StatusReport::default()
        };
        let change = r#"{"agents": [{"identity": "c", "state": "held"}, {"identity": "b", "state": "alive"}], "gone": ["a"],
            "problems": {"x": "broken"}}"#;
        serde_json::from_str::<Change>(change).unwrap().apply(&mut report);
        assert_eq!(report.agents, [agent("b", "alive"), agent("c", "held"), agent("d", "alive")]);
        assert_eq!((report.problems["x"].as_str(), report.gates.as_ref()), ("broken", Some(&Vec::new())));
        serde_json::from_str::<Change>(r#"{"gates": null, "deaths": null}"#).unwrap().apply(&mut report);
        assert_eq!((report.gates, report.deaths, report.agents.len()), (None, Value::Null, 3));
    }
}
