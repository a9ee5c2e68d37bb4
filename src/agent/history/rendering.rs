//! An agent's history as people read it: one line an entry, in their time zone. Pure.

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::{Entry, History};

/// The lines, oldest first: `10:02:16 died: crashed (exit 137), hook gt-abc → waiting: restart 2 waits, until 10:02:46`.
/// Times are of this zone, and have a date where that is not today's. The state stands where it changed.
pub fn lines(history: &History, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let times = Times { zone, today: now.to_zoned(zone.clone()) };
    let mut state = None;
    let line = |entry: &Entry| {
        let changed = entry.state.filter(|now| state != Some(*now));
        state = entry.state.or(state);
        let state = changed.map_or("", |state| state.as_str());
        let until = entry.until.map(|until| format!("until {}", times.show(until)));
        let mut done = entry.done.clone();
        if let Some(until) = until {
            done = if done.is_empty() { until } else { format!("{done}, {until}") };
        }
        let result = match (state, done.as_str()) {
            ("", done) => done.to_owned(),
            (state, "") => state.to_owned(),
            (state, done) => format!("{state}: {done}"),
        };
        let what = match (entry.seen.as_str(), result.as_str()) {
            (seen, "") => seen.to_owned(),
            ("", result) => result.to_owned(),
            (seen, result) => format!("{seen} → {result}"),
        };
        let often = match entry.last {
            Some(last) => format!(" ({} times, last {})", entry.times, times.show(last)),
            None => String::new(),
        };
        format!("{} {what}{often}", times.show(entry.at))
    };
    history.entries.iter().map(line).collect()
}

struct Times<'a> {
    zone: &'a TimeZone,
    today: Zoned,
}

impl Times<'_> {
    fn show(&self, time: Timestamp) -> String {
        let local = time.to_zoned(self.zone.clone());
        let form = if local.date() == self.today.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        local.strftime(form).to_string()
    }
}
