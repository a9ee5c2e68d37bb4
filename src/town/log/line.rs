//! One log line: `2006/01/02 15:04:05 text key=value`, and `Warning: ` or `Error: ` before the text of such events.
//!
//! The format of Go's `log` package, which `gt daemon logs` and people's scripts read. One event is one line,
//! whatever it contains: an agent's output quoted in a message must not forge a line or move a reader's cursor.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use jiff::Zoned;
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, time::FormatTime},
    registry::LookupSpan,
};

use super::fields::Each;
use crate::terminal::one_line;

/// The current time, in the zone to show it in.
pub type Clock = Arc<dyn Fn() -> Zoned + Send + Sync>;

/// The target of events whose lines people and scripts search for in the words of Gas Town's daemon (`CRASH DETECTED:
/// …`): nothing precedes their text, whatever their level.
pub const AS_IS: &str = "gastown_supervisor::as_is";

/// Formats events as lines.
#[derive(Clone)]
pub struct LineFormat {
    now: Clock,
}

impl LineFormat {
    /// Lines with the time of this clock.
    pub fn new(now: Clock) -> Self {
        LineFormat { now }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut Each(|field: &Field, value: &str| text.add(field, value)));
        let as_is = event.metadata().target() == AS_IS;
        let level = match *event.metadata().level() {
            _ if as_is => "",
            Level::ERROR => "Error: ",
            Level::WARN => "Warning: ",
            _ => "",
        };
        writeln!(writer, "{} {level}{}", stamp(&(self.now)()), text.shown(as_is))
    }
}

/// The time of a line in Go's form.
pub fn stamp(time: &Zoned) -> String {
    time.strftime("%Y/%m/%d %H:%M:%S").to_string()
}

/// The time of a line in JSON: RFC 3339 in UTC.
pub struct Rfc3339(pub Clock);

impl FormatTime for Rfc3339 {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", (self.0)().timestamp())
    }
}

/// The fields that the text of an event contains already; JSON has them as fields too.
const IN_THE_TEXT: [&str; 4] = ["from", "to", "reason", "problem"];

/// An event's message and its other fields, escaped.
#[derive(Default)]
pub(super) struct Text {
    /// The agent it is about, or the session when only that is known: precedes the message.
    subject: Option<String>,
    message: String,
    fields: String,
}

impl Text {
    /// What it says, on one line: whom it is about, unless it is to stand as it is, the message, and the other fields.
    pub(super) fn shown(&self, as_is: bool) -> String {
        let subject =
            self.subject.as_ref().filter(|_| !as_is).map(|it| format!("{it}: ")).unwrap_or_default();
        format!("{subject}{}{}", self.message, self.fields)
    }

    pub(super) fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(&one_line(value));
            return;
        }
        match field.name() {
            "agent" => return self.subject = Some(one_line(value)),
            "session" => {
                self.subject.get_or_insert_with(|| one_line(value));
                return;
            }
            name if IN_THE_TEXT.contains(&name) => return,
            _ => {}
        }
        let _ = write!(self.fields, " {}=", field.name());
        if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') {
            let quoted = one_line(&value.replace('"', "\\\""));
            let _ = write!(self.fields, "\"{quoted}\"");
        } else {
            self.fields.push_str(&one_line(value));
        }
    }
}
