//! When the next message of a channel goes out, how many alerts it holds, and when one is given up. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Alert, Kind, VERSION};

/// The most messages of one channel within [`WINDOW`]; more alerts than that become one message.
pub const MOST: usize = 5;
const WINDOW: SignedDuration = SignedDuration::from_secs(30);

/// The pause after the first failure of a channel, doubled for each that follows,
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// and the longest.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// An alert that could not be delivered for this long is given up.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(6);
/// A message that the server refuses for what is in it is sent this often.
const REFUSALS: u32 = 3;

/// For how long it is shown that an alert was lost.
pub const LOST_IS_SHOWN: SignedDuration = SignedDuration::from_hours(24);

/// How many sentences a digest has.
const SENTENCES: usize = 5;

/// What to do with a channel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing waits.
    Rest,
    /// Send nothing before this time.
    Wait(Timestamp),
    /// Send the oldest alert.
    One,
    /// Send all alerts as one message.
    Digest,
}

/// What to do with a channel on which `waiting` alerts wait, that sent messages at these times, and that must not be tried
/// before `not_before`.
pub fn next(waiting: usize, sent: &[Timestamp], not_before: Option<Timestamp>, now: Timestamp) -> Next {
    // A wall clock that was set back must not hold up anything.
    let longest = now + SignedDuration::try_from(LONGEST_RETRY).unwrap_or(SignedDuration::ZERO);
    let not_before = not_before.filter(|at| *at > now && *at <= longest);
    let recent: Vec<Timestamp> = sent.iter().copied().filter(|at| is_recent(*at, now)).collect();
    match (waiting, not_before) {
        (0, _) => Next::Rest,
        (_, Some(at)) => Next::Wait(at),
        _ if recent.len() >= MOST => {
            recent.get(recent.len() - MOST).map_or(Next::One, |first| Next::Wait(*first + WINDOW))
        }
        (2.., _) if waiting + recent.len() > MOST => Next::Digest,
        _ => Next::One,
    }
}

/// Whether a message that was sent then still counts.
pub fn is_recent(sent: Timestamp, now: Timestamp) -> bool {
    sent <= now && now.duration_since(sent) < WINDOW
}

/// The pause after this many failures in a row.
pub fn retry_after(failures: u32) -> Duration {
    let doubled = FIRST_RETRY.checked_mul(1 << failures.saturating_sub(1).min(16));
    doubled.unwrap_or(LONGEST_RETRY).min(LONGEST_RETRY)
}

/// Whether an alert of this time is given up, which was refused this often in a row for what is in it.
pub fn is_given_up(at: Timestamp, now: Timestamp, refusals: u32) -> bool {
    now.duration_since(at) > GIVE_UP || refusals >= REFUSALS
}

/// Whether it is still shown that an alert was lost then. A wall clock that was set back hides nothing.
pub fn is_lost_shown(lost: Timestamp, now: Timestamp) -> bool {
    now.duration_since(lost) < LOST_IS_SHOWN
}

/// One message about several alerts: counts by kind, and the first sentences. `None` when there are none.
pub fn digest(alerts: &[Alert]) -> Option<Alert> {
    let (first, last) = (alerts.first()?, alerts.last()?);
    let mut kinds = BTreeMap::<String, usize>::new();
    for alert in alerts {
        let over = if alert.resolved { " resolved" } else { "" };
        *kinds.entry(format!("{}{over}", alert.kind.code())).or_default() += 1;
    }
    let counts: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let sentences = alerts.iter().take(SENTENCES).map(|alert| {
        if alert.resolved { format!("Resolved: {}", alert.summary) } else { alert.summary.clone() }
    });
    let sentences: Vec<String> = sentences.collect();
    let more = alerts.len().saturating_sub(SENTENCES);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let agents: BTreeSet<&String> = alerts.iter().flat_map(|alert| &alert.agents).collect();
    let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    let payload = json!({"count": alerts.len(), "kinds": kinds, "alerts": ids});
    Some(Alert {
        version: VERSION,
        // The same alerts have the same id when they are sent again.
        id: format!("{}+{}", first.id, alerts.len() - 1),
        at: last.at,
        kind: Kind::Digest,
        severity: alerts
            .iter()
            .filter(|it| !it.resolved)
            .map(|it| it.severity)
            .max()
            .unwrap_or(last.severity),
        summary: format!("{} alerts ({}): {}{more}", alerts.len(), counts.join(", "), sentences.join("; ")),
        town: last.town.clone(),
        host: last.host.clone(),
        agents: agents.into_iter().cloned().collect(),
        attach: None,
        resolved: alerts.iter().all(|alert| alert.resolved),
        event: event(last.at, Kind::Digest.code(), payload),
    })
}

/// An event in the form of the event log.
pub fn event(at: Timestamp, kind: &str, payload: Value) -> Value {
    serde_json::to_value(crate::town::events::Event::ours(at, kind, payload)).unwrap_or_default()
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
