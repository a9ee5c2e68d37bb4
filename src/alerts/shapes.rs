//! What each channel gets of an alert, and which answers accept it. Pure.
//!
//! The shapes are those of Slack's incoming webhooks, Discord's webhooks, and ntfy's publishing by POST. A status of 2xx alone
//! does not say that one of these took the message: a proxy or a login page answers so, too.

use std::path::Path;

use super::Alert;
use crate::{ports::problems::Severity, town::settings::WebhookShape};

/// The longest sentence of a message, in bytes: Discord takes 2000 characters, ntfy 4096 bytes, each with title and command.
const LONGEST: usize = 1500;

/// The body and headers of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names in lower case, values in ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// What is posted.
    pub body: String,
}

/// Whether an answer accepts a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was accepted.
    Accepted,
    /// It was not; another try may be.
    Failed(&'static str),
    /// It was not, for what is in it.
    Refused,
}

/// The title of an alert: how urgent it is, the town, and the machine.
pub fn title(alert: &Alert) -> String {
    let town =
        Path::new(&alert.town).file_name().map_or(alert.town.as_str().into(), |name| name.to_string_lossy());
    format!("{} {town} on {}", word(alert), alert.host)
}

fn word(alert: &Alert) -> &'static str {
    match (alert.resolved, alert.severity) {
        (true, _) => "RESOLVED",
        (_, Severity::Critical) => "CRITICAL",
        (_, Severity::Warning) => "WARNING",
        (_, Severity::Info) => "INFO",
    }
}

/// The text of an alert: its sentence, and how to attach to the agent.
pub fn text(alert: &Alert) -> String {
    let attach = alert.attach.as_ref().map(|attach| format!("\n{attach}")).unwrap_or_default();
    format!("{}{attach}", shortened(&alert.summary))
}

fn shortened(text: &str) -> String {
    match text.floor_char_boundary(LONGEST) {
        end if end < text.len() => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// What a webhook of this shape gets.
pub fn webhook(alert: &Alert, shape: WebhookShape) -> Message {
    let json = ("content-type", "application/json".to_owned());
    let titled = || format!("{}\n{}", title(alert), text(alert));
    match shape {
        WebhookShape::Json => Message {
            headers: vec![json, ("idempotency-key", ascii(&alert.id))],
            body: serde_json::to_string(alert).unwrap_or_default(),
        },
        WebhookShape::Slack => {
            let text = titled().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            Message { headers: vec![json], body: serde_json::json!({"text": text}).to_string() }
        }
        WebhookShape::Discord => {
            // What an agent's program wrote must call nobody.
            let body = serde_json::json!({"content": titled(), "allowed_mentions": {"parse": []}});
            Message { headers: vec![json], body: body.to_string() }
        }
    }
}

/// What an ntfy topic gets.
pub fn ntfy(alert: &Alert) -> Message {
    let (priority, tag) = match (alert.resolved, alert.severity) {
        (true, _) => ("default", "white_check_mark"),
        (_, Severity::Critical) => ("urgent", "rotating_light"),
        (_, Severity::Warning) => ("high", "warning"),
        (_, Severity::Info) => ("default", "information_source"),
    };
    let headers =
        vec![("title", ascii(&title(alert))), ("priority", priority.to_owned()), ("tags", tag.to_owned())];
    Message { headers, body: text(alert) }
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// The arguments of `notify-send`.
pub fn desktop(alert: &Alert) -> Vec<String> {
    let urgency = match (alert.resolved, alert.severity) {
        (false, Severity::Critical) => "critical",
        (_, Severity::Info) => "low",
        _ => "normal",
    };
    // The body may hold markup.
    let body = text(alert).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    ["--app-name=gastown-supervisor", &format!("--urgency={urgency}"), "--", &title(alert), &body]
        .map(str::to_owned)
        .to_vec()
}

/// Whether a webhook of this shape accepted a message.
pub fn webhook_answered(shape: WebhookShape, status: u16, body: &[u8]) -> Verdict {
    let is_object = || serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok();
    let as_expected = match shape {
        WebhookShape::Json => true,
        WebhookShape::Slack => body.trim_ascii() == b"ok" || is_object(),
        WebhookShape::Discord => status == 204 || is_object(),
    };
    judged(status, as_expected)
}

/// Whether ntfy accepted a message.
pub fn ntfy_answered(status: u16, body: &[u8]) -> Verdict {
    let answer = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    judged(status, answer.is_ok_and(|answer| answer.contains_key("id")))
}

/// Whether a request that says nothing but "alive" was accepted.
pub fn beat_answered(status: u16) -> Verdict {
    judged(status, true)
}

fn judged(status: u16, as_expected: bool) -> Verdict {
    match status {
        200..300 if as_expected => Verdict::Accepted,
        200..300 => {
            Verdict::Failed("the answer is not one of this service; is the URL right, is there a proxy?")
        }
        300..400 => Verdict::Failed("it redirects, which is not followed; set the URL it redirects to"),
        400 | 413 | 415 | 422 => Verdict::Refused,
        401 | 403 => Verdict::Failed("it refuses access; is the URL still valid?"),
        404 | 410 => Verdict::Failed("there is nothing at this URL any more; is it still valid?"),
        429 => Verdict::Failed("it gets too many messages"),
        _ => Verdict::Failed("the service does not work"),
    }
}

#[cfg(test)]
#[path = "shapes_tests.rs"]
mod tests;
