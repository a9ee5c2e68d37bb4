//! Histories: what happened to all agents since a time, in one list.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{
    answers::{For, answer, find, no_such_agent, refusal, wedged},
    reporter::Reporter,
};
use crate::agent::{
    history::{Entry, rendering},
    record::Records,
};
use crate::town::identity::Identity;

/// What happened to one agent, as one of the list that `GET /v1/history` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened {
    /// The agent.
    pub identity: String,
    /// The same as one line for people, with times of the supervisor's zone; empty when no supervisor says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Which part is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    /// Only what happened since.
    since: Option<Timestamp>,
    /// Only this agent, in any spelling.
    agent: Option<String>,
    /// Only so many, the last.
    limit: Option<usize>,
}

/// So much is answered at once, where clients may be anybody.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtMost(pub usize);

/// Answers what happened since then, oldest first.
pub(super) async fn since(
    State(reporter): State<Arc<Reporter>>,
    part: Result<Query<Part>, QueryRejection>,
    at_most: Option<Extension<AtMost>>,
) -> Response {
    let Ok(Query(Part { since, agent, limit })) = part else {
        let why = "`since` must be a time such as 2026-01-31T12:00:00Z, and `limit` a number";
        return refusal(StatusCode::BAD_REQUEST, why);
    };
    let deps = reporter.deps();
    let agent = match agent {
        None => None,
        Some(agent) => {
            let Some(report) = reporter.report().await else { return wedged() };
            match find(&reporter, &report, &agent, For::Showing) {
                Ok(identity) => Some(identity),
                Err(unknown) => return no_such_agent(&unknown),
            }
        }
    };
    let most = at_most.map_or(usize::MAX, |Extension(AtMost(most))| most).min(limit.unwrap_or(usize::MAX));
    let mut happened = since_then(&deps.records, since, agent.as_ref(), most);
    put_in_words(&mut happened, deps.now().wall, &deps.clock.zone());
    answer(&happened)
}

/// Adds to each how it reads for people.
pub(super) fn put_in_words(happened: &mut [Happened], now: Timestamp, zone: &TimeZone) {
    for it in happened {
        it.text = rendering::words(&it.entry, now, zone);
    }
}

/// The last that happened since then, to one agent or to all, oldest first.
pub(super) fn since_then(
    records: &Records,
    since: Option<Timestamp>,
    of: Option<&Identity>,
    most: usize,
) -> Vec<Happened> {
    let entries = records.entries_since(since.unwrap_or(Timestamp::MIN), of, most).into_iter();
    let of_it = |(identity, entry): (Identity, Entry)| Happened {
        identity: identity.to_string(),
        text: String::new(),
        entry,
    };
    entries.map(of_it).collect()
}

/// What happened since then to agents with these histories, oldest first by when it happened last.
pub(super) fn in_order(
    histories: impl IntoIterator<Item = (String, Vec<Entry>)>,
    since: Option<Timestamp>,
) -> Vec<Happened> {
    let all = histories.into_iter().flat_map(|(identity, entries)| {
        let of_it = move |entry| Happened { identity: identity.clone(), text: String::new(), entry };
        entries.into_iter().map(of_it)
    });
    let is_new = |it: &Happened| since.is_none_or(|since| it.entry.latest() >= since);
    let mut happened: Vec<Happened> = all.filter(is_new).collect();
    happened.sort_by_key(|it| it.entry.latest());
    happened
}
