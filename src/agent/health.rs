//! Health: whether an agent is well, as the checks say that its file asks for, in compose's words.
//!
//! A check is a success, a failure, or could not be made; what could not be made says nothing about the agent. What is known belongs to one
//! incarnation of the agent's session: a new one, a new supervisor and another check begin with `starting`. The agent's record has it, and
//! [`works`](super::works) says for others whether it works. Pure. It must not make checks, nor act on them.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use crate::{clock::Now, secrets, terminal, town::standing};

/// The interval of checks of an agent that is starting, as long as failures do not count: Docker's `start_interval`.
const START_INTERVAL: Duration = Duration::from_secs(5);
/// The most characters that are kept of what a check said.
const LONGEST: usize = 200;

/// Whether an agent is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// No check has succeeded, and not enough have failed.
    Starting,
    /// The last checks did not fail often enough to say otherwise.
    Healthy,
    /// As many checks in a row have failed as make it so.
    Unhealthy,
}

impl Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is well.
    Well,
    /// It is not, and what the check said.
    Failed(String),
    /// The check could not be made, and why.
    Unknown(String),
}

/// What the checks of one incarnation of an agent say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    session: String,
    rules: standing::Health,
    /// When its checks began (monotonic).
    began: Duration,
    /// Its health, and since when.
    health: (Health, Timestamp),
    /// How many checks in a row have failed, counted or not.
    failures: u32,
    /// How many of them count.
    counted: u32,
    /// What the last failure said.
    said: Option<String>,
}

impl Course {
    /// That of an agent that lives in the session with this id, and was not checked there.
    pub fn begins(session: &str, rules: standing::Health, now: Now) -> Self {
        Course {
            session: session.to_owned(),
            rules,
            began: now.mono,
            health: (Health::Starting, now.wall),
            failures: 0,
            counted: 0,
            said: None,
        }
    }

    /// Whether it is about this session and these rules.
    pub fn is_of(&self, session: &str, rules: &standing::Health) -> bool {
        self.session == session && self.rules == *rules
    }

    /// The id of the session it is about.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Its health.
    pub fn health(&self) -> Health {
        self.health.0
    }

    /// Since when it has this health.
    pub fn since(&self) -> Timestamp {
        self.health.1
    }

    /// How many checks in a row have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What the last failure said, if the last check failed.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Takes the result of a check. Returns its health when that is another one than before.
    pub fn takes(&mut self, checked: &Checked, now: Now) -> Option<Health> {
        let next = match checked {
            Checked::Unknown(_) => return None,
            Checked::Well => {
                (self.failures, self.counted, self.said) = (0, 0, None);
                Health::Healthy
            }
            Checked::Failed(said) => {
                self.failures = self.failures.saturating_add(1);
                self.said = Some(said.clone());
                if !self.is_in_grace(now) {
                    self.counted = self.counted.saturating_add(1);
                }
                if self.counted >= self.rules.retries.max(1) { Health::Unhealthy } else { self.health.0 }
            }
        };
        (next != self.health.0).then(|| {
            self.health = (next, now.wall);
            next
        })
    }

    /// The time from the end of a check to the next one.
    pub fn pause(&self, now: Now) -> Duration {
        let interval = self.rules.interval;
        if self.is_in_grace(now) { interval.min(START_INTERVAL) } else { interval }
    }

    /// Whether failures do not count yet. As with Docker the first that counts is not made earlier than one interval after the start; a
    /// success ends it.
    fn is_in_grace(&self, now: Now) -> bool {
        let grace = self.rules.start_period.max(self.rules.interval);
        self.health.0 == Health::Starting && now.mono.saturating_sub(self.began) < grace
    }

    /// What its failures are, for people: `3 checks in a row failed: exit code 1: no connection`.
    pub fn failed(&self) -> String {
        let said = self.said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
        match self.failures {
            1 => format!("its check failed{said}"),
            failures => format!("{failures} checks in a row failed{said}"),
        }
    }
}

/// What a check printed, as it is kept: its last line that is not empty, without secrets and control characters, and bounded.
pub fn last_line(printed: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let masked = secrets::mask(&lines);
    let line = masked.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty())?;
    Some(bounded(&terminal::one_line(line)))
}

