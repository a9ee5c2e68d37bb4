//! The journal: what standard error gets when it leads to systemd's journal.
//!
//! Each line becomes an entry with a priority and the fields of its event (`AGENT`, `SESSION`, `FROM`, `TO`, `REASON` …), in journald's
//! native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), so that `journalctl AGENT=gastown/witness` finds it. Its time is the
//! journal's own. Where journald does not take an entry, it is a line on standard error with the priority before it, which
//! journald understands, too.
#![allow(clippy::disallowed_methods, reason = "the adapter that writes to the journal")]

use std::{
    env,
    ffi::OsString,
    fmt::{self, Write as _},
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::{
    fields::Each,
    line::{AS_IS, Text},
};
use crate::terminal::one_line;

/// Where journald listens,
const SOCKET: &str = "/run/systemd/journal/socket";
/// unless this variable names another place, as tests do.
const SOCKET_VARIABLE: &str = "GTS_JOURNAL_SOCKET";
/// The name under which the journal shows the lines.
const IDENTIFIER: &str = "gastown-supervisor";
/// What an entry begins with; a plain line does not.
const PRIORITY: &str = "PRIORITY=";
/// The priority of a line that is no event: what is wrong with the log itself.
const WARNING: u8 = 4;

/// Whether standard error leads to the journal: systemd names its device and inode in `JOURNAL_STREAM`.
pub fn has_stderr() -> bool {
    let Ok(named) = env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|it| named == format!("{}:{}", it.st_dev, it.st_ino))
}

/// A failure that ends the program, as lines of standard error that the journal shows as errors.
pub fn as_error(text: &str) -> String {
    if !has_stderr() {
        return text.to_owned();
    }
    text.lines().map(|line| format!("<3>{line}")).collect::<Vec<_>>().join("\n")
}

/// Formats events as entries.
#[derive(Debug, Clone, Copy)]
pub struct JournalFormat;

impl<S, N> FormatEvent<S, N> for JournalFormat
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
        let (mut text, mut fields) = (Text::default(), Fields::default());
        event.record(&mut Each(|field: &Field, value: &str| text.add(field, value)));
        event.record(&mut Each(|field: &Field, value: &str| fields.add(field, value)));
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => WARNING,
            Level::INFO => 6,
            _ => 7,
        };
        let message = text.shown(event.metadata().target() == AS_IS);
        writer.write_str(&entry(priority, &message))?;
        writer.write_str(&fields.0)
    }
}

/// An entry, which fields may follow; the message is one line.
fn entry(priority: u8, message: &str) -> String {
    format!("{PRIORITY}{priority}\nMESSAGE={message}\nSYSLOG_IDENTIFIER={IDENTIFIER}\n")
}

/// The fields of an event but for its message, as fields of an entry.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        let name = field.name().to_ascii_uppercase();
        // journald keeps names that begin with `_` for itself, and ignores what is no name.
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && name != "MESSAGE" {
            let _ = writeln!(self.0, "{name}={}", one_line(value));
        }
    }
}

/// The way into the journal. Each write is one entry, or one plain line.
#[derive(Debug)]
pub struct Journal<W> {
    socket: PathBuf,
    connected: Option<UnixDatagram>,
    /// Gets what journald does not take.
    otherwise: W,
}

impl Journal<io::Stderr> {
    /// That of this machine.
    pub fn of_this_machine() -> Self {
        let socket = env::var_os(SOCKET_VARIABLE).unwrap_or_else(|| OsString::from(SOCKET));
        Journal::new(socket, io::stderr())
    }
}

impl<W: Write> Journal<W> {
    /// One that listens here.
    pub fn new(socket: impl Into<PathBuf>, otherwise: W) -> Self {
        Journal { socket: socket.into(), connected: None, otherwise }
    }

    /// journald may have been restarted: then a new connection works.
    fn send(&mut self, entry: &[u8]) -> io::Result<()> {
        if let Some(connected) = &self.connected
            && connected.send(entry).is_ok()
        {
            return Ok(());
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.socket)?;
        socket.send(entry)?;
        self.connected = Some(socket);
        Ok(())
    }
}

impl<W: Write> Write for Journal<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = match text.starts_with(PRIORITY) {
            true => text.into_owned(),
            false => entry(WARNING, &one_line(text.trim_end())),
        };
        if self.send(text.as_bytes()).is_err() {
            let value =
                |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            writeln!(self.otherwise, "<{}>{}", value(PRIORITY), value("MESSAGE="))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.otherwise.flush()
    }
}
