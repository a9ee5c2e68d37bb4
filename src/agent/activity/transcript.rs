//! The transcript as a source: what a program's own record of its session says at its end. Pure.
//!
//! Claude Code, Codex and Gemini CLI write down each message of a session while it runs. Only what they write about themselves
//! counts; what an agent, a tool or a person says in a message does not. A record or format that is not known here says nothing:
//! then the whole transcript is silent, as what was written before may be over. Nothing here may read a file.

use jiff::Timestamp;
use serde_json::Value;

use super::Activity;
use crate::{agent::program::Provider, quotation::quoted, town::usage_limit::UsageLimits, transcripts::Tail};

mod claude;
mod codex;
mod gemini;
pub mod location;

/// How much of the end of a transcript is read, at first and at most, in bytes.
pub const TAILS: [usize; 2] = [16 * 1024, 256 * 1024];

/// What the end of a transcript says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The agent does this, by a record of this time.
    Says(Activity, Timestamp),
    /// Its last records are of a kind that says nothing, or is not known.
    Silent,
    /// No record in this part says anything; one before it may.
    TooShort,
}

/// What a transcript of this program says with this end.
pub fn judge(provider: Provider, tail: &Tail, limits: &UsageLimits) -> Verdict {
    match provider {
        Provider::Claude => backwards(tail, |record| claude::step(record, limits)),
        Provider::Codex => codex::judge(tail, limits),
        Provider::Gemini => gemini::judge(tail, limits),
        _ => Verdict::Silent,
    }
}

/// What one record says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// The agent does this.
    Says(Activity),
    /// Nothing; the one before it may.
    Skip,
    /// Nothing that is understood.
    Unknown,
}

/// Reads records from the last to the first, one JSON object in each line, until one says something.
fn backwards(tail: &Tail, mut step: impl FnMut(&Value) -> Step) -> Verdict {
    for record in records(tail) {
        let Some(record) = record else { return Verdict::Silent };
        match step(&record) {
            Step::Skip => {}
            Step::Unknown => return Verdict::Silent,
            Step::Says(activity) => {
                return time(&record).map_or(Verdict::Silent, |at| Verdict::Says(activity, at));
            }
        }
    }
    if tail.is_whole { Verdict::Silent } else { Verdict::TooShort }
}

/// The records from the last to the first; `None` for a line that is no JSON. The last line may be in the middle of being
/// written, and the first one cut.
fn records(tail: &Tail) -> impl Iterator<Item = Option<Value>> + '_ {
    let first = tail.bytes.iter().position(|byte| *byte == b'\n').map_or(tail.bytes.len(), |at| at + 1);
    let begin = if tail.is_whole { 0 } else { first };
    let mut lines = tail.bytes[begin..].rsplit(|byte| *byte == b'\n');
    let unfinished = lines.next().and_then(parsed);
    let whole = lines.filter(|line| !line.trim_ascii().is_empty());
    unfinished.map(Some).into_iter().chain(whole.map(parsed))
}

/// Bytes that are no UTF-8 are somewhere in a text, and texts are for people.
fn parsed(line: &[u8]) -> Option<Value> {
    serde_json::from_str(&String::from_utf8_lossy(line)).ok()
}

fn time(record: &Value) -> Option<Timestamp> {
    record["timestamp"].as_str()?.parse().ok()
}

/// The first line of a message, as it may be shown and kept.
fn first_line(text: &str) -> String {
    quoted(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default())
}

#[cfg(test)]
#[path = "transcript/tests.rs"]
mod tests;
