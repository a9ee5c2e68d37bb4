//! Progress: everything the curator's decisions depend on, and the step from a chunk of the log to a chunk of the feed.
//!
//! Read position, state of the rules and length of the feed belong together. From any saved progress, with the feed truncated to
//! that length, the same lines are written again. So all of it is in one file, `daemon/supervisor/feed.json`, which need not be
//! the latest. Pure except for the register at the end.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::{event, lines, position::Position, rules::Windows};
use crate::{
    ports::{Ports, persisted::Persisted},
    town::{
        journal::Extent,
        reading::{FileProblem, shorten},
        settings::Feed as Settings,
    },
};

/// The curator's progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Whether it was started: a log that existed before is not written to the feed.
    pub begun: bool,
    /// How far the log was read.
    pub position: Position,
    /// The recent events that the rules use.
    pub windows: Windows,
    /// The feed at that time: the current file and, while another is replacing it, that one too.
    pub feed: Vec<Extent>,
    /// Lines written to the feed.
    pub written: u64,
    /// Lines of the log that could not be used.
    pub skipped: u64,
}

/// The result of a chunk of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The number of its bytes that are processed; 0 when it contains no whole line.
    pub consumed: usize,
    /// The whole lines that it adds to the feed.
    pub text: Vec<u8>,
    /// The reason for the last skipped line.
    pub skipped: Option<String>,
}

impl Progress {
    /// Processes the bytes that follow the position in the log.
    pub fn take(&mut self, bytes: &[u8], settings: &Settings) -> Taken {
        let cut = lines::cut(bytes, self.position.passing);
        let mut taken = Taken { consumed: cut.consumed, ..Taken::default() };
        if cut.too_long > 0 {
            self.skipped += cut.too_long;
            taken.skipped = Some(format!("it is longer than {} bytes", event::LONGEST));
        }
        for line in &cut.lines {
            match event::read(line) {
                Ok(None) => {}
                Ok(Some(event)) => match self.windows.take(&event, settings).map(|line| line.text()) {
                    None => {}
                    Some(Ok(text)) => {
                        self.written += 1;
                        taken.text.extend_from_slice(text.as_bytes());
                        taken.text.push(b'\n');
                    }
                    Some(Err(error)) => {
                        self.skipped += 1;
                        taken.skipped =
                            Some(format!("its line in the feed cannot be written as JSON: {error}"));
                    }
                },
                Err(why) => {
                    self.skipped += 1;
                    let text = shorten(&String::from_utf8_lossy(&line[..line.len().min(300)]));
                    taken.skipped = Some(format!("{why}: {text}"));
                }
            }
        }
        self.position.advance(&bytes[..cut.consumed], cut.passing);
        taken
    }

    /// Continues elsewhere in the log; `torn` is whether it ended in the middle of a line.
    pub fn proceed(&mut self, position: Position, torn: bool) {
        // A line that is skipped is counted already.
        self.skipped += u64::from(torn && !self.position.passing);
        self.position = position;
    }

    /// Starts at this position of an existing log, or with the log that will be created.
    pub fn begin(&mut self, position: Position) {
        self.position = position;
        self.begun = true;
    }
}

/// The curator's register, stored for the next one.
#[derive(Debug, Clone)]
pub struct FeedProgress {
    kept: Persisted<Progress>,
    loaded: Arc<OnceCell<()>>,
}

impl FeedProgress {
    /// Not started; the file is in this directory.
    pub fn new(directory: PathBuf) -> Self {
        FeedProgress { kept: Persisted::new(directory.join("feed.json")), loaded: Arc::default() }
    }

    /// Loads what the last supervisor stored, once.
    pub async fn load(&self, ports: &Ports) {
        self.loaded.get_or_init(|| self.kept.load(ports)).await;
    }

    /// Like [`Persisted::peek`]: for read-only callers.
    pub async fn peek(&self, ports: &Ports) -> (bool, Option<FileProblem>) {
        self.kept.peek(ports).await
    }

    /// The current progress.
    pub fn get(&self) -> Progress {
        self.kept.value().clone()
    }

    /// Replaces the progress in memory; [`save`](Self::save) writes it to disk.
    pub fn set(&self, progress: Progress) {
        *self.kept.value() = progress;
    }

    /// Writes it to disk; false when that failed, which is reported while it lasts.
    pub async fn save(&self, ports: &Ports) -> bool {
        self.kept.save(ports).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, second: u32, visibility: &str) -> String {
        format!(
            r#"{{"ts":"2026-11-22T20:45:{second:02}Z","source":"gt","type":"{kind}","actor":"a","visibility":"{visibility}"}}"#
        )
    }

    fn text(taken: &Taken) -> String {
        String::from_utf8(taken.text.clone()).unwrap()
    }

    #[test]
    fn lines_become_lines_and_what_cannot_be_used_is_counted() {
        let mut progress = Progress::default();
        let log = format!(
            "{}\nnonsense\n\n{}\n{}\n\u{0}\n{}",
            line("handoff", 1, "feed"),
            line("mail", 2, "audit"),
            line("boot", 3, "both"),
            line("torn", 4, "feed")
        );
        let taken = progress.take(log.as_bytes(), &Settings::default());
        let kinds: Vec<String> = text(&taken)
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(kinds, ["handoff", "boot"]);
        assert_eq!((progress.written, progress.skipped), (2, 2));
        assert!(taken.skipped.unwrap().ends_with(r": \u{0}"), "the last one, with its text");
        assert_eq!(log.len() - taken.consumed, line("torn", 4, "feed").len(), "the torn line waits");
        assert_eq!(progress.position.offset as usize, taken.consumed);
        progress.proceed(Position::default(), true);
        assert_eq!(progress.skipped, 3, "it was never ended");
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_once() {
        let mut progress = Progress::default();
        let long = vec![b'x'; event::LONGEST + 1];
        let first = progress.take(&long, &Settings::default());
        assert_eq!((first.consumed, progress.skipped, progress.position.passing), (long.len(), 1, true));
        let end = format!("xxx\n{}\n", line("handoff", 1, "feed"));
        let then = progress.take(end.as_bytes(), &Settings::default());
        assert_eq!((text(&then).lines().count(), progress.skipped), (1, 1));
        let again = progress.take(&long, &Settings::default());
        assert_eq!((again.consumed, progress.skipped), (long.len(), 2));
        progress.proceed(Position::default(), true);
        assert_eq!(progress.skipped, 2, "it is counted already");
    }

    #[test]
    fn taken_up_again_it_writes_the_same_lines() {
        let log: String =
            (0..40).map(|n| line(["sling", "done", "mail", "x"][n as usize % 4], n, "feed") + "\n").collect();
        let mut whole = Progress::default();
        let expected = text(&whole.take(log.as_bytes(), &Settings::default()));
        for at in log.match_indices('\n').map(|(at, _)| at + 1) {
            let mut progress = Progress::default();
            let first = text(&progress.take(&log.as_bytes()[..at], &Settings::default()));
            let kept = serde_json::to_string(&progress).unwrap();
            let mut progress: Progress = serde_json::from_str(&kept).unwrap();
            let rest = text(&progress.take(&log.as_bytes()[at..], &Settings::default()));
            assert_eq!(first + &rest, expected, "{at}");
            assert_eq!(progress, whole, "{at}");
        }
    }
}
