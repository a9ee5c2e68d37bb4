//! The records of Gemini CLI 0.4 to 0.26: `~/.gemini/tmp/<SHA-256 of the directory>/chats/session-….json`.
//!
//! A file is one JSON object, printed with an indent of two; its messages are the only objects at a depth of two. So a message is
//! found from the end without parsing what is before: no line within a message begins with exactly that indent and a brace.

use serde_json::{Value, from_str};

use super::{Tail, UsageLimits, Verdict, time};
use crate::{agent::activity::Activity, town::login};

/// What a session with this end says.
pub fn judge(tail: &Tail, limits: &UsageLimits) -> Verdict {
    let text = String::from_utf8_lossy(&tail.bytes);
    // While it is written anew, it has no end.
    if text.trim_end().lines().next_back() != Some("}") {
        return Verdict::Silent;
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut end = lines.len();
    while let Some(close) = lines[..end].iter().rposition(|line| matches!(*line, "    }" | "    },")) {
        let Some(open) = lines[..close].iter().rposition(|line| *line == "    {") else { break };
        let message: String = lines[open..=close].join("\n");
        let Ok(message) = from_str::<Value>(message.trim_end_matches(',')) else { return Verdict::Silent };
        match activity(&message, limits) {
            Ok(Some(activity)) => {
                return time(&message).map_or(Verdict::Silent, |at| Verdict::Says(activity, at));
            }
            Ok(None) => end = open,
            Err(Unknown) => return Verdict::Silent,
        }
    }
    if tail.is_whole { Verdict::Silent } else { Verdict::TooShort }
}

struct Unknown;

fn activity(message: &Value, limits: &UsageLimits) -> Result<Option<Activity>, Unknown> {
    let text = message["content"].as_str().unwrap_or_default();
    match message["type"].as_str() {
        Some("user") => Ok(Some(Activity::Working)),
        Some("gemini") => match message["toolCalls"].as_array().map(Vec::as_slice) {
            None | Some([]) => Ok(Some(Activity::Idle)),
            // The model is asked again with what its tools answered, unless somebody stopped them.
            Some(calls) if calls.iter().any(|call| call["status"] == "cancelled") => Ok(Some(Activity::Idle)),
            Some(_) => Ok(Some(Activity::Working)),
        },
        Some("error") => Ok(Some(match (limits.said(text), login::said(text)) {
            (Some(sentence), _) => Activity::Limited(sentence),
            (None, Some(sentence)) => Activity::LoggedOut(sentence),
            (None, None) => Activity::Idle,
        })),
        Some("info" | "warning") => Ok(None),
        _ => Err(Unknown),
    }
}
