//! Narrator: prints plain lines with the time since the start.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// The narrator, with the time of the start.
#[derive(Debug, Clone, Copy)]
pub struct Narrator {
    began: Instant,
}

impl Narrator {
    /// Starts the clock.
    pub fn begin() -> Self {
        Narrator { began: Instant::now() }
    }

    /// Prints a line about the current event.
    pub fn say(&self, text: &str) {
        self.plain(&wrapped(&format!("{:>5.1}s  ", self.began.elapsed().as_secs_f64()), text));
    }

    /// Prints a line that belongs to the one before.
    pub fn more(&self, text: &str) {
        self.plain(&wrapped("        ", text));
    }

    /// Prints the title of a new scene.
    pub fn scene(&self, title: &str) {
        self.plain(&format!("\n{}", wrapped("", title)));
    }

    /// Prints a line as it is. A closed output must not leave the town behind.
    pub fn plain(&self, text: &str) {
        let mut output = io::stdout().lock();
        let _ = writeln!(output, "{text}");
        let _ = output.flush();
    }
}

/// The width that lines are kept in, except of words that are longer.
const WIDTH: usize = 80;

/// The text after `begin`, in lines that begin below the first word.
fn wrapped(begin: &str, text: &str) -> String {
    let indent = " ".repeat(begin.len());
    let (mut lines, mut line) = (String::new(), begin.to_owned());
    for word in text.split_inclusive(' ') {
        let filled = line.chars().count() > indent.len();
        if filled && line.chars().count() + word.trim_end().chars().count() > WIDTH {
            lines += &format!("{}\n", line.trim_end());
            line.clone_from(&indent);
        }
        line += word;
    }
    lines + line.trim_end()
}

/// `6 ms`, `1.2 s`.
pub fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
