//! Events: one line of the raw event log `.events.jsonl`.
//!
//! The format of Gas Town 0.2.6 to 0.3 (`internal/events/events.go`). This module formats the line;
//! [`Files::append_line`](super::files::Files::append_line) appends it under the log's lock.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The kind of the event that an agent was restarted.
pub const AGENT_RESTARTED: &str = "agent_restarted";

/// The kinds of events about accounts.
const OF_ACCOUNTS: [&str; 4] = ["usage_limit_reached", "usage_limit_over", "login_lost", "login_restored"];

/// One event.
#[cfg_attr(feature = "test-support", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Its time; written in UTC with whole seconds.
    #[serde(serialize_with = "whole_seconds")]
    #[cfg_attr(feature = "test-support", schemars(with = "Timestamp"))]
    pub ts: Timestamp,
    source: &'static str,
    /// The kind of event (`session_death`).
    #[serde(rename = "type")]
    pub kind: String,
    /// The agent or program that did it.
    pub actor: String,
    /// The details.
    pub payload: Map<String, Value>,
    visibility: &'static str,
}

impl Event {
    /// An event of ours: actor `daemon`, visibility `feed`. `payload` must be a JSON object; anything else becomes an
    /// empty one.
    pub fn ours(ts: Timestamp, kind: impl Into<String>, payload: Value) -> Self {
        let payload = match payload {
            Value::Object(payload) => payload,
            _ => Map::new(),
        };
        Event { ts, source: "gt", kind: kind.into(), actor: "daemon".to_owned(), payload, visibility: "feed" }
    }

    /// Whether no agent has to know of it: one that was restarted runs, and what holds an account is for people.
    pub fn is_routine(&self) -> bool {
        self.kind == AGENT_RESTARTED || OF_ACCOUNTS.contains(&self.kind.as_str())
    }

    /// The line, without its newline.
    pub fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

fn whole_seconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_line_has_gts_shape() {
        let ts = "2026-11-22T12:45:16.987-08:00".parse().unwrap();
        let payload = json!({"session": "gt-r-Toast", "reason": "crashed (exit 137)\nnow", "agent": "r/polecats/Toast"});
        assert_eq!(
            Event::ours(ts, "session_death", payload).line().unwrap(),
            concat!(
                r#"{"ts":"2026-11-22T20:45:16Z","source":"gt","type":"session_death","actor":"daemon","#,
                r#""payload":{"session":"gt-r-Toast","reason":"crashed (exit 137)\nnow","agent":"r/polecats/Toast"},"#,
                r#""visibility":"feed"}"#
            )
        );
        assert!(Event::ours(ts, AGENT_RESTARTED, json!({})).is_routine());
        assert!(!Event::ours(ts, "session_death", json!({})).is_routine());
        assert!(Event::ours(ts, "x", json!(7)).line().unwrap().contains(r#""payload":{}"#));
    }
}
