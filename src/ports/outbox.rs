//! Events: the supervisor's own lines in the town's raw event log, `.events.jsonl`.
//!
//! Each event is one line in one write, under the log's lock, in order. An event that cannot be written stays in the outbox, is
//! reported once as a problem, and is retried with the other failed writes and by the curator. Nothing waits for it.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use crate::{ports::Ports, town::events::Event};

/// Maximum number of waiting lines; then the oldest is dropped.
const MOST: usize = 1000;

/// What keeps events from being written, in the status.
const PROBLEM: &str = "events/write";

/// The lines that wait, a part of what is [to be written](crate::ports::writes::Writes).
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    waiting: Arc<Mutex<VecDeque<String>>>,
    /// One writes at a time, so that they stay in order.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// Appends an event, now or as soon as it can be.
pub async fn append(ports: &Ports, event: &Event) {
    match event.line() {
        Ok(line) => ports.writes.events.put(line),
        // Not even an empty line of it.
        Err(error) => {
            tracing::error!("the event {} is lost: it cannot be written as JSON: {error}", event.kind)
        }
    }
    ports.writes.events.flush(ports).await;
}

impl Outbox {
    /// How many lines wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    fn put(&self, line: String) {
        let mut waiting = self.waiting.lock();
        if waiting.len() == MOST {
            waiting.pop_front();
            tracing::error!("more than {MOST} events wait to be written: the oldest is dropped");
        }
        waiting.push_back(line);
    }

    /// Writes what waits, until the first that cannot be written.
    pub async fn flush(&self, ports: &Ports) {
        let _turn = self.writing.lock().await;
        loop {
            // Taken out first: whoever is cut short here has it written all the same, and it must not be written twice.
            let Some(line) = self.waiting.lock().pop_front() else { return };
            match ports.files.append_line(&ports.paths.events(), &line, 0o644).await {
                Ok(()) => ports.problems.clear(PROBLEM),
                Err(error) => {
                    self.waiting.lock().push_front(line);
                    let text = format!(".events.jsonl cannot be written: {error}; events wait until it can");
                    ports.problems.report(PROBLEM, text);
                    ports.writes.wake();
                    return;
                }
            }
        }
    }
}
