//! The records of Claude Code 1.0 to 2.1: `<configuration>/projects/<directory>/<session>.jsonl`.
//!
//! A message has `stop_reason` once it is complete; versions that write it down before leave `null`, which does not say whether the
//! turn is over. What the program reports in place of an answer has `isApiErrorMessage`, which no agent can write.

use serde_json::Value;

use super::{Step, first_line};
use crate::{
    agent::activity::Activity,
    town::{login, usage_limit::UsageLimits},
};

/// Records that say nothing about the turn.
const SKIPPED: [&str; 15] = [
    "agent-name",
    "agent-setting",
    "ai-title",
    "attachment",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "pr-link",
    "progress",
    "queue-operation",
    "summary",
    "tag",
    "worktree-state",
];

/// The errors that mean that a limit was reached, and which sentence says whether it is the plan's.
const LIMITS: [&str; 2] = ["rate_limit", "billing_error"];
/// The error that means that the login does not hold.
const LOGIN: &str = "authentication_failed";

/// What one record says.
pub fn step(record: &Value, limits: &UsageLimits) -> Step {
    let Some(kind) = record["type"].as_str() else { return Step::Unknown };
    // A subagent's, or the program's notes to itself.
    let is_aside = |key: &str| record[key].as_bool() == Some(true);
    if ["isSidechain", "isMeta", "isCompactSummary"].into_iter().any(is_aside) {
        return Step::Skip;
    }
    match kind {
        "assistant" if is_aside("isApiErrorMessage") => failure(record, limits),
        "assistant" => answer(&record["message"]),
        "user" => given(&record["message"]["content"]),
        "system" => system(record),
        _ if SKIPPED.contains(&kind) => Step::Skip,
        _ => Step::Unknown,
    }
}

/// What the program says in place of an answer.
fn failure(record: &Value, limits: &UsageLimits) -> Step {
    let text = text(&record["message"]["content"]);
    let error = record["error"].as_str();
    if let Some(sentence) = limits.said(&text) {
        return Step::Says(Activity::Limited(sentence));
    }
    match login::said(&text) {
        Some(sentence) => Step::Says(Activity::LoggedOut(sentence)),
        None if error == Some(LOGIN) => Step::Says(Activity::LoggedOut(first_line(&text))),
        // Of an unknown wording it is not known whether it is the plan's limit or a short one.
        None if error.is_some_and(|error| LIMITS.contains(&error)) => Step::Unknown,
        None => Step::Says(Activity::Idle),
    }
}

fn answer(message: &Value) -> Step {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tool = blocks.iter().rev().find(|block| block["type"] == "tool_use");
    let asked = tool.filter(|tool| tool["name"] == "AskUserQuestion");
    if let Some(question) = asked.and_then(|tool| tool["input"]["questions"][0]["question"].as_str()) {
        return Step::Says(Activity::WaitingAtQuestion(first_line(question)));
    }
    match message["stop_reason"].as_str() {
        Some("end_turn" | "stop_sequence" | "max_tokens" | "refusal") => Step::Says(Activity::Idle),
        Some("tool_use" | "pause_turn") => Step::Says(Activity::Working),
        Some(_) => Step::Unknown,
        None if tool.is_some() => Step::Says(Activity::Working),
        None if blocks.iter().any(|block| block["type"] == "thinking") => Step::Says(Activity::Working),
        None => Step::Unknown,
    }
}

/// What was given to the agent: a prompt, a tool's result, or the output of a command of the program itself.
fn given(content: &Value) -> Step {
    let text = text(content);
    let text = text.trim_start();
    match text {
        _ if text.starts_with("[Request interrupted by user") => Step::Says(Activity::Idle),
        _ if text.starts_with("<local-command-stdout>Login successful") => Step::Says(Activity::Idle),
        _ if ["<command-", "<local-command-", "<bash-"].iter().any(|tag| text.starts_with(tag)) => Step::Skip,
        _ if content.is_string() || content.is_array() => Step::Says(Activity::Working),
        _ => Step::Unknown,
    }
}

fn system(record: &Value) -> Step {
    match record["subtype"].as_str() {
        Some("turn_duration") => Step::Says(Activity::Idle),
        Some("local_command") => given(&record["content"]).without_work(),
        // Retries, hooks, compaction: the turn goes on, or its end is written before.
        _ => Step::Skip,
    }
}

impl Step {
    fn without_work(self) -> Step {
        if self == Step::Says(Activity::Working) { Step::Skip } else { self }
    }
}

/// The text of a message, without what tools said.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
