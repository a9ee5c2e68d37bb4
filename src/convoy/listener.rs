//! Listener: what a child has told and nobody has taken yet.
//!
//! The child may tell faster than anybody looks. What it told is gathered here, bounded, and whoever takes it is called once
//! for all that came meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    activity::{self, Close, Said},
    rules::NAMED,
};
use crate::commands::Line;

/// What was told since it was last taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Closes, in order.
    pub closes: Vec<Close>,
    /// Closes beyond those kept.
    pub more: u64,
    /// Lines that were too long or could not be read.
    pub skipped: u64,
    /// It says that it is deaf.
    pub deaf: Option<String>,
}

/// Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Listener(Arc<Mutex<Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    told: Told,
    /// Somebody was called to take it.
    called: bool,
}

impl Listener {
    /// Takes a line in. Returns whether somebody is to be called to [`take`](Self::take) what there is.
    #[must_use]
    pub fn hear(&self, line: Line<'_>) -> bool {
        let said = match line {
            Line::Whole(line) => activity::read(line),
            Line::TooLong => Said::Unreadable,
        };
        let mut gathered = self.locked();
        match said {
            Said::Closed(close) if gathered.told.closes.len() < 4 * NAMED => gathered.told.closes.push(close),
            Said::Closed(_) => gathered.told.more += 1,
            Said::Unreadable => gathered.told.skipped += 1,
            Said::Deaf(why) => gathered.told.deaf = Some(why),
            // Nothing to be done about it.
            Said::Other => return false,
        }
        !std::mem::replace(&mut gathered.called, true)
    }

    /// All that was told since the last time.
    pub fn take(&self) -> Told {
        let mut gathered = self.locked();
        gathered.called = false;
        std::mem::take(&mut gathered.told)
    }

    fn locked(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &[u8] = br#"{"type":"status","issue_id":"a","new_status":"closed","timestamp":"t"}"#;
    const OTHER: &[u8] = br#"{"type":"create","issue_id":"a"}"#;

    #[test]
    fn who_listens_is_called_once_for_all_that_comes() {
        let listener = Listener::default();
        let hear = |line: &[u8]| listener.hear(Line::Whole(line));
        assert!(hear(CLOSED));
        assert!(!hear(CLOSED) && !hear(OTHER), "called already");
        let told = listener.take();
        assert_eq!((told.closes.len(), told.skipped), (2, 0));
        assert!(!hear(OTHER), "nothing to be done about it");
        assert!(hear(CLOSED) && !hear(b"not json") && !listener.hear(Line::TooLong));
        let told = listener.take();
        assert_eq!((told.closes.len(), told.skipped), (1, 2));
        assert!(hear(br#"{"type":"error","message":"daemon unreachable"}"#));
        assert_eq!(listener.take().deaf.as_deref(), Some("daemon unreachable"));
        assert_eq!(listener.take(), Told::default());
    }

    #[test]
    fn a_flood_is_bounded() {
        let listener = Listener::default();
        for _ in 0..100_000 {
            let _ = listener.hear(Line::Whole(CLOSED));
        }
        let told = listener.take();
        assert_eq!((told.closes.len(), told.more), (4 * NAMED, 100_000 - 4 * NAMED as u64));
    }
}
