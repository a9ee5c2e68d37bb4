//! When a content of the file counts: editors write in two steps, and half a file may be a valid one.
//!
//! What somebody asks to be read (`reload`, HUP) counts at once. What was merely seen counts when it is still the same a second later,
//! and waits for `reload` when it would end too much. Pure.

use std::time::Duration;

/// A content that was merely seen counts when it is the same after this long.
const STABLE: Duration = Duration::from_secs(1);

/// A content, or why it could not be read.
type Content = Result<Vec<u8>, String>;

/// The content that was seen last and does not count yet.
#[derive(Debug, Default)]
pub struct Settling(Option<(Content, Duration)>);

impl Settling {
    /// Notes the content that was read at this time (monotonic). Returns after how long it is to be read again; `None` when it counts.
    pub fn seen(&mut self, content: &Content, asked: bool, now: Duration) -> Option<Duration> {
        let since = match &self.0 {
            Some((before, since)) if before == content => *since,
            _ => {
                self.0 = Some((content.clone(), now));
                now
            }
        };
        let left = (since + STABLE).saturating_sub(now);
        (!asked && !left.is_zero()).then_some(left)
    }

    /// Nothing is awaited.
    pub fn is_settled(&mut self) {
        self.0 = None;
    }
}

/// What a new plan would end, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The agents that it does not have any more and that run, as far as is known, were stopped or have ended for good.
    pub ends: usize,
    /// All such agents.
    pub run: usize,
    /// All agents of the plan in force.
    pub before: usize,
    /// All agents that it has.
    pub left: usize,
}

impl Ends {
    /// Whether this happens only when somebody asks for it.
    pub fn must_be_asked_for(self) -> bool {
        let of_all = self.left == 0 && self.before > 0;
        of_all || self.ends > 1 && self.ends * 2 > self.run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_counts_when_it_stays_or_is_asked_for() {
        let ms = Duration::from_millis;
        let text = |it: &str| Ok(it.as_bytes().to_vec());
        let gone = || Err("no such file".to_owned());
        let grid: [(&str, &[(u64, Content, bool, Option<u64>)]); 6] = [
            ("it stays", &[(0, text("a"), false, Some(1000)), (1000, text("a"), false, None)]),
            (
                "it is read again too early",
                &[(0, text("a"), false, Some(1000)), (300, text("a"), false, Some(700))],
            ),
            (
                "it is written in two steps",
                &[
                    (0, text(""), false, Some(1000)),
                    (900, text("a"), false, Some(1000)),
                    (1000, text("a"), false, Some(900)),
                    (1900, text("a"), false, None),
                ],
            ),
            (
                "it comes and goes",
                &[
                    (0, text("a"), false, Some(1000)),
                    (500, gone(), false, Some(1000)),
                    (1000, text("a"), false, Some(1000)),
                ],
            ),
            ("it is asked for", &[(0, text("a"), true, None), (10, gone(), true, None)]),
            ("that it is gone counts, too", &[(0, gone(), false, Some(1000)), (1001, gone(), false, None)]),
        ];
        for (name, readings) in grid {
            let mut settling = Settling::default();
            for (at, content, asked, wait) in readings {
                assert_eq!(settling.seen(content, *asked, ms(*at)), wait.map(ms), "{name} at {at}");
            }
        }
    }

    #[test]
    fn what_must_be_asked_for() {
        for (name, ends, run, before, left, expected) in [
            ("nothing ends", 0, 4, 4, 4, false),
            ("one of one, and others come", 1, 1, 1, 2, false),
            ("one of two", 1, 2, 2, 1, false),
            ("two of four", 2, 4, 4, 2, false),
            ("three of four", 3, 4, 4, 1, true),
            ("two of three", 2, 3, 3, 1, true),
            ("two of two renamed", 2, 2, 2, 2, true),
            ("three of four that do not run", 0, 1, 4, 1, false),
            ("the file has no agent any more", 1, 1, 1, 0, true),
            ("none of them runs, and none is left", 0, 0, 3, 0, true),
            ("there was none", 0, 0, 0, 0, false),
        ] {
            let ends = Ends { ends, run, before, left };
            assert_eq!(ends.must_be_asked_for(), expected, "{name}");
        }
    }
}
