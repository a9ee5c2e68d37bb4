//! The trace: every call of a port, with virtual time, and the supervisor's log lines.

use std::{io, time::Duration};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::{State, World};

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The virtual time.
    pub at: Duration,
    /// The text.
    pub what: String,
    /// Whether to show it after a failure; reads of files are not shown.
    pub loud: bool,
    /// Whether it is a log line of the supervisor: not compared, as it names actors by numbers.
    pub log: bool,
}

impl State {
    /// Adds a line.
    pub fn note(&mut self, at: Duration, loud: bool, what: impl FnOnce() -> String) {
        self.trace.push(Line { at, what: what(), loud, log: false });
    }

    /// The last lines to show.
    pub fn tail(&self, count: usize) -> String {
        let mut lines: Vec<String> = self
            .trace
            .iter()
            .rev()
            .filter(|line| line.loud)
            .take(count)
            .map(|line| format!("{:>10} ms  {}", line.at.as_millis(), line.what))
            .collect();
        lines.reverse();
        lines.join("\n")
    }
}

impl World {
    /// The lines that are compared between two runs of a seed.
    pub fn trace(&self) -> Vec<String> {
        let state = self.state();
        let lines = state.trace.iter().filter(|line| !line.log);
        lines.map(|line| format!("{} {}", line.at.as_micros(), line.what)).collect()
    }

    /// The town's events of this kind.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let text = self.text(".events.jsonl").unwrap_or_default();
        let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
        events.filter(|event: &Value| event["type"] == kind).collect()
    }

    /// Log lines that contain `text`, with their times.
    pub fn logged(&self, text: &str) -> Vec<Duration> {
        let state = self.state();
        let lines = state.trace.iter().filter(|line| line.log && line.what.contains(text));
        lines.map(|line| line.at).collect()
    }
}

/// The length of the time at the start of a log line.
const STAMP: usize = "2006/01/02 15:04:05 ".len();

/// Writes the supervisor's log into the trace.
#[derive(Clone)]
pub struct LogWriter(pub World);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The trace has a time of its own.
        let line = String::from_utf8_lossy(bytes);
        let text = line.get(STAMP..).unwrap_or_default();
        let what = format!("    log: {}", text.trim_end());
        let at = self.0.time();
        self.0.state().trace.push(Line { at, what, loud: true, log: true });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&'a self) -> LogWriter {
        self.clone()
    }
}
