//! The records of Codex 0.46 to 0.155: `<configuration>/sessions/<year>/<month>/<day>/rollout-….jsonl`.
//!
//! Newer versions write down the begin and the end of each turn; where they do not, the last message of the agent does not say
//! whether the turn is over.

use serde_json::Value;

use super::{Step, Tail, UsageLimits, Verdict, backwards, first_line, parsed};
use crate::{agent::activity::Activity, town::login, transcripts::Head};

/// Events that say nothing about the turn.
const SKIPPED: [&str; 9] = [
    "background_event",
    "context_compacted",
    "deprecation_notice",
    "entered_review_mode",
    "exited_review_mode",
    "thread_name_updated",
    "thread_rolled_back",
    "token_count",
    "warning",
];

/// What a transcript with this end says. What ended a turn is written right before its end.
pub fn judge(tail: &Tail, limits: &UsageLimits) -> Verdict {
    let mut over = None;
    let verdict = backwards(tail, |record| match step(record, limits) {
        Step::Says(Activity::Idle) if over.is_none() => match super::time(record) {
            Some(at) => {
                over = Some(at);
                Step::Skip
            }
            None => Step::Unknown,
        },
        other => other,
    });
    match (verdict, over) {
        (Verdict::Says(activity @ (Activity::Limited(_) | Activity::LoggedOut(_)), at), Some(_)) => {
            Verdict::Says(activity, at)
        }
        (_, Some(at)) => Verdict::Says(Activity::Idle, at),
        (verdict, None) => verdict,
    }
}

fn step(record: &Value, limits: &UsageLimits) -> Step {
    let payload = &record["payload"];
    match (record["type"].as_str(), payload["type"].as_str()) {
        (Some("event_msg"), Some(event)) => self::event(event, payload, limits),
        (Some("response_item"), Some(item)) => self::item(item, payload),
        (Some("turn_context" | "compacted" | "session_meta"), _) => Step::Skip,
        _ => Step::Unknown,
    }
}

fn event(event: &str, payload: &Value, limits: &UsageLimits) -> Step {
    match event {
        "task_started" | "turn_started" | "user_message" | "agent_reasoning" => Step::Says(Activity::Working),
        "task_complete" | "turn_complete" | "turn_aborted" => Step::Says(Activity::Idle),
        "error" => failure(payload, limits),
        _ if SKIPPED.contains(&event) => Step::Skip,
        _ => Step::Unknown,
    }
}

fn failure(payload: &Value, limits: &UsageLimits) -> Step {
    let text = payload["message"].as_str().unwrap_or_default();
    let info = payload["codex_error_info"].as_str();
    if let Some(sentence) = limits.said(text) {
        return Step::Says(Activity::Limited(sentence));
    }
    match (login::said(text), info) {
        (Some(sentence), _) => Step::Says(Activity::LoggedOut(sentence)),
        (None, Some("usage_limit_exceeded")) => Step::Says(Activity::Limited(first_line(text))),
        (None, Some("unauthorized")) => Step::Says(Activity::LoggedOut(first_line(text))),
        (None, _) => Step::Says(Activity::Idle),
    }
}

fn item(item: &str, payload: &Value) -> Step {
    match item {
        "function_call"
        | "function_call_output"
        | "custom_tool_call"
        | "custom_tool_call_output"
        | "local_shell_call"
        | "web_search_call"
        | "reasoning" => Step::Says(Activity::Working),
        // What the program adds to the conversation, beside the events that say the same.
        "message" if payload["role"] != "assistant" => Step::Skip,
        "ghost_snapshot" | "compaction" => Step::Skip,
        _ => Step::Unknown,
    }
}

/// Whose session a file is, by its first line.
pub fn head(bytes: &[u8]) -> Head {
    let Some(record) = bytes.split(|byte| *byte == b'\n').next().and_then(parsed) else {
        return Head::Unknown;
    };
    let payload = &record["payload"];
    match (record["type"].as_str(), payload["cwd"].as_str()) {
        (Some("session_meta"), _) if payload["source"].get("subagent").is_some() => Head::NoSession,
        (Some("session_meta"), Some(directory)) => Head::In(directory.into()),
        _ => Head::Unknown,
    }
}
