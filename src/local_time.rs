//! Local time: how times and ages are shown to people, in their time zone. Pure.
//!
//! In JSON, in files and in texts that rules make, times are in UTC. Only what is printed for people goes through here.

use std::{sync::LazyLock, time::Duration};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use regex::{Captures, Regex};

use crate::go_duration;

/// A time in UTC within a text, as [`Timestamp`] prints it.
static IN_TEXT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b").ok());

/// Now, where the reader is.
#[derive(Debug, Clone)]
pub struct LocalTime {
    now: Zoned,
    /// Whether ages are shown in whole minutes.
    in_minutes: bool,
}

impl LocalTime {
    /// This time in this zone.
    pub fn new(now: Timestamp, zone: &TimeZone) -> Self {
        LocalTime { now: now.to_zoned(zone.clone()), in_minutes: false }
    }

    /// The same with ages in whole minutes, for what is not shown anew each second.
    pub fn in_minutes(self) -> Self {
        LocalTime { in_minutes: true, ..self }
    }

    /// The time it is.
    pub fn now(&self) -> Timestamp {
        self.now.timestamp()
    }

    /// The zone of the reader.
    pub fn zone(&self) -> &TimeZone {
        self.now.time_zone()
    }

    /// A time, with its date where that is not today's.
    pub fn time(&self, at: Timestamp) -> String {
        let at = at.to_zoned(self.now.time_zone().clone());
        let form = if at.date() == self.now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        at.strftime(form).to_string()
    }

    /// How long ago a time was, in its two largest units; no time for one that is ahead.
    pub fn age(&self, at: Timestamp) -> String {
        let age = Duration::try_from(self.now().duration_since(at)).unwrap_or_default();
        match age.as_secs() {
            0..60 if self.in_minutes => "<1m".to_owned(),
            seconds if self.in_minutes => go_duration::age(Duration::from_secs(seconds / 60 * 60)),
            _ => go_duration::age(age),
        }
    }

    /// A text with the times in it as [`time`](Self::time) shows them.
    pub fn text(&self, text: &str) -> String {
        let Some(times) = &*IN_TEXT else { return text.to_owned() };
        let shown = |found: &Captures<'_>| {
            let at = found[0].parse().map(|at| self.time(at));
            at.unwrap_or_else(|_| found[0].to_owned())
        };
        times.replace_all(text, shown).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, tz::Offset};

    use super::*;

    fn local() -> LocalTime {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        LocalTime::new(now, &TimeZone::fixed(Offset::constant(2)))
    }

    #[test]
    fn ages() {
        for (before, age) in
            [(0, "0s"), (59, "59s"), (61, "1m1s"), (3_700, "1h1m"), (90_000, "1d1h"), (-5, "0s")]
        {
            assert_eq!(local().age(local().now() - SignedDuration::from_secs(before)), age);
        }
        for (before, age) in [(59, "<1m"), (61, "1m"), (3_700, "1h1m")] {
            assert_eq!(local().in_minutes().age(local().now() - SignedDuration::from_secs(before)), age);
        }
    }

    #[test]
    fn times_in_texts() {
        for (text, expected) in [
            ("down since 2026-11-25T09:58:00Z: mail fails", "down since 11:58:00: mail fails"),
            ("until 2026-11-25T09:58:00.123456Z", "until 11:58:00"),
            ("2026-11-24T09:58:00Z and 2026-11-25T10:00:01Z", "2026-11-24 11:58:00 and 12:00:01"),
            ("late in the evening: 2026-11-25T22:30:00Z", "late in the evening: 2026-11-26 00:30:00"),
            ("not one: 2026-13-45T99:00:00Z", "not one: 2026-13-45T99:00:00Z"),
            ("of another zone: 2026-11-25T09:58:00+01:00", "of another zone: 2026-11-25T09:58:00+01:00"),
            ("no time", "no time"),
        ] {
            assert_eq!(local().text(text), expected);
        }
    }
}
