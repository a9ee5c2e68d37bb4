//! The types of settings values: conversions from JSON, each with an error that says what is expected.
//!
//! Pure. The table in [`settings`](super) assigns conversions to the keys of our own file, [`read`](super::read) to
//! those of the shared one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use hyper::http::uri::Authority;
use jiff::civil::Time;
use serde_json::Value;

use super::{
    LogLevel, Naming, Resume, SecretUrl, WebhookShape,
    amount::{Amount, MemoryMax},
};
use crate::{
    go_duration,
    town::{dialect::Dialect, dialogs::Dialog, identity::Role, reading::shorten, usage_limit::UsageLimits},
};

/// The longest duration of a setting: ten years, so that adding one to a time never overflows the calendar.
const LONGEST: Duration = Duration::from_secs(87_600 * 3600);

/// The converted value, or what is expected instead.
pub type Converted<T> = Result<T, String>;

fn expected(what: &str, value: &Value) -> String {
    format!("expected {what}, found {}", shorten(&value.to_string()))
}

/// A duration written as a string, zero allowed.
pub fn pause(value: &Value) -> Converted<Duration> {
    let text = value.as_str().ok_or_else(|| expected("a duration in quotes such as \"90s\"", value))?;
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

/// A duration in `gt`'s format, more than zero: integer nanoseconds, or a string.
pub fn gt_interval(value: &Value) -> Converted<Duration> {
    match value.as_u64() {
        Some(nanos) if Duration::from_nanos(nanos) > LONGEST => {
            Err("the longest duration is 87600h".to_owned())
        }
        Some(nanos) => more_than_zero(Duration::from_nanos(nanos)),
        None if value.is_number() => {
            Err(expected("a whole number of nanoseconds that is not negative", value))
        }
        None => interval(value),
    }
}

fn more_than_zero(duration: Duration) -> Converted<Duration> {
    if duration.is_zero() { Err("it must be more than zero".to_owned()) } else { Ok(duration) }
}

/// `true` or `false`.
pub fn switch(value: &Value) -> Converted<bool> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// `true`, `false`, or `null` for not given.
pub fn optional_switch(value: &Value) -> Converted<Option<bool>> {
    if value.is_null() { Ok(None) } else { switch(value).map(Some) }
}

/// A whole number within these bounds, both included.
pub fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&Value) -> Converted<T> {
    move |value| {
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| expected(&format!("a whole number from {least} to {most}"), value))
    }
}

/// A whole number of any sign, or `null` for none.
pub fn optional_integer(value: &Value) -> Converted<Option<i64>> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_i64().map(Some).ok_or_else(|| expected("a whole number", value))
}

/// A count of at least 1.
pub fn count(value: &Value) -> Converted<u32> {
    whole(1, 1_000_000)(value)
}

/// The factor of a backoff: finite and at least 1.
pub fn factor(value: &Value) -> Converted<f64> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number >= 1.0);
    number.ok_or_else(|| expected("a number of at least 1", value))
}

/// An amount of memory, or `null` for none.
pub fn optional_amount(value: &Value) -> Converted<Option<Amount>> {
    if value.is_null() { Ok(None) } else { amount(value).map(Some) }
}

/// An amount of memory.
pub fn amount(value: &Value) -> Converted<Amount> {
    let read = value.as_str().and_then(Amount::parse);
    let what = "an amount of memory such as \"2GiB\", \"512MiB\" or \"5%\", with its unit: B, KiB, MiB, GiB, TiB or %";
    read.ok_or_else(|| expected(what, value))
}

/// A share of more than 0 and at most 100 percent, or `null` for none.
pub fn optional_percent(value: &Value) -> Converted<Option<f64>> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_f64().filter(|number| *number > 0.0 && *number <= 100.0);
    number.map(Some).ok_or_else(|| expected("a number of percent above 0 and up to 100, or null", value))
}

