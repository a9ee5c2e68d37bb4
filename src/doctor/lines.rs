//! Event files: checks `.events.jsonl` or `.feed.jsonl` line by line, in chunks.

use std::{io, path::Path};

use jiff::Timestamp;

use crate::{
    town::{journal::Journals, reading::Place},
    watchers::feed::event,
};

/// The size of a chunk in bytes.
const PIECE: usize = 1 << 20;

/// Number of unusable lines that are reported one by one.
const TOLD: usize = 3;

/// The result of a check.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Whether the file was checked from its start; otherwise lines are counted from where the check began.
    pub whole: bool,
    /// The number of lines checked.
    pub lines: usize,
    /// The first unusable lines: where, and why.
    pub bad: Vec<(Place, String)>,
    /// The number of unusable lines.
    pub bad_count: usize,
    /// The time of the last usable line.
    pub last: Option<Timestamp>,
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes. An incomplete line waits for its end.
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                self.line(line.strip_suffix(b"\n").unwrap_or(&line));
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        match event::read(line) {
            Ok(event) => self.last = event.map(|event| event.at).or(self.last),
            // When the check began in the middle of the file, the first line is incomplete.
            Err(_) if self.lines == 1 && !self.whole => {}
            Err(reason) => {
                self.bad_count += 1;
                if self.bad.len() < TOLD {
                    self.bad.push(place_and_reason(self.lines, &reason));
                }
            }
        }
    }
}

/// Splits the parser's text, which ends in a position within the line.
fn place_and_reason(line: usize, reason: &str) -> (Place, String) {
    let (text, column) = match reason.rsplit_once(" at line 1 column ") {
        Some((text, column)) => (text, column.parse().unwrap_or(1)),
        None => (reason, 1),
    };
    (Place { line, column: std::cmp::max(column, 1) }, text.to_owned())
}

/// Checks at most the last `most` bytes of a file; `None` without one.
pub async fn scan(journals: &dyn Journals, path: &Path, most: u64) -> io::Result<Option<Lines>> {
    let Some(journal) = journals.open(path).await? else { return Ok(None) };
    let length = journal.length().await?;
    let mut offset = length.saturating_sub(most);
    let mut scan = Lines { whole: offset == 0, ..Lines::default() };
    while offset < length {
        let piece = journal.read(offset, PIECE).await?;
        if piece.is_empty() {
            break; // it was truncated meanwhile
        }
        offset += piece.len() as u64;
        scan.take(&piece);
    }
    Ok(Some(scan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_used_are_reported_with_their_positions() {
        let good = r#"{"ts":"2026-01-16T12:00:00Z","type":"x"}"#;
        let text =
            format!("{good}\n\n{{\"ts\": tr\n{good}\n[1]\n{{\"ts\":\"noon\",\"type\":\"x\"}}\n7\n{{\"half");
        for at in [0, 5, text.len() - 3] {
            let mut scan = Lines { whole: true, ..Lines::default() };
            scan.take(&text.as_bytes()[..at]);
            scan.take(&text.as_bytes()[at..]);
            let places: Vec<_> = scan.bad.iter().map(|(place, _)| (place.line, place.column)).collect();
            assert_eq!(places, [(3, 9), (5, 2), (6, 1)], "{:?}", scan.bad);
            assert_eq!((scan.bad_count, scan.lines), (4, 7));
            assert_eq!(scan.last, Some("2026-01-16T12:00:00Z".parse().unwrap()));
        }
    }

    #[test]
    fn a_partial_first_line_of_the_checked_end_does_not_count() {
        let mut scan = Lines::default();
        scan.take(b"ype\":\"x\"}\njunk\n");
        assert_eq!((scan.bad_count, scan.bad[0].0.line), (1, 2));
    }
}
