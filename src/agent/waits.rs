//! Waits: an agent that ended for a reason of its own (a usage limit, a question) is tried again later, also by the
//! next supervisor.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One agent that is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Line", into = "Line")]
pub struct Wait {
    /// When it is tried again.
    pub until: Timestamp,
    /// Why it ended.
    pub own: Own,
}

/// An agent's own reason to end: no crash, and no command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Own {
    /// It reached a usage limit; the line that says so.
    UsageLimit(String),
    /// It waited at a question with this title: the answer, or the lack of one, ended it.
    Question(String),
    /// It ended by itself with exit status 0, as it does to be respawned, and nothing respawned it.
    CleanExit,
    /// A text for people, which is all that version 0.1 stored.
    Unspecified(String),
}

impl Own {
    /// `usage_limit`, `question`, `clean_exit` or `own_end`.
    pub fn code(&self) -> &'static str {
        match self {
            Own::UsageLimit(_) => "usage_limit",
            Own::Question(_) => "question",
            Own::CleanExit => "clean_exit",
            Own::Unspecified(_) => "own_end",
        }
    }
}

/// A wait in the file. `why` is for people, and is all that version 0.1 wrote.
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
            (
                r#"{"until":"1970-01-01T00:00:00Z","why":"exited by itself","reason":"clean_exit"}"#,
                Own::CleanExit,
            ),
        ] {
            let read: Wait = serde_json::from_str(written).unwrap();
            assert_eq!(read, Wait { until, own }, "{written}");
            let again: Wait = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
            assert_eq!(again, read, "{written}");
        }
    }
}