/// The most memory of agents: an amount for all, an object of amounts by role, or `null` for none.
pub fn memory_max(value: &Value) -> Converted<MemoryMax> {
    let Value::Object(roles) = value else {
        return Ok(MemoryMax { all: optional_amount(value)?, by_role: BTreeMap::new() });
    };
    let mut max = MemoryMax::default();
    for (name, value) in roles {
        let here = |why: String| format!("{name}: {why}");
        if name == "all" {
            max.all = optional_amount(value).map_err(here)?;
            continue;
        }
        let role = Role::of_gas_town().find(|role| role.to_string() == *name).ok_or_else(|| {
            let names: Vec<String> = Role::of_gas_town().map(|role| role.to_string()).collect();
            format!("unknown key {:?}; the keys here are all, {}", shorten(name), names.join(", "))
        })?;
        max.by_role.insert(role, optional_amount(value).map_err(here)?);
    }
    Ok(max)
}

/// A text that is not empty and has no control characters.
pub fn text(value: &Value) -> Converted<String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err("it must not be empty".to_owned()),
        Some(text) if text.contains(char::is_control) => {
            Err("it must not hold control characters".to_owned())
        }
        Some(text) => Ok(text.to_owned()),
        None => Err(expected("a string", value)),
    }
}

/// A [`text`], or `null` for none.
pub fn optional_text(value: &Value) -> Converted<Option<String>> {
    if value.is_null() { Ok(None) } else { text(value).map(Some) }
}

/// The name of a tmux socket (`-L`): a text without `/`, or `null` for none.
pub fn socket_name(value: &Value) -> Converted<Option<String>> {
    match optional_text(value)? {
        Some(name) if name.contains('/') => {
            Err("a socket name has no `/`; for a path use tmux.socket_path".to_owned())
        }
        Some(name) if name == "auto" => {
            Err("\"auto\" is no socket's name; leave the key out, or give the name itself".to_owned())
        }
        name => Ok(name),
    }
}

/// An absolute path, or `null` for none.
pub fn absolute_path(value: &Value) -> Converted<Option<PathBuf>> {
    match optional_text(value)?.map(PathBuf::from) {
        Some(path) if !path.is_absolute() => Err("it must be an absolute path".to_owned()),
        path => Ok(path),
    }
}

/// A URL, or `null` for none. No error repeats it.
pub fn optional_url(value: &Value) -> Converted<Option<SecretUrl>> {
    let parsed = match value {
        Value::Null => return Ok(None),
        Value::String(text) => SecretUrl::parse(text),
        _ => Err("it is no string"),
    };
    parsed.map(Some).map_err(|why| format!("expected a URL such as \"https://…\" (not shown here): {why}"))
}

/// The shape of a webhook, or `null` for that of its host.
pub fn webhook_shape(value: &Value) -> Converted<Option<WebhookShape>> {
    match value.as_str() {
        None if value.is_null() => Ok(None),
        Some("json") => Ok(Some(WebhookShape::Json)),
        Some("slack") => Ok(Some(WebhookShape::Slack)),
        Some("discord") => Ok(Some(WebhookShape::Discord)),
        _ => Err(expected("\"json\", \"slack\" or \"discord\"", value)),
    }
}

/// A list of texts, or `null` for none.
pub fn optional_texts(value: &Value) -> Converted<Option<Vec<String>>> {
    match value {
        Value::Null => Ok(None),
        Value::Array(texts) => texts.iter().map(text).collect::<Result<_, _>>().map(Some),
        _ => Err(expected("a list of strings, or null", value)),
    }
}

/// Regular expressions that match a usage limit, or `null` for the built-in list.
pub fn usage_limits(value: &Value) -> Converted<UsageLimits> {
    UsageLimits::new(optional_texts(value)?.as_deref()).map_err(|error| error.to_string())
}

/// A list of kinds of questions by their names, or `null` for not given. Those that are never answered are refused.
pub fn dialogs(value: &Value) -> Converted<Option<BTreeSet<Dialog>>> {
    let Some(names) = optional_texts(value)? else { return Ok(None) };
    let kind = |name: String| match Dialog::ALL.into_iter().find(|it| it.name() == name) {
        Some(dialog) if dialog.may_be_answered() => Ok(dialog),
        Some(dialog) => {
            Err(format!("{:?} is never answered, as only people can; leave it out", dialog.name()))
        }
        None => {
            let known = Dialog::ALL.into_iter().filter(|it| it.may_be_answered()).map(Dialog::name);
            Err(format!(
                "{:?} is no kind of question; those are {}",
                shorten(&name),
                known.collect::<Vec<_>>().join(", ")
            ))
        }
    };
    names.into_iter().map(kind).collect::<Converted<_>>().map(Some)
}

