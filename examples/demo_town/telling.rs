//! Telling: prints plain lines with the time since the start.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// The narrator, with the time of the start.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    began: Instant,
}

impl Telling {
    /// Starts the clock.
    pub fn begin() -> Self {
        Telling { began: Instant::now() }
    }

    /// Prints a line about the current event.
    pub fn say(&self, text: &str) {
        self.plain(&format!("{:>5.1}s  {text}", self.began.elapsed().as_secs_f64()));
    }

    /// Prints a line that belongs to the one before.
    pub fn more(&self, text: &str) {
        self.plain(&format!("        {text}"));
    }

    /// Prints the title of a new scene.
    pub fn scene(&self, title: &str) {
        self.plain(&format!("\n{title}"));
    }

    /// Prints a line as it is. A closed output must not leave the town behind.
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
