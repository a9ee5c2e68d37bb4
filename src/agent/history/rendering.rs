//! An agent's history as people read it: one line an entry, in their time zone, and below a death how the agent died. Pure.

use jiff::{Timestamp, tz::TimeZone};

use super::{Ending, Entry};
use crate::{agent::phase::Phase, local_time::LocalTime, width};

/// The width of what is shown below a death, in columns.
const COLUMNS: usize = 80;

/// The lines, oldest first: `10:02:16 died: crashed (exit 137), hook gt-abc → waiting: restart 2 waits, next try 10:02:46`.
/// Times are of this zone, and have a date where that is not today's. The state stands where it changed. Lines below a death
/// are indented: how long the agent lived, its signal, and its last screen, each line cut at 80 columns.
pub fn lines(entries: &[Entry], now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let local = LocalTime::new(now, zone);
    let mut state = None;
    let line = |entry: &Entry| {
        let changed = entry.state.filter(|now| state != Some(*now));
        state = entry.state.or(state);
        let state = changed.map_or("", |state| state.as_str());
        // A hold ends then; for one that is to be started, something begins.
        let word = if entry.state == Some(Phase::Held) { "until" } else { "next try" };
        let until = entry.until.map(|until| format!("{word} {}", local.time(until)));
        let done = match (entry.done.as_str(), until) {
            (done, None) => done.to_owned(),
            ("", Some(until)) => until,
            (done, Some(until)) => format!("{done}, {until}"),
        };
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
            Some(last) => format!(" ({} times, last {})", entry.times, local.time(last)),
            None => String::new(),
        };
        let line = format!("{} {}{often}", local.time(entry.at), local.text(&what));
        let death = entry.death.as_deref().map(below).unwrap_or_default();
        std::iter::once(line).chain(death)
    };
    entries.iter().flat_map(line).collect()
}

/// An entry as [`lines`] shows it, without its time and what stands below a death.
pub fn words(entry: &Entry, now: Timestamp, zone: &TimeZone) -> String {
    let (lines, local) = (lines(std::slice::from_ref(entry), now, zone), LocalTime::new(now, zone));
    let (line, time) = (lines.first().map(String::as_str).unwrap_or_default(), local.time(entry.at));
    line.strip_prefix(&time).unwrap_or(line).trim_start().to_owned()
}

fn below(death: &Ending) -> Vec<String> {
    let summary = Some(death.summary()).filter(|it| !it.is_empty()).map(|it| format!("    {it}"));
    let screen = death.last_screen.iter().map(|line| width::cut(&format!("    | {line}"), COLUMNS));
    summary.into_iter().chain(screen).collect()
}
