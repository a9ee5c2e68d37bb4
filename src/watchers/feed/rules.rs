//! Whether and how an event appears in the feed. Pure: it uses the events' own times, so that a log that is read
//! again gives the same feed.
//!
//! Facts from Gas Town 0.2.6 to 0.3 (`internal/feed/curator.go`): a `done` soon after the same actor's last one is
//! left out, and slings by one actor in a short time are counted together.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{event::RawEvent, summary};
use crate::town::settings::Feed as FeedSettings;

/// Maximum number of remembered actors; the one that was silent longest is dropped first.
const ACTORS: usize = 1000;
/// Maximum number of remembered slings of one actor.
const SLINGS: usize = 1000;

/// A line of the feed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedLine {
    /// The time, as in the log.
    pub ts: String,
    /// The program that wrote it into the log.
    pub source: String,
    /// The kind of event.
    #[serde(rename = "type")]
    pub kind: String,
    /// The agent or person that did it.
    pub actor: String,
    /// One line for people.
    pub summary: String,
    /// The details.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub payload: Map<String, Value>,
    /// The number of events it stands for, when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

impl FeedLine {
    /// The line as written, without its newline.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The recent events, as far as later events depend on them. Stored across restarts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Windows {
    /// The last `done` that was written, by actor.
    done: BTreeMap<String, Timestamp>,
    /// The latest slings, by actor, in order of arrival.
    slings: BTreeMap<String, VecDeque<Timestamp>>,
}

impl Windows {
    /// Takes an event, and returns its line, if the feed gets one.
    pub fn take(&mut self, event: &RawEvent, settings: &FeedSettings) -> Option<FeedLine> {
        // Slings count whether or not they are visible.
        let count = if event.kind == "sling" { self.sling(event, settings.sling_window) } else { 0 };
        if !event.visible || event.kind == "done" && !self.done(event, settings.done_window) {
            return None;
        }
        let count = (count >= settings.sling_count as usize && count > 0).then_some(count);
        Some(FeedLine {
            ts: event.ts.clone(),
            source: event.source.clone(),
            kind: event.kind.clone(),
            actor: event.actor.clone(),
            summary: match count {
                Some(count) => summary::dispatching(&event.actor, count),
                None => summary::summary(event),
            },
            payload: event.payload.clone(),
            count,
        })
    }

    /// The number of slings by this actor in the window before this one, including it.
    fn sling(&mut self, event: &RawEvent, window: Duration) -> usize {
        make_room(&mut self.slings, &event.actor, |slings| slings.back().copied());
        let slings = self.slings.entry(event.actor.clone()).or_default();
        slings.retain(|at| is_within(*at, event.at, window));
        if slings.len() == SLINGS {
            slings.pop_front();
        }
        slings.push_back(event.at);
        slings.len()
    }

    /// Whether this `done` belongs in the feed.
    fn done(&mut self, event: &RawEvent, window: Duration) -> bool {
        if self.done.get(&event.actor).is_some_and(|last| is_within(*last, event.at, window)) {
            return false;
        }
        make_room(&mut self.done, &event.actor, |last| Some(*last));
        self.done.insert(event.actor.clone(), event.at);
        true
    }
}

/// Whether two times are within a window. Clocks differ, so a time slightly in the future counts too.
fn is_within(one: Timestamp, other: Timestamp, window: Duration) -> bool {
    one.duration_since(other).unsigned_abs() < window
}

