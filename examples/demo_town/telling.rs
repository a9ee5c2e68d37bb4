//! Telling: plain lines with the time since the beginning.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// The one who tells.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    began: Instant,
}

impl Telling {
    /// The clock runs from now on.
    pub fn begin() -> Self {
        Telling { began: Instant::now() }
    }

    /// A line about what happens at this moment.
    pub fn say(&self, text: &str) {
        self.plain(&format!("{:>5.1}s  {text}", self.began.elapsed().as_secs_f64()));
    }

    /// A line that goes with the one before.
    pub fn more(&self, text: &str) {
        self.plain(&format!("        {text}"));
    }

    /// The beginning of something new.
    pub fn scene(&self, title: &str) {
        self.plain(&format!("\n{title}"));
    }

    /// A line as it is. One that nobody reads is no reason to leave the town standing.
    pub fn plain(&self, text: &str) {
        let mut output = io::stdout().lock();
        let _ = writeln!(output, "{text}");
        let _ = output.flush();
    }
}

/// `6 ms`, `1.2 s`.
pub fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
