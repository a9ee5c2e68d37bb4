//! `GET /metrics`: what was counted, what the report says, and what the kernel says of this process, as Prometheus reads it.
//!
//! What was counted is there whatever the actors do. What needs a report that does not come in time is absent and not zero, and
//! `gastown_supervisor_report_up` says so. Names are in [`table`]. It must not count anything.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tokio::time::timeout;

use super::{answers, report::StatusReport, reporter::Reporter};
use crate::{
    deps::Deps,
    ports::metrics::{Measured, Page, table},
    processes::own,
};

mod accepted;
mod reported;

/// A report that takes longer is not waited for. It has limits of its own, but clients may queue for it.
const REPORT: Duration = Duration::from_secs(2);
/// A disk that does not say by then how long the event log is does not hold up the page.
const LOG: Duration = Duration::from_millis(100);

/// The page of metrics, in the format that the client asks for.
pub(super) async fn page(State(reporter): State<Arc<Reporter>>, headers: HeaderMap) -> Response {
    let format = accepted::format(headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()));
    let report = timeout(REPORT, reporter.report()).await.ok().flatten();
    let started_at = reporter.process().started_at;
    let page = whole(reporter.deps(), reporter.measured(), started_at, report.as_deref()).await;
    match page.text(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => {
            let why = format!("the metrics cannot be written: {error}");
            answers::refusal(StatusCode::INTERNAL_SERVER_ERROR, &why)
        }
    }
}

/// The whole page of a process that started then; without what a report says where there is none.
pub async fn whole(
    deps: &Deps,
    measured: &Measured,
    started_at: Timestamp,
    report: Option<&StatusReport>,
) -> Page {
    let mut page = Page::default();
    build(&mut page, deps);
    page.put(&table::REPORT_UP, f64::from(u8::from(report.is_some())));
    if let Some(report) = report {
        let log = timeout(LOG, length_of_log(deps)).await;
        reported::onto(&mut page, report, log.ok().flatten());
    }
    measured.onto(&mut page);
    process(&mut page, started_at);
    page
}

/// How long the event log is; `None` when that is not known.
async fn length_of_log(deps: &Deps) -> Option<u64> {
    match deps.journals.open(&deps.paths.events()).await.ok()? {
        Some(log) => log.length().await.ok(),
        None => Some(0),
    }
}

fn build(page: &mut Page, deps: &Deps) {
    let version = env!("CARGO_PKG_VERSION");
    let commit = env!("GTS_VERSION").split_once('(').map_or("", |(_, commit)| commit.trim_end_matches(')'));
    let labels = [version, commit, deps.dialect().facts().name].map(str::to_owned);
    page.put_all(&table::BUILD, [(labels.to_vec(), 1.0)]);
}

fn process(page: &mut Page, started_at: Timestamp) {
    page.put(&table::PROCESS_START, seconds(started_at));
    let Some(own) = own::read() else { return };
    page.put(&table::PROCESS_CPU, own.cpu.as_secs_f64());
    page.put(&table::PROCESS_RESIDENT, own.resident as f64);
    page.put(&table::PROCESS_VIRTUAL, own.virtual_memory as f64);
    page.put(&table::PROCESS_THREADS, own.threads as f64);
    for (row, value) in
        [(&table::PROCESS_OPEN_FDS, own.open_files), (&table::PROCESS_MAX_FDS, own.most_files)]
    {
        if let Some(value) = value {
            page.put(row, value as f64);
        }
    }
}

/// A time in seconds since 1970.
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}
