//! One line of `events`: an entry of a history, or an event of the feed. Pure.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    agent::{
        history::{Entry, rendering},
        phase::Phase,
    },
    control::histories::Happened,
    local_time::LocalTime,
    town::events::AGENT_RESTARTED,
};

/// Where a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The history of an agent.
    History,
    /// Gas Town's feed.
    Feed,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When it happened; the last time, if more than once.
    pub at: Timestamp,
    /// Where it is from.
    pub from: From,
    /// The agent that it happened to, or that did it.
    pub agent: Option<String>,
    /// The reason code, or the type of the event.
    pub code: String,
    /// The same for people. Times in it are in UTC.
    pub text: String,
    /// The agent's state from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Phase>,
    /// When that ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The entry of a history.
    #[serde(skip)]
    entry: Option<Entry>,
    /// The others that the event names.
    #[serde(skip)]
    others: Vec<String>,
}

/// The types of our own events that the histories have, too.
const IN_HISTORIES: [&str; 3] = ["session_death", "crash_loop", AGENT_RESTARTED];

#[derive(Deserialize)]
struct FeedLine {
    ts: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    payload: Map<String, Value>,
}

/// A line of the feed; `None` for one that cannot be read, and, where the histories are known, for what they have.
pub fn of_feed(line: &[u8], histories_are_known: bool) -> Option<Line> {
    let FeedLine { ts, kind, actor, summary, payload } = serde_json::from_slice(line).ok()?;
    if histories_are_known && actor == "daemon" && IN_HISTORIES.contains(&kind.as_str()) {
        return None;
    }
    let named = ["agent", "target", "to", "worker", "session"];
    let others = named.iter().filter_map(|key| payload.get(*key)?.as_str().map(str::to_owned)).collect();
    let agent = Some(actor.trim_end_matches('/').to_owned()).filter(|actor| !actor.is_empty());
    let (state, until, entry) = (None, None, None);
    Some(Line { at: ts, from: From::Feed, agent, code: kind, text: summary, state, until, entry, others })
}

/// An entry of a history.
pub fn of_history(happened: &Happened) -> Line {
    let Happened { identity, entry, .. } = happened;
    let text = rendering::words(entry, entry.at, &TimeZone::UTC);
    Line {
        at: entry.latest(),
        from: From::History,
        agent: Some(identity.clone()),
        code: entry.reason.clone(),
        text,
        state: entry.state,
        until: entry.until,
        entry: Some(entry.clone()),
        others: Vec::new(),
    }
}

impl Line {
    /// The line for people: `10:02:16 gastown/witness: session is gone → confirming`.
    pub fn text(&self, local: &LocalTime) -> String {
        let time = local.time(self.at);
        match (&self.agent, &self.entry) {
            (Some(agent), Some(entry)) => {
                format!("{time} {agent}: {}", rendering::words(entry, local.now(), local.zone()))
            }
            _ => format!("{time} {}", local.text(&self.text)),
        }
    }

    /// Whether it concerns this agent: its identity, or its mail address.
    pub fn is_about(&self, identity: &str) -> bool {
        let address = identity.replace("/polecats/", "/").replace("/crew/", "/");
        let is = |text: &str| [identity, address.as_str()].contains(&text.trim_end_matches('/'));
        self.agent.iter().chain(&self.others).any(|text| is(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::history::Kind;

    fn local() -> LocalTime {
        LocalTime::new("2026-11-25T12:00:00Z".parse().unwrap(), &TimeZone::fixed(jiff::tz::offset(2)))
    }

    #[test]
    fn lines_of_the_feed() {
        let line = |kind: &str, actor: &str, payload: &str| {
            format!(
                r#"{{"ts":"2026-11-25T10:00:00Z","source":"gt","type":"{kind}","actor":"{actor}","summary":"said","payload":{payload}}}"#
            )
        };
        let mail = line("mail", "mayor/", r#"{"to":"r/Toast","subject":"x"}"#);
        let read = of_feed(mail.as_bytes(), true).unwrap();
        assert_eq!(read.text(&local()), "12:00:00 said");
        for (identity, expected) in
            [("mayor", true), ("r/polecats/Toast", true), ("r/crew/Toast", true), ("r/witness", false)]
        {
            assert_eq!(read.is_about(identity), expected, "{identity}");
        }
        let death = line("session_death", "daemon", r#"{"agent":"r/witness"}"#);
        assert_eq!(of_feed(death.as_bytes(), true), None, "its history has it");
        assert!(of_feed(death.as_bytes(), false).unwrap().is_about("r/witness"), "no history is known");
        let theirs = line("session_death", "r/witness", "{}");
        assert!(of_feed(theirs.as_bytes(), true).is_some(), "one of Gas Town's own");
        for line in ["", "{", "[]", "\u{1b}", r#"{"ts":"yesterday","type":"x"}"#] {
            assert_eq!(of_feed(line.as_bytes(), true), None, "{line}");
        }
    }

    #[test]
    fn lines_of_histories() {
        let at = "2026-11-25T10:00:00Z".parse().unwrap();
        let until = "2026-11-25T10:00:30Z".parse().unwrap();
        let entry = Entry::new(Kind::Change, at, "died: crashed", "restart 2 waits").because("crashed");
        let entry = entry.leading_to(Phase::Waiting, Some(until));
        let line = of_history(&Happened { identity: "r/witness".into(), text: String::new(), entry });
        let expected = "12:00:00 r/witness: died: crashed → waiting: restart 2 waits, next try 12:00:30";
        assert_eq!(line.text(&local()), expected);
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            concat!(
                r#"{"at":"2026-11-25T10:00:00Z","from":"history","agent":"r/witness","code":"crashed","#,
                r#""text":"died: crashed → waiting: restart 2 waits, next try 10:00:30","state":"waiting","#,
                r#""until":"2026-11-25T10:00:30Z"}"#
            )
        );
    }
}
