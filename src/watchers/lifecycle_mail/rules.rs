//! What a lifecycle message asks for. Pure: it determines neither the sender nor the action.
//!
//! Agents write these to the deacon (`gt mail send deacon/ -s "LIFECYCLE: …"`); subjects, bodies and ages are read as
//! Gas Town 0.2.6 to 0.3 does (`internal/daemon/lifecycle.go`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::{agent::requests::Action, ledger::inbox::Message};

#[cfg(test)]
mod tests;

/// What a message means to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not a lifecycle message, or already read: left alone.
    Ignore,
    /// A lifecycle message that is not understood, and why; reported once and left in the inbox.
    NotUnderstood(String),
    /// A request that is too old to be carried out.
    TooOld,
    /// Its sender asks for this.
    Request(Action),
}

/// The prefix of the subject of a lifecycle message, in any case.
const SUBJECT: &str = "lifecycle:";

/// Judges a message, given the wall clock and how old a request may be.
///
/// A request of exactly the maximum age is still carried out, and so is one from the future, or one without a
/// readable time: its age is not known.
pub fn judge(message: &Message, now: Timestamp, max_age: Duration) -> Verdict {
    let max_age = SignedDuration::try_from(max_age).unwrap_or(SignedDuration::MAX);
    if message.read || !is_lifecycle(&message.subject) {
        return Verdict::Ignore;
    }
    match asked(&message.body) {
        Err(why) => Verdict::NotUnderstood(why),
        Ok(_) if message.sent.is_some_and(|sent| now.duration_since(sent) > max_age) => Verdict::TooOld,
        Ok(action) => Verdict::Request(action),
    }
}

fn is_lifecycle(subject: &str) -> bool {
    subject.get(..SUBJECT.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(SUBJECT))
}

/// The action in a body, or why there is none: a JSON object with an `action`, or a single word.
fn asked(body: &str) -> Result<Action, String> {
    let body = body.trim();
    let word = match serde_json::from_str(body) {
        Ok(Value::Object(object)) => match action_in(&object) {
            Some(Value::String(word)) => word.to_lowercase(),
            Some(other) => {
                return Err(format!("its \"action\" is {}, not a string", cut(&other.to_string())));
            }
            None => return Err("its body is an object without \"action\"".to_owned()),
        },
        Ok(_) => return Err(format!("its body is {}, not an object with \"action\"", cut(body))),
        Err(_) => {
            let text = body.to_lowercase();
            return word_of(text.strip_prefix("action: ").unwrap_or(&text)).ok_or_else(|| {
                format!("its body {:?} is neither an object with \"action\" nor one of {WORDS}", cut(body))
            });
        }
    };
    word_of(&word).ok_or_else(|| format!("its action {:?} is none of {WORDS}", cut(&word)))
}

/// The value of `action` with any case of the key, because `gt` is written in Go, whose decoder ignores case.
fn action_in(object: &Map<String, Value>) -> Option<&Value> {
    let alike = || object.iter().find(|(key, _)| key.eq_ignore_ascii_case("action"));
    object.get("action").or_else(|| alike().map(|(_, value)| value))
}

const WORDS: &str = "cycle, restart, shutdown, stop";

fn word_of(word: &str) -> Option<Action> {
    match word {
        "cycle" | "restart" => Some(Action::Restart),
        "shutdown" | "stop" => Some(Action::Stop),
        _ => None,
    }
}

/// Cuts a text to the length for a log line.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