/// The beginning of a text, where it is too long to be kept.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::standing::Check;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(seconds: u64) -> Now {
        let wall = Timestamp::from_second(1_800_000_000 + seconds as i64).unwrap();
        Now { mono: secs(1_000 + seconds), wall }
    }

    fn rules(retries: u32, start_period: u64) -> standing::Health {
        let check = Check::Command("true".into());
        standing::Health {
            check,
            interval: secs(10),
            timeout: secs(5),
            retries,
            start_period: secs(start_period),
        }
    }

    /// The edges that checks at these seconds lead to: `+` a success, `-` a failure, `?` one that could not be made.
    fn edges(rules: standing::Health, checks: &[(u64, char)]) -> Vec<String> {
        let mut course = Course::begins("$1", rules, at(0));
        let mut edges = Vec::new();
        for (second, check) in checks {
            let checked = match check {
                '+' => Checked::Well,
                '-' => Checked::Failed("exit code 1".into()),
                _ => Checked::Unknown("no sh".into()),
            };
            let edge = course.takes(&checked, at(*second));
            edges.extend(edge.map(|health| format!("{second} {health}")));
            assert!(
                edge.is_none_or(|health| (health, at(*second).wall) == (course.health(), course.since()))
            );
        }
        edges
    }

    #[test]
    fn what_checks_lead_to() {
        for (name, rules, checks, expected) in [
            ("a success at once", rules(3, 60), &[(0, '+')][..], &["0 healthy"][..]),
            ("failures before one interval do not count", rules(1, 0), &[(0, '-'), (5, '-'), (9, '-')], &[]),
            ("the first that counts", rules(1, 0), &[(0, '-'), (10, '-')], &["10 unhealthy"]),
            (
                "as many as must be",
                rules(3, 0),
                &[(10, '-'), (20, '-'), (30, '-'), (40, '-')],
                &["30 unhealthy"],
            ),
            ("start period", rules(1, 60), &[(10, '-'), (59, '-')], &[]),
            ("after the start period", rules(2, 60), &[(59, '-'), (60, '-'), (70, '-')], &["70 unhealthy"]),
            (
                "a success ends the start period",
                rules(2, 60),
                &[(10, '+'), (20, '-'), (30, '-')],
                &["10 healthy", "30 unhealthy"],
            ),
            (
                "a success in between",
                rules(2, 0),
                &[(10, '-'), (20, '+'), (30, '-'), (40, '+'), (50, '-')],
                &["20 healthy"],
            ),
            (
                "well again",
                rules(1, 0),
                &[(10, '-'), (20, '-'), (30, '+'), (40, '-')],
                &["10 unhealthy", "30 healthy", "40 unhealthy"],
            ),
            (
                "unknown is neither",
                rules(2, 0),
                &[(10, '-'), (20, '?'), (30, '?'), (40, '-')],
                &["40 unhealthy"],
            ),
            ("unknown alone", rules(1, 0), &[(10, '?'), (20, '?'), (30, '?')], &[]),
        ] {
            assert_eq!(edges(rules, checks), expected, "{name}");
        }
    }

    #[test]
    fn how_long_to_the_next_check() {
        for (name, rules, success, second, expected) in [
            ("it starts", rules(3, 60), false, 0, 5),
            ("its start period is nearly over", rules(3, 60), false, 59, 5),
            ("its start period is over", rules(3, 60), false, 60, 10),
            ("no start period", rules(3, 0), false, 9, 5),
            ("one interval is over", rules(3, 0), false, 10, 10),
            ("healthy in its start period", rules(3, 60), true, 10, 10),
            ("a short interval", standing::Health { interval: secs(1), ..rules(3, 60) }, false, 0, 1),
        ] {
            let mut course = Course::begins("$1", rules, at(0));
            if success {
                course.takes(&Checked::Well, at(0));
            }
            assert_eq!(course.pause(at(second)), secs(expected), "{name}");
        }
    }

    #[test]
    fn what_is_kept_of_what_a_check_said() {
        for (printed, expected) in [
            (&b""[..], None),
            (b"\n  \n", None),
            (b"first\nlast\n\n", Some("last".to_owned())),
            (b"\x1b[31mred\x07", Some(terminal::one_line("\x1b[31mred\x07"))),
            (b"TOKEN=abcdef0123456789", Some("TOKEN=[masked]".to_owned())),
            (&[b'x'; 1_000], Some(format!("{}…", "x".repeat(LONGEST)))),
        ] {
            let kept = last_line(printed);
            assert_eq!(kept, expected, "{printed:?}");
            assert!(kept.is_none_or(|kept| !kept.chars().any(char::is_control)));
        }
    }

    #[test]
    fn failures_in_words() {
        let mut course = Course::begins("$1", rules(3, 0), at(0));
        let failed = |said: &str| Checked::Failed(said.into());
        course.takes(&failed("exit code 1"), at(10));
        assert_eq!(course.failed(), "its check failed: exit code 1");
        course.takes(&failed("exit code 2"), at(20));
        assert_eq!(course.failed(), "2 checks in a row failed: exit code 2");
        course.takes(&Checked::Well, at(30));
        assert_eq!((course.failures(), course.said()), (0, None));
    }
}
