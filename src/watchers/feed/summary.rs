//! The texts of the feed. They are Gas Town's own (0.2.6 to 0.3, `internal/feed/curator.go`); those for the
//! supervisor's own events, `crash_loop` and `agent_restarted`, are in its style.

use serde_json::{Map, Value};

use super::event::RawEvent;

/// The event in one line.
pub fn summary(event: &RawEvent) -> String {
    let (actor, said) = (&event.actor, Said(&event.payload));
    match event.kind.as_str() {
        "sling" => match (said.text("bead"), said.text("target")) {
            (Some(bead), Some(target)) => format!("{actor} assigned {bead} to {target}"),
            _ => format!("{actor} dispatched work"),
        },
        "done" => match said.text("bead") {
            Some(bead) => format!("{actor} completed work on {bead}"),
            None => format!("{actor} signaled done"),
        },
        "handoff" => format!("{actor} handed off to fresh session"),
        "mail" => match (said.text("to"), said.text("subject")) {
            (Some(to), Some(subject)) => format!("{actor} → {to}: {subject}"),
            _ => format!("{actor} sent mail"),
        },
        "patrol_started" => match said.text("rig") {
            Some(rig) => format!("{actor} patrol started for {rig}"),
            None => format!("{actor} started patrol"),
        },
        "patrol_complete" => match said.text("message") {
            Some(message) => message.to_owned(),
            None => format!("{actor} completed patrol"),
        },
        "merged" => said
            .text("worker")
            .map_or("Work merged".to_owned(), |worker| format!("Merged work from {worker}")),
        "merge_failed" => {
            said.text("reason").map_or("Merge failed".to_owned(), |reason| format!("Merge failed: {reason}"))
        }
        "session_death" => match (said.text("session"), said.text("reason")) {
            (Some(session), Some(reason)) => format!("Session {session} terminated: {reason}"),
            (Some(session), None) => format!("Session {session} terminated"),
            _ => "Session terminated".to_owned(),
        },
        "mass_death" => match (said.number("count"), said.text("possible_cause")) {
            (Some(count), Some(cause)) => format!("MASS DEATH: {count} sessions died - {cause}"),
            (Some(count), None) => format!("MASS DEATH: {count} sessions died simultaneously"),
            _ => "Multiple sessions died simultaneously".to_owned(),
        },
        "crash_loop" => match (said.text("agent"), said.number("restarts")) {
            (Some(agent), Some(restarts)) => format!("{agent} held after {restarts} restarts"),
            _ => format!("{actor}: crash_loop"),
        },
        "agent_restarted" => match (said.text("agent"), said.text("took")) {
            (Some(agent), Some(took)) => format!("{agent} restarted in {took}"),
            _ => format!("{actor}: agent_restarted"),
        },
        kind => format!("{actor}: {kind}"),
    }
}

/// The text for work that was dispatched to many agents in a short time.
pub fn dispatching(actor: &str, count: usize) -> String {
    format!("{actor} dispatching work to {count} agents")
}

struct Said<'a>(&'a Map<String, Value>);

impl<'a> Said<'a> {
    /// The text under a key, unless it is empty.
    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64().filter(|number| *number > 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_with_and_without_its_particulars() {
        for (kind, payload, expected) in [
            ("sling", json!({"bead": "gt-1", "target": "r/Toast"}), "a assigned gt-1 to r/Toast"),
            ("sling", json!({"bead": "gt-1"}), "a dispatched work"),
            ("sling", json!({"bead": "", "target": "r/Toast"}), "a dispatched work"),
            ("done", json!({"bead": "gt-1"}), "a completed work on gt-1"),
            ("done", json!({}), "a signaled done"),
            ("handoff", json!({}), "a handed off to fresh session"),
            ("mail", json!({"to": "deacon/", "subject": "hi"}), "a → deacon/: hi"),
            ("mail", json!({"to": "deacon/"}), "a sent mail"),
            ("patrol_started", json!({"rig": "r"}), "a patrol started for r"),
            ("patrol_started", json!({}), "a started patrol"),
            ("patrol_complete", json!({"message": "all well"}), "all well"),
            ("patrol_complete", json!({"message": 7}), "a completed patrol"),
            ("merged", json!({"worker": "r/Toast"}), "Merged work from r/Toast"),
            ("merged", json!({}), "Work merged"),
            ("merge_failed", json!({"reason": "conflict"}), "Merge failed: conflict"),
            ("merge_failed", json!({}), "Merge failed"),
            (
                "session_death",
                json!({"session": "s", "reason": "crashed (exit 137)"}),
                "Session s terminated: crashed (exit 137)",
            ),
            ("session_death", json!({"session": "s"}), "Session s terminated"),
            ("session_death", json!({}), "Session terminated"),
            (
                "mass_death",
                json!({"count": 3, "possible_cause": "tmux server died"}),
                "MASS DEATH: 3 sessions died - tmux server died",
            ),
            ("mass_death", json!({"count": 3}), "MASS DEATH: 3 sessions died simultaneously"),
            ("mass_death", json!({}), "Multiple sessions died simultaneously"),
            ("crash_loop", json!({"agent": "r/witness", "restarts": 5}), "r/witness held after 5 restarts"),
            ("crash_loop", json!({}), "a: crash_loop"),
            ("agent_restarted", json!({"agent": "r/witness", "took": "4.1s"}), "r/witness restarted in 4.1s"),
            ("agent_restarted", json!({}), "a: agent_restarted"),
            ("something_new", json!({"x": 1}), "a: something_new"),
        ] {
            let Value::Object(payload) = payload else { panic!("{kind}") };
            let shown = format!("{kind} {payload:?}");
            let at = "2026-11-22T20:45:16Z";
            let event = RawEvent {
                ts: at.into(),
                at: at.parse().unwrap(),
                source: "gt".into(),
                kind: kind.into(),
                actor: "a".into(),
                payload,
                visible: true,
            };
            assert_eq!(summary(&event), expected, "{shown}");
        }
        assert_eq!(dispatching("mayor", 4), "mayor dispatching work to 4 agents");
    }
}
