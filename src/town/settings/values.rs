//! What a settings value may be: conversions from JSON, each refusing with a sentence that says what is expected.
//!
//! Pure; which key takes which conversion is [`read`](super::read)'s part.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{LogLevel, Naming};
use crate::{agent::usage_limit::UsageLimits, go_duration, town::reading::shorten};

/// The longest duration a setting can have: ten years, so that adding one to a time never leaves the calendar.
const LONGEST: Duration = Duration::from_secs(87_600 * 3600);

/// What a value turns into, or why it does not.
pub type Converted<T> = Result<T, String>;

fn expected<T>(what: &str, value: &Value) -> Converted<T> {
    Err(format!("expected {what}, found {}", shorten(&value.to_string())))
}

/// A duration written as a string, zero allowed.
pub fn pause(value: &Value) -> Converted<Duration> {
    let Value::String(text) = value else {
        return expected("a duration in quotes such as \"90s\"", value);
    };
    let duration = go_duration::parse(text).map_err(|error| format!("{:?}: {error}", shorten(text)))?;
    if duration > LONGEST {
        return Err(format!("{:?}: the longest duration is 87600h", shorten(text)));
    }
    Ok(duration)
}

/// A duration written as a string, more than zero.
pub fn interval(value: &Value) -> Converted<Duration> {
    more_than_zero(pause(value)?)
}

/// A duration as `gt` writes it, more than zero: integer nanoseconds, or a string.
pub fn gt_interval(value: &Value) -> Converted<Duration> {
    match value.as_u64() {
        Some(nanos) if Duration::from_nanos(nanos) > LONGEST => {
            Err("the longest duration is 87600h".to_owned())
        }
        Some(nanos) => more_than_zero(Duration::from_nanos(nanos)),
        None if value.is_number() => expected("a whole number of nanoseconds that is not negative", value),
        None => interval(value),
    }
}

fn more_than_zero(duration: Duration) -> Converted<Duration> {
    if duration.is_zero() { Err("it must be more than zero".to_owned()) } else { Ok(duration) }
}

/// `true` or `false`.
pub fn switch(value: &Value) -> Converted<bool> {
    value.as_bool().map_or_else(|| expected("true or false", value), Ok)
}

/// A whole number within these bounds, both included.
pub fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&Value) -> Converted<T> {
    move |value| match value.as_u64().filter(|number| (least..=most).contains(number)) {
        Some(number) => T::try_from(number).map_err(|_| "the number is too large".to_owned()),
        None => expected(&format!("a whole number from {least} to {most}"), value),
    }
}

/// The factor of a backoff: finite and at least 1.
pub fn factor(value: &Value) -> Converted<f64> {
    match value.as_f64().filter(|number| number.is_finite() && *number >= 1.0) {
        Some(number) => Ok(number),
        None => expected("a number of at least 1", value),
    }
}

/// A text that is not empty and has no control characters.
pub fn word(value: &Value) -> Converted<String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err("it must not be empty".to_owned()),
        Some(text) if text.contains(char::is_control) => {
            Err("it must not hold control characters".to_owned())
        }
        Some(text) => Ok(text.to_owned()),
        None => expected("a string", value),
    }
}

/// A [`word`], or `null` for none.
pub fn optional_word(value: &Value) -> Converted<Option<String>> {
    if value.is_null() { Ok(None) } else { word(value).map(Some) }
}

/// The name of a tmux socket (`-L`): a word without `/`, or `null` for none.
pub fn socket_name(value: &Value) -> Converted<Option<String>> {
    match optional_word(value)? {
        Some(name) if name.contains('/') => {
            Err("a socket name has no `/`; for a path use tmux.socket_path".to_owned())
        }
        Some(name) if name == "auto" => {
            Err("\"auto\" is no socket's name; leave the key out, or give the name itself".to_owned())
        }
        name => Ok(name),
    }
}

/// The absolute path of a tmux socket (`-S`), or `null` for none.
pub fn socket_path(value: &Value) -> Converted<Option<PathBuf>> {
    match optional_word(value)?.map(PathBuf::from) {
        Some(path) if !path.is_absolute() => Err("it must be an absolute path".to_owned()),
        path => Ok(path),
    }
}

/// A list of words, or `null` for none.
pub fn optional_words(value: &Value) -> Converted<Option<Vec<String>>> {
    match value {
        Value::Null => Ok(None),
        Value::Array(words) => words.iter().map(word).collect::<Result<_, _>>().map(Some),
        _ => expected("a list of strings, or null", value),
    }
}

/// Regular expressions that tell a usage limit, or `null` for the built-in list.
pub fn usage_limits(value: &Value) -> Converted<UsageLimits> {
    UsageLimits::new(optional_words(value)?.as_deref()).map_err(|error| error.to_string())
}

/// A naming scheme.
pub fn naming(value: &Value) -> Converted<Naming> {
    match value.as_str() {
        Some("rig") => Ok(Naming::Rig),
        Some("prefix") => Ok(Naming::Prefix),
        _ => expected("\"rig\" or \"prefix\"", value),
    }
}

/// A log level.
pub fn level(value: &Value) -> Converted<LogLevel> {
    match value.as_str() {
        Some("error") => Ok(LogLevel::Error),
        Some("warn") => Ok(LogLevel::Warn),
        Some("info") => Ok(LogLevel::Info),
        Some("debug") => Ok(LogLevel::Debug),
        Some("trace") => Err("nothing is logged at \"trace\"; the most is \"debug\"".to_owned()),
        _ => expected("\"error\", \"warn\", \"info\" or \"debug\"", value),
    }
}

/// `http.listen`: what is asked for is not done, so that it is refused.
pub fn listen(value: &Value) -> Converted<Option<String>> {
    match optional_word(value)? {
        None => Ok(None),
        Some(_) => Err("there is no listener on the network yet; leave the key out, and ask over \
                        daemon/supervisor.sock"
            .to_owned()),
    }
}
