//! Events: the supervisor's own lines in the town's raw event log, `.events.jsonl`.
//!
//! Each event is one line in one write, under the log's lock, in order. An event that cannot be written stays in the
//! outbox, is reported once as a problem, and is retried with the other failed writes and by the curator. Nothing
//! waits for an event. In a 1.x town each line wakes every agent that waits: routine events are not written there.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{
    ports::{
        Ports,
        problems::{Condition, ProblemKey},
    },
    town::events::Event,
};

/// Maximum number of waiting lines; beyond it the oldest is dropped.
const MOST: usize = 1000;

/// The key of the problem that events cannot be written.
const PROBLEM: ProblemKey = ProblemKey::named("events/write").meaning(Condition::CannotWrite);

/// The waiting lines, a part of what is [to be written](crate::ports::writes::Writes).
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    waiting: Arc<Mutex<VecDeque<String>>>,
    written: Arc<AtomicU64>,
    /// Held by the one writer, so that the lines stay in order.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// Appends an event, now or as soon as possible; a routine event only where that wakes nobody.
pub async fn append(ports: &Ports, event: &Event) {
    if event.is_routine() && ports.dialect().facts().events_wake_agents {
        return;
    }
    match event.line() {
        Ok(line) => ports.writes.events.put(line),
        // Nothing can be written, not even an empty line.
        Err(error) => {
            tracing::error!("the event {} is lost: it cannot be written as JSON: {error}", event.kind)
        }
    }
    ports.writes.events.flush(ports).await;
}

impl Outbox {
    /// The number of waiting lines.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    /// The number of lines that this process has written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn put(&self, line: String) {
        let mut waiting = self.waiting.lock();
        if waiting.len() == MOST {
            waiting.pop_front();
            tracing::error!("more than {MOST} events wait to be written: the oldest is dropped");
        }
        waiting.push_back(line);
    }

    /// Writes the waiting lines, up to the first that cannot be written.
    pub async fn flush(&self, ports: &Ports) {
        let _turn = self.writing.lock().await;
        loop {
            // Removed first: when this task is cut short the line is written all the same, and it must not be written
            // twice.
            let Some(line) = self.waiting.lock().pop_front() else { return };
            match ports.files.append_line(&ports.paths.events(), &line, 0o644).await {
                Ok(()) => {
                    self.written.fetch_add(1, Ordering::Relaxed);
                    ports.problems.clear(&PROBLEM);
                }
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
