//! Histories: what happened to all agents since a time, in one list.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    answers::{answer, refusal},
    reporter::Reporter,
};
use crate::agent::{history::Entry, record::Records};

/// What happened to one agent, as one of the list that `GET /v1/history` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Happened {
    /// The agent.
    pub identity: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// Since when.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Since {
    since: Option<Timestamp>,
}

/// Answers what happened since then, oldest first.
pub(super) async fn since(
    State(reporter): State<Arc<Reporter>>,
    since: Result<Query<Since>, QueryRejection>,
) -> Response {
    let Ok(Query(Since { since })) = since else {
        return refusal(StatusCode::BAD_REQUEST, "`since` must be a time such as 2026-01-31T12:00:00Z");
    };
    answer(&all_since(&reporter.deps().records, since))
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
        entries.into_iter().map(move |entry| Happened { identity: identity.clone(), entry })
    });
    let is_new = |it: &Happened| since.is_none_or(|since| it.entry.latest() >= since);
    let mut happened: Vec<Happened> = all.filter(is_new).collect();
    happened.sort_by_key(|it| it.entry.latest());
    happened
}
