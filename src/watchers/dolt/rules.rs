//! Rules: when the Dolt server is down, when it is asked again, and when it is started. Pure; times are monotonic.

use std::{collections::VecDeque, time::Duration};

use crate::{clock::Now, ports::dolt::NoAnswer};

/// The time from a failure to the next question.
const AGAIN: Duration = Duration::from_secs(1);
/// This many failures within [`WINDOW`] mean that it is down. A refused connection needs only one more.
const FAILURES: usize = 3;
const WINDOW: Duration = Duration::from_secs(10);

/// The first wait after a start; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait. A server that answered for this long starts afresh.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// The number of starts in a row.
pub const STARTS: u32 = 5;

/// What an answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is down, since then.
    Down(Now),
    /// It answers again.
    Up,
}

/// What the answers so far say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// When the latest questions that had no answer were put, and whether the connection was refused; all since the last answer.
    failures: VecDeque<(Now, bool)>,
    is_down: bool,
}

impl Health {
    /// What is known when this is all that is known: since a predecessor noted it down, or not at all.
    pub fn known(is_down: bool) -> Self {
        Health { failures: VecDeque::new(), is_down }
    }

    /// Takes the answer to the question that was put at that time.
    pub fn answered(&mut self, answer: &Result<(), NoAnswer>, asked: Now) -> Option<Change> {
        let Err(why) = answer else {
            self.failures.clear();
            return std::mem::take(&mut self.is_down).then_some(Change::Up);
        };
        self.failures.push_back((asked, *why == NoAnswer::Refused));
        while self.failures.front().is_some_and(|(at, _)| asked.since(*at) > WINDOW) {
            self.failures.pop_front();
        }
        let refused_twice = self.failures.iter().rev().take(2).filter(|(_, refused)| *refused).count() == 2;
        let is_down = refused_twice || self.failures.len() >= FAILURES;
        if !is_down || std::mem::replace(&mut self.is_down, true) {
            return None;
        }
        self.failures.front().map(|(first, _)| Change::Down(*first))
    }

    /// How long after an answer it is asked again.
    pub fn pause(&self, every: Duration) -> Duration {
        if self.failures.is_empty() || self.is_down { every } else { AGAIN.min(every) }
    }

    /// Whether it is down.
    pub fn is_down(&self) -> bool {
        self.is_down
    }
}

/// The starts of a server that is down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    /// The number of starts in a row.
    made: u32,
    /// When the next may follow.
    next: Duration,
    /// When the server last began to answer.
    up_since: Option<Duration>,
}

impl Starts {
    /// Whether a server that is down may be started now.
    pub fn is_due(&self, now: Duration) -> bool {
        self.made < STARTS && now >= self.next
    }

    /// Whether there were too many starts: the server is left to people.
    pub fn are_over(&self) -> bool {
        self.made >= STARTS
    }

    /// A start was made, whatever came of it.
    pub fn started(&mut self, now: Duration) {
        self.next = now + FIRST_WAIT.saturating_mul(1 << self.made.min(16)).min(LONGEST_WAIT);
        self.made += 1;
    }

    /// The server is down, or answers again. One that answered for long starts afresh.
    pub fn changed(&mut self, is_down: bool, now: Duration) {
        if !is_down {
            self.up_since = Some(now);
        } else if self.up_since.take().is_none_or(|up| now.saturating_sub(up) >= LONGEST_WAIT) {
            (self.made, self.next) = (0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { mono: Duration::from_millis(millis), wall: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn when_it_is_down() {
        let silent = || Err(NoAnswer::Silent("no greeting".to_owned()));
        let (well, refused) = (|| Ok(()), || Err(NoAnswer::Refused));
        type Asked = (u64, Result<(), NoAnswer>);
        let grid: Vec<(&str, Vec<Asked>, Option<u64>)> = vec![
            ("it answers", vec![(0, well()), (5000, well())], None),
            ("refused once", vec![(0, refused()), (1000, well())], None),
            ("refused twice", vec![(0, refused()), (1000, refused())], Some(0)),
            (
                "refused twice, with an answer between",
                vec![(0, refused()), (1000, well()), (2000, refused())],
                None,
            ),
            ("silent twice", vec![(0, silent()), (3000, silent())], None),
            ("silent three times", vec![(0, silent()), (3000, silent()), (6000, silent())], Some(0)),
            ("silent, rarely", vec![(0, silent()), (6000, silent()), (12_000, silent())], None),
            ("silent, then refused", vec![(0, silent()), (3000, refused()), (4000, refused())], Some(0)),
        ];
        for (name, asked, expected) in grid {
            let mut health = Health::default();
            let down = asked.into_iter().find_map(|(when, answer)| health.answered(&answer, at(when)));
            assert_eq!(down, expected.map(|since| Change::Down(at(since))), "{name}");
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut health = Health::default();
        let refused = Err(NoAnswer::Refused);
        let mut tell = |answer: &Result<(), NoAnswer>, when| health.answered(answer, at(when));
        assert_eq!(tell(&refused, 0), None);
        assert_eq!(tell(&refused, 1000), Some(Change::Down(at(0))));
        assert_eq!(tell(&refused, 6000), None);
        assert_eq!(tell(&Ok(()), 11_000), Some(Change::Up));
        assert_eq!(tell(&Ok(()), 16_000), None);
        let every = Duration::from_secs(5);
        assert_eq!(health.pause(every), every);
        health.answered(&refused, at(21_000));
        assert_eq!(health.pause(every), AGAIN, "it is confirmed soon");
        health.answered(&refused, at(22_000));
        assert_eq!(health.pause(every), every);
        assert_eq!(Health::known(true).answered(&Ok(()), at(0)), Some(Change::Up), "of a successor");
    }

    #[test]
    fn starts_are_made_later_and_later_and_end() {
        let mut starts = Starts::default();
        starts.changed(true, Duration::ZERO);
        let due = |starts: &Starts, second: u64| starts.is_due(Duration::from_secs(second));
        let mut made = Vec::new();
        for second in 0..2000 {
            if due(&starts, second) {
                starts.started(Duration::from_secs(second));
                made.push(second);
            }
        }
        assert_eq!(made, [0, 10, 30, 70, 150]);
        assert!(starts.are_over());
        // It comes up and falls again at once: that is no new beginning.
        starts.changed(false, Duration::from_secs(2000));
        starts.changed(true, Duration::from_secs(2060));
        assert!(starts.are_over());
        starts.changed(false, Duration::from_secs(3000));
        starts.changed(true, Duration::from_secs(3600));
        assert!(due(&starts, 3600) && starts.made == 0);
    }
}