fn make_room<T>(known: &mut BTreeMap<String, T>, actor: &str, last: impl Fn(&T) -> Option<Timestamp>) {
    if known.len() < ACTORS || known.contains_key(actor) {
        return;
    }
    let oldest = known.iter().min_by_key(|(_, it)| last(it)).map(|(actor, _)| actor.clone());
    oldest.and_then(|oldest| known.remove(&oldest));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, actor: &str, second: i64, visible: bool) -> RawEvent {
        let at = Timestamp::from_second(1_800_000_000 + second).unwrap();
        RawEvent {
            ts: at.to_string(),
            at,
            source: "gt".into(),
            kind: kind.into(),
            actor: actor.into(),
            payload: Map::new(),
            visible,
        }
    }

    fn lines(events: &[(&str, &str, i64, bool)]) -> Vec<Option<usize>> {
        let (mut windows, settings) = (Windows::default(), FeedSettings::default());
        let taken = events.iter().map(|(kind, actor, second, visible)| {
            windows.take(&event(kind, actor, *second, *visible), &settings)
        });
        taken.map(|line| line.map(|line| line.count.unwrap_or(0))).collect()
    }

    #[test]
    fn a_done_soon_after_the_last_is_left_out() {
        for (name, seconds, written) in [
            ("one", vec![0], vec![true]),
            ("two at once", vec![0, 0], vec![true, false]),
            ("just within", vec![0, 9], vec![true, false]),
            ("at the end of the window", vec![0, 10], vec![true, true]),
            ("measured from the last that was written", vec![0, 9, 11], vec![true, false, true]),
            ("a clock that is a little behind", vec![5, 0], vec![true, false]),
            ("a clock that is far behind", vec![50, 0], vec![true, true]),
        ] {
            let events: Vec<_> = seconds.iter().map(|second| ("done", "a", *second, true)).collect();
            assert_eq!(lines(&events).iter().map(Option::is_some).collect::<Vec<_>>(), written, "{name}");
        }
        assert_eq!(
            lines(&[("done", "a", 0, true), ("done", "b", 1, true)]),
            [Some(0), Some(0)],
            "another actor"
        );
        assert_eq!(
            lines(&[("done", "a", 0, false), ("done", "a", 1, true)]),
            [None, Some(0)],
            "one nobody saw"
        );
    }

    #[test]
    fn slings_in_a_short_time_are_counted() {
        for (name, events, counts) in [
            ("two", vec![(0, true), (1, true)], vec![Some(0), Some(0)]),
            ("three", vec![(0, true), (1, true), (2, true)], vec![Some(0), Some(0), Some(3)]),
            (
                "four",
                vec![(0, true), (1, true), (2, true), (3, true)],
                vec![Some(0), Some(0), Some(3), Some(4)],
            ),
            ("hidden ones count", vec![(0, false), (1, false), (2, true)], vec![None, None, Some(3)]),
            ("spread out", vec![(0, true), (20, true), (40, true)], vec![Some(0), Some(0), Some(0)]),
            (
                "at the end of the window",
                vec![(0, true), (1, true), (30, true)],
                vec![Some(0), Some(0), Some(0)],
            ),
            ("just within", vec![(0, true), (1, true), (29, true)], vec![Some(0), Some(0), Some(3)]),
        ] {
            let events: Vec<_> =
                events.iter().map(|(second, visible)| ("sling", "a", *second, *visible)).collect();
            assert_eq!(lines(&events), counts, "{name}");
        }
        let of_two = [("sling", "a", 0, true), ("sling", "b", 1, true), ("sling", "a", 2, true)];
        assert_eq!(lines(&of_two), [Some(0), Some(0), Some(0)], "two actors");
    }

    #[test]
    fn only_what_is_to_be_seen_and_in_the_shape_of_the_feed() {
        let (mut windows, settings) = (Windows::default(), FeedSettings::default());
        assert_eq!(windows.take(&event("mail", "a", 0, false), &settings), None);
        let line = windows.take(&event("mail", "a", 0, true), &settings).unwrap();
        let expected = r#"{"ts":"2027-01-15T08:00:00Z","source":"gt","type":"mail","actor":"a","summary":"a sent mail"}"#;
        assert_eq!(line.text().unwrap(), expected);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut windows, settings) = (Windows::default(), FeedSettings::default());
        for number in 0..3000 {
            let actor = format!("a{number}");
            windows.take(&event("done", &actor, number, true), &settings);
            windows.take(&event("sling", &actor, number, true), &settings);
            windows.take(&event("sling", "one", 0, true), &settings);
        }
        assert!(windows.done.len() <= ACTORS && windows.slings.len() <= ACTORS);
        assert!(windows.slings.values().all(|slings| slings.len() <= SLINGS));
        assert!(windows.done.contains_key("a2999"), "the newest are kept");
    }

    #[test]
    fn stored_and_loaded_again_it_continues_as_before() {
        let (mut windows, settings) = (Windows::default(), FeedSettings::default());
        let events: Vec<RawEvent> = (0..40)
            .map(|number| event(["done", "sling"][number % 2], "a", number as i64 / 2, true))
            .collect();
        let mut whole = windows.clone();
        for event in &events {
            let expected = whole.take(event, &settings);
            windows = serde_json::from_str(&serde_json::to_string(&windows).unwrap()).unwrap();
            assert_eq!(windows.take(event, &settings), expected);
        }
    }
}
