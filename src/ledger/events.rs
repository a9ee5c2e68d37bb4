//! Events: the supervisor's own lines in the town's raw event log, `.events.jsonl`.
//!
//! One line, one write, under the log's lock. A log that cannot be written is reported once and tried again with the next
//! event; nothing waits for it.

use crate::{deps::Deps, town::events::Event};

/// Appends an event.
pub async fn append(deps: &Deps, event: &Event) {
    let path = deps.paths.events();
    let key = "events/write";
    match deps.files.append_line(&path, &event.line(), 0o644).await {
        Ok(()) => deps.problems.clear(key),
        Err(error) => deps.problems.report(key, format!(".events.jsonl cannot be written: {error}")),
    };
}