/// A part of each day, such as `"23:00-07:00"`; it may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: Time,
    to: Time,
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

impl Quiet {
    /// Whether this time of day is in it.
    pub fn covers(self, time: Time) -> bool {
        match self.from <= self.to {
            true => (self.from..self.to).contains(&time),
            false => time >= self.from || time < self.to,
        }
    }
}

/// A part of each day, or `null` for none.
pub fn quiet(value: &Value) -> Converted<Option<Quiet>> {
    let Some(text) = optional_text(value)? else { return Ok(None) };
    let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
    let quiet = text.split_once('-').and_then(|(from, to)| Some(Quiet { from: time(from)?, to: time(to)? }));
    quiet
        .filter(|quiet| quiet.from != quiet.to)
        .map(Some)
        .ok_or_else(|| expected("two times of day such as \"23:00-07:00\"", value))
}

/// A list of roles by their names.
pub fn roles(value: &Value) -> Converted<BTreeSet<Role>> {
    let names = optional_texts(value)?.unwrap_or_default();
    let role = |name: &String| {
        let found = Role::of_gas_town().find(|role| role.as_str() == name);
        found.ok_or_else(|| format!("{:?} is no role", shorten(name)))
    };
    names.iter().map(role).collect()
}

/// A dialect of Gas Town by its name; `"auto"` and `null` for none.
pub fn dialect(value: &Value) -> Converted<Option<Dialect>> {
    match value.as_str() {
        None if value.is_null() => Ok(None),
        Some("auto") => Ok(None),
        Some(name) if let Some(dialect) = Dialect::ALL.into_iter().find(|it| it.facts().name == name) => {
            Ok(Some(dialect))
        }
        _ => Err(expected("\"auto\", \"january\" or \"1.x\"", value)),
    }
}

/// With which conversation a role's agents are started again, or `null` for the role's default.
pub fn resume(value: &Value) -> Converted<Option<Resume>> {
    match value.as_str() {
        None if value.is_null() => Ok(None),
        Some("same") => Ok(Some(Resume::Same)),
        Some("fresh") => Ok(Some(Resume::Fresh)),
        _ => Err(expected("\"same\" or \"fresh\"", value)),
    }
}

/// A naming scheme.
pub fn naming(value: &Value) -> Converted<Naming> {
    match value.as_str() {
        Some("rig") => Ok(Naming::Rig),
        Some("prefix") => Ok(Naming::Prefix),
        _ => Err(expected("\"rig\" or \"prefix\"", value)),
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
        _ => Err(expected("\"error\", \"warn\", \"info\" or \"debug\"", value)),
    }
}

/// An IP address with a port, or `null` for none. A name is refused: what it means may change.
pub fn listen(value: &Value) -> Converted<Option<SocketAddr>> {
    let Some(text) = optional_text(value)? else { return Ok(None) };
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    let what = "an IP address with a port from 1 to 65535, such as \"127.0.0.1:8642\" or \"[::1]:8642\"";
    address.map(Some).ok_or_else(|| expected(what, value))
}

/// A list of hosts as a browser names them: `town.example`, `town.example:8443`; or `null` for none.
pub fn hosts(value: &Value) -> Converted<BTreeSet<String>> {
    let host = |text: String| {
        let authority = text.parse::<Authority>().ok();
        let is_host = authority.is_some_and(|it| !it.host().is_empty() && !text.contains(['@', '*']));
        let what = "a host such as \"town.example\" or \"town.example:8443\", without a scheme";
        if is_host { Ok(text.to_ascii_lowercase()) } else { Err(expected(what, &text.into())) }
    };
    optional_texts(value)?.unwrap_or_default().into_iter().map(host).collect()
}

/// The value of an environment variable of this name, for the commands we run.
pub fn variable(name: &str, value: &Value) -> Converted<String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("this cannot be the name of a variable".to_owned());
    }
    match value.as_str() {
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("expected a string".to_owned()),
    }
}
