//! Events: the supervisor's own lines in the town's raw event log, `.events.jsonl`.
//!
//! One line, one write, under the log's lock. A log that cannot be written is reported once, and the event is written a
//! little later; nothing waits for it.

use std::time::Duration;

use crate::{deps::Deps, town::events::Event};

/// How long after a failure it is tried again; then the event is given up.
const RETRIES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// Appends an event. Takes as long as the retries do; to be run as a task.
pub async fn append(deps: &Deps, event: &Event) {
    let path = deps.paths.events();
    let key = "events/write";
    for pause in RETRIES.iter().map(Some).chain([None]) {
        match deps.files.append_line(&path, &event.line(), 0o644).await {
            Ok(()) => {
                deps.problems.clear(key);
                return;
            }
            Err(error) => {
                deps.problems.report(key, format!(".events.jsonl cannot be written: {error}"));
            }
        }
        if let Some(pause) = pause {
            tokio::time::sleep(*pause).await;
        }
    }
}
