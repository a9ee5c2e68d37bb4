//! Events: the supervisor's own lines in the town's raw event log, `.events.jsonl`.
//!
//! One line, one write, under the log's lock, in the order they were told. What cannot be written waits in the outbox, is
//! reported once, and is tried again with the other writes that failed, and by the curator; nothing waits for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{ports::Ports, town::events::Event};

/// So many lines wait at the most; then the eldest is given up.
const MOST: usize = 1000;

/// What keeps events from being written, in the status.
const PROBLEM: &str = "events/write";

/// The lines that wait, a part of what is [to be written](crate::writes::Writes).
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
        Err(error) => tracing::error!("the event {} is lost: it cannot be made JSON: {error}", event.kind),
    }
    ports.writes.events.flush(ports).await;
}

impl Outbox {
    /// How many lines wait.
    pub fn waiting(&self) -> usize {
        self.locked().len()
    }

    fn put(&self, line: String) {
        let mut waiting = self.locked();
        if waiting.len() == MOST {
            waiting.pop_front();
            tracing::error!("more than {MOST} events wait to be written: the eldest is given up");
        }
        waiting.push_back(line);
    }

    /// Writes what waits, until the first that cannot be written.
    pub async fn flush(&self, ports: &Ports) {
        let _turn = self.writing.lock().await;
        loop {
            // Taken out first: whoever is cut short here has it written all the same, and it must not be written twice.
            let Some(line) = self.locked().pop_front() else { return };
            match ports.files.append_line(&ports.paths.events(), &line, 0o644).await {
                Ok(()) => ports.problems.clear(PROBLEM),
                Err(error) => {
                    self.locked().push_front(line);
                    let text = format!(".events.jsonl cannot be written: {error}; what is told waits");
                    ports.problems.report(PROBLEM, text);
                    ports.writes.wake();
                    return;
                }
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
