//! The log: `daemon/daemon.log` in the line format that Gas Town's tools expect, and standard error in the foreground.
//!
//! [`mod@line`] forms a line, [`rotating`] writes the file, [`foreground`] keeps a slow terminal from blocking the
//! supervisor, [`journal`] is what standard error gets under systemd, [`tail`] shows the file to people. When the log cannot be written, the line is lost and the supervisor
//! continues. Nothing here may log with `tracing`: it would call itself.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{Zoned, tz::TimeZone};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    reload,
};

use self::{
    foreground::Foreground,
    journal::{Journal, JournalFormat},
    line::LineFormat,
    rotating::RotatingFile,
};
use super::settings::LogLevel;

mod fields;
pub mod foreground;
pub mod journal;
pub mod line;
pub mod rotating;
pub mod tail;

/// The crate whose events follow the configured level; from other crates only warnings and errors are logged.
const OURS: &str = "gastown_supervisor";

/// The format of lines on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// As in the log file.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal, with priorities and fields and without times.
    Journal,
}

/// Where to log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// The file, created with mode 0600.
    pub path: PathBuf,
    /// The file is rotated before it would grow past this size.
    pub max_bytes: u64,
    /// Number of rotated files that are kept.
    pub keep: u32,
    /// The lowest level that is logged.
    pub level: LogLevel,
    /// Whether and how lines go to standard error too.
    pub foreground: Option<LogFormat>,
    /// The zone times are shown in.
    pub zone: TimeZone,
}

/// The log in use; clones are the same log.
#[derive(Debug, Clone)]
pub struct LogHandle {
    file: RotatingFile,
    level: reload::Handle<Targets, Registry>,
    foreground: Foreground,
    zone: TimeZone,
}

impl LogHandle {
    /// Writes a last line to the file alone, whatever the level is.
    pub fn farewell(&self, text: &str) {
        let stamp = line::stamp(&clock(self.zone.clone())());
        self.file.last_line(format!("{stamp} Error: {text}\n").as_bytes());
    }

    /// Reopens the file, after it was moved away.
    pub fn reopen(&self) {
        self.file.reopen();
    }

    /// Changes the level.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, and the log with it.
        let _ = self.level.reload(targets(level));
    }

    /// Changes when the file is rotated and how many are kept.
    pub fn set_limits(&self, max_bytes: u64, keep: u32) {
        self.file.set_limits(max_bytes, keep);
    }

    /// What is wrong with the log file now, and how many lines it has cost.
    pub fn trouble(&self) -> Option<String> {
        self.file.trouble()
    }

    /// Waits until standard error has taken every line so far, at most for `limit`; returns whether it has.
    pub fn flush(&self, limit: Duration) -> bool {
        self.foreground.flush(limit)
    }
}

/// Another logger is already installed in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a logger is installed already; the log can be installed once in a process")]
pub struct AlreadyInstalled;

/// Makes this the log of the whole process. A file that cannot be opened is no error: it is reported on standard
/// error and tried again with each line.
pub fn install(config: &LogConfig) -> Result<LogHandle, AlreadyInstalled> {
    let foreground = match config.foreground {
        Some(LogFormat::Journal) => Foreground::to(Journal::of_this_machine()),
        _ => Foreground::stderr(),
    };
    let (subscriber, handle) = build(config, foreground);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyInstalled)?;
    Ok(handle)
}

/// The subscriber for this configuration, and its handle; `foreground` gets the second output and the problems of the
/// first.
pub fn build(config: &LogConfig, foreground: Foreground) -> (impl Subscriber + Send + Sync, LogHandle) {
    let complain = foreground.clone();
    let complain = Arc::new(move |text: &str| complain.put(format!("{text}\n").into_bytes()));
    let file = RotatingFile::open(config.path.clone(), config.max_bytes, config.keep, complain);
    let now = clock(config.zone.clone());
    let format = LineFormat::new(now.clone());
    let (filter, level) = reload::Layer::new(targets(config.level));
    let to_file = fmt::layer()
        .event_format(format.clone())
        .log_internal_errors(false)
        .with_ansi(false)
        .with_writer(file.clone());
    let to_stderr = config.foreground.map(|shape| {
        let layer = fmt::layer().log_internal_errors(false).with_ansi(false).with_writer(foreground.clone());
        match shape {
            LogFormat::Human => layer.event_format(format).boxed(),
            LogFormat::Journal => layer.event_format(JournalFormat).boxed(),
            LogFormat::Json => layer.json().flatten_event(true).with_timer(line::Rfc3339(now)).boxed(),
        }
    });
    let subscriber = tracing_subscriber::registry().with(filter).with(to_file).with(to_stderr);
    (subscriber, LogHandle { file, level, foreground, zone: config.zone.clone() })
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    Targets::new().with_target(OURS, level).with_default(level.min(LevelFilter::WARN))
}

#[allow(clippy::disallowed_methods, reason = "a line is stamped when it is written")]
fn clock(zone: TimeZone) -> line::Clock {
    Arc::new(move || Zoned::now().with_time_zone(zone.clone()))
}

#[cfg(test)]
mod tests;
