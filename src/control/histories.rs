//! Histories: what happened to all agents since a time, in one list.

use std::sync::Arc;

use axum::{
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

/// Answers what happened since then, oldest first.
pub(super) async fn since(
    State(reporter): State<Arc<Reporter>>,
    part: Result<Query<Part>, QueryRejection>,
) -> Response {
    let Ok(Query(Part { since, agent, limit })) = part else {
        let why = "`since` must be a time such as 2026-01-31T12:00:00Z, and `limit` a number";
        return refusal(StatusCode::BAD_REQUEST, why);
    };
    let deps = reporter.deps();
    let mut happened = match agent {
        None => all_since(&deps.records, since),
        Some(agent) => {
            let Some(report) = reporter.report().await else { return wedged() };
            match find(&reporter, &report, &agent, For::Showing) {
                Ok(identity) => {
                    let entries = deps.records.history(&identity).entries;
                    in_order([(identity.to_string(), entries)], since)
                }
                Err(unknown) => return no_such_agent(&unknown),
            }
        }
    };
    happened.drain(..happened.len().saturating_sub(limit.unwrap_or(usize::MAX)));
    put_in_words(&mut happened, deps.now().wall, &deps.clock.zone());
    answer(&happened)
}

/// Adds to each how it reads for people.
pub(super) fn put_in_words(happened: &mut [Happened], now: Timestamp, zone: &TimeZone) {
    for it in happened {
        it.text = rendering::words(&it.entry, now, zone);
    }
}

/// What happened to all agents since then, oldest first.
pub(super) fn all_since(records: &Records, since: Option<Timestamp>) -> Vec<Happened> {
    let of_all = records.entries_since(since.unwrap_or(Timestamp::MIN)).into_iter();
    in_order(of_all.map(|(identity, entries)| (identity.to_string(), entries)), since)
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
