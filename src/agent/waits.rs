//! Waits: agents that ended for a reason of their own — a usage limit, a question — and are tried again later; on disk, so
//! that a restart of the supervisor does not try them sooner.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use crate::{kept::Kept, ports::Ports, town::reading::FileProblem};

/// How long after it was over a wait is still remembered: that of an agent that is no more must go some day.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The register, with its file `waits.json`.
#[derive(Debug, Clone)]
pub struct Waits(Kept<Waiting>);

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Waiting {
    agents: BTreeMap<Identity, Wait>,
}

/// One agent that is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Wait {
    /// When.
    pub until: Timestamp,
    /// Why it ended.
    pub own: Own,
}

/// An agent's own reason to end: no crash, and nobody's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Own {
    /// It reached a usage limit; the line that says so.
    UsageLimit(String),
    /// It waited at a question with this title: whoever answered it, or did not, ended it.
    Question(String),
    /// As an earlier version noted it, for people.
    Unspecified(String),
}

impl Own {
    /// `usage_limit`, `question` or `own_end`.
    pub fn code(&self) -> &'static str {
        match self {
            Own::UsageLimit(_) => "usage_limit",
            Own::Question(_) => "question",
            Own::Unspecified(_) => "own_end",
        }
    }
}

/// A wait in the file. `why` is for people, and all that version 0.1 wrote.
#[derive(Serialize, Deserialize)]
struct Line {
    until: Timestamp,
    why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Own>,
}

impl From<Line> for Wait {
    fn from(line: Line) -> Self {
        Wait { until: line.until, own: line.reason.unwrap_or(Own::Unspecified(line.why)) }
    }
}

impl From<Wait> for Line {
    fn from(wait: Wait) -> Self {
        Line { until: wait.until, why: wait.own.to_string(), reason: Some(wait.own) }
    }
}

impl Waits {
    /// None, to be kept in this directory.
    pub fn new(directory: PathBuf) -> Self {
        Waits(Kept::new(directory.join("waits.json")))
    }

    /// Takes over what the last supervisor left.
    pub async fn load(&self, ports: &Ports) {
        self.0.load(ports).await;
    }

    /// As [`Kept::peek`]: for those who only look.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.0.peek(ports).await
    }

    /// What this agent waits for.
    pub fn of(&self, identity: &Identity) -> Option<Wait> {
        self.0.value().agents.get(identity).cloned()
    }

    /// An agent waits, or does not, from now on; [`save`](Self::save) makes it last. Whether that is news.
    pub fn set(&self, identity: &Identity, wait: Option<Wait>, now: Timestamp) -> bool {
        let mut waiting = self.0.value();
        let old = |wait: &Wait| now.duration_since(wait.until) > FORGOTTEN_AFTER;
        waiting.agents.retain(|_, wait| !old(wait));
        match wait {
            Some(wait) => waiting.agents.insert(identity.clone(), wait.clone()) != Some(wait),
            None => waiting.agents.remove(identity).is_some(),
        }
    }

    /// Writes the file.
    pub async fn save(&self, ports: &Ports) -> Result<(), String> {
        self.0.save(ports).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_0_1_wrote_is_read() {
        let until = Timestamp::UNIX_EPOCH;
        for (written, own) in [
            (r#"{"until":"1970-01-01T00:00:00Z","why":"ended"}"#, Own::Unspecified("ended".to_owned())),
            (
                r#"{"until":"1970-01-01T00:00:00Z","why":"ended at a usage limit (5h)","reason":{"usage_limit":"5h"}}"#,
                Own::UsageLimit("5h".to_owned()),
            ),
        ] {
            let read: Wait = serde_json::from_str(written).unwrap();
            assert_eq!(read, Wait { until, own }, "{written}");
            let again: Wait = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
            assert_eq!(again, read, "{written}");
        }
    }

    #[test]
    fn news_and_what_is_old() {
        let at = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let waits = Waits::new(PathBuf::from("/nowhere"));
        let wait = |hours| Some(Wait { until: at(hours), own: Own::UsageLimit("limit".to_owned()) });
        assert!(waits.set(&Identity::Deacon, wait(1), at(0)));
        assert!(!waits.set(&Identity::Deacon, wait(1), at(0)), "known");
        assert!(waits.set(&Identity::Deacon, wait(2), at(0)), "another time");
        assert!(!waits.set(&Identity::Mayor, None, at(26)), "never waited");
        assert_eq!(waits.of(&Identity::Deacon), wait(2), "over for a day");
        assert!(waits.set(&Identity::Mayor, wait(30), at(27)));
        assert_eq!(waits.of(&Identity::Deacon), None, "over for more");
        assert!(waits.set(&Identity::Mayor, None, at(27)));
        assert_eq!(waits.of(&Identity::Mayor), None);
    }
}
