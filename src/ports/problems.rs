//! Problems: what is wrong right now, each logged once per change.
//!
//! A broken file or a missing tool is found again at every heartbeat. People want to read about it once, and to see it
//! in the status while it lasts. A caller that finds something wrong [`report`](Problems::report)s it under a stable
//! key; a caller that finds it in order [`clear`](Problems::clear)s the key. Only a change is logged. It must not decide
//! anything, and nothing may depend on its content: [`Problems`] cannot be read, and only reports get [`OpenProblems`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

/// The longest text of a problem, in characters: it may repeat text from other programs.
const LONGEST: usize = 2000;
/// Maximum number of problems shown; the rest is only counted.
const MOST: usize = 500;

/// Where problems are reported, shared by all parts of one supervisor. It is write-only: a reader must be given
/// [`OpenProblems`].
#[derive(Debug, Clone, Default)]
pub struct Problems(Open);

/// The open problems, for reports to people.
#[derive(Debug, Clone)]
pub struct OpenProblems(Open);

type Open = Arc<Shared>;

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<BTreeMap<String, Problem>>,
    /// Wakes those who show them.
    changed: watch::Sender<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Problem>> {
        self.open.lock()
    }

    /// Notes a problem; one that lasts keeps its beginning. Returns its text before.
    fn insert(&self, key: &str, text: String) -> Option<String> {
        let before = insert(&mut self.lock(), key, text.clone());
        if before.as_ref() != Some(&text) {
            self.changed.send_replace(());
        }
        before
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    text: String,
    /// When its key was first reported (tokio's clock, which tests pause).
    since: Instant,
}

impl Problems {
    /// Without open problems; the end to report to, and the end to read from.
    pub fn new() -> (Self, OpenProblems) {
        let problems = Self::default();
        let open = OpenProblems(problems.0.clone());
        (problems, open)
    }

    /// Notes that `key` is wrong in this way; logged as a warning when that is new.
    pub fn report(&self, key: impl Into<String>, text: impl Into<String>) {
        let (key, text) = (key.into(), bounded(text.into()));
        if self.0.insert(&key, text.clone()).as_ref() != Some(&text) {
            tracing::warn!(problem = key, "{text}");
        }
    }

    /// Records a problem without a line in the log, for a caller that has logged it already, or cannot.
    pub fn note(&self, key: &str, text: String) {
        self.0.insert(key, bounded(text));
    }

    /// Notes all problems of one kind as one: the first text, and how many more there are; an empty list clears it. For
    /// problems whose number others determine. While there are several, another first text or number is not logged.
    pub fn report_all<'a>(&self, key: &str, texts: impl IntoIterator<Item = &'a String>) {
        let mut texts = texts.into_iter();
        let Some(first) = texts.next() else {
            self.clear(key);
            return;
        };
        let more = texts.count();
        if more == 0 {
            self.report(key, first.as_str());
            return;
        }
        let text = bounded(format!("{first} (and {more} more of this kind)"));
        let before = self.0.insert(key, text.clone());
        if before.is_none_or(|before| !before.ends_with(" more of this kind)")) {
            tracing::warn!(problem = key, "{text}");
        }
    }

    /// Notes that `key` is in order again; logged when it was wrong before.
    pub fn clear(&self, key: &str) {
        let removed = self.0.lock().remove(key);
        if let Some(problem) = removed {
            self.0.changed.send_replace(());
            tracing::info!(problem = key, "Resolved: {}", problem.text);
        }
    }

    /// Removes every key with this prefix without logging: its subject is no longer supervised.
    pub fn forget(&self, prefix: &str) {
        self.0.lock().retain(|key, _| !key.starts_with(prefix));
        self.0.changed.send_replace(());
    }

    /// The end to read from, for tests.
    #[cfg(any(test, feature = "test-support"))]
    pub fn reader(&self) -> OpenProblems {
        OpenProblems(self.0.clone())
    }

    /// Like [`OpenProblems::list`], for tests.
    #[cfg(any(test, feature = "test-support"))]
    pub fn open(&self) -> BTreeMap<String, String> {
        self.reader().list()
    }

    /// Whether a key with this prefix is wrong, for tests.
    #[cfg(any(test, feature = "test-support"))]
    pub fn any(&self, prefix: &str) -> bool {
        self.0.lock().keys().any(|key| key.starts_with(prefix))
    }
}

impl OpenProblems {
    /// Moves with every change.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// All open problems, as key and text, ordered by key; beyond 500 only their number.
    pub fn list(&self) -> BTreeMap<String, String> {
        let open = self.0.lock();
        let mut shown: BTreeMap<String, String> =
            open.iter().take(MOST).map(|(key, problem)| (key.clone(), problem.text.clone())).collect();
        if open.len() > MOST {
            shown.insert("more".to_owned(), format!("and {} more problems, see the log", open.len() - MOST));
        }
        shown
    }

    /// What `select` makes of the key and text of each open problem, however many there are.
    pub fn select<T>(&self, mut select: impl FnMut(&str, &str) -> Option<T>) -> Vec<T> {
        self.0.lock().iter().filter_map(|(key, problem)| select(key, &problem.text)).collect()
    }

    /// For how long each of them has been open.
    pub fn ages(&self) -> BTreeMap<String, Duration> {
        self.0.lock().iter().take(MOST).map(|(key, problem)| (key.clone(), problem.since.elapsed())).collect()
    }
}

#[allow(clippy::disallowed_methods, reason = "who reports has no clock, and only reports read for how long")]
fn insert(open: &mut BTreeMap<String, Problem>, key: &str, text: String) -> Option<String> {
    match open.get_mut(key) {
        Some(problem) => Some(std::mem::replace(&mut problem.text, text)),
        None => {
            open.insert(key.to_owned(), Problem { text, since: Instant::now() });
            None
        }
    }
}

fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        let rest = text.split_off(end);
        // Keeps the text with the number.
        let end = rest.rfind(" (and ").filter(|at| rest.len() - at < 60).map_or("", |at| &rest[at..]);
        text = format!("{text}…{end}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_a_kind_are_one_and_all_are_bounded() {
        let problems = Problems::default();
        let texts = |n: usize| (0..n).map(|n| format!("mail {n} is broken")).collect::<Vec<_>>();
        let shown = || problems.open().get("mail").cloned();
        for (count, expected) in [
            (1, Some("mail 0 is broken")),
            (10_000, Some("mail 0 is broken (and 9999 more of this kind)")),
            (2, Some("mail 0 is broken (and 1 more of this kind)")),
            (1, Some("mail 0 is broken")),
            (0, None),
        ] {
            problems.report_all("mail", &texts(count));
            assert_eq!(shown().as_deref(), expected);
        }
        problems.report("long", "x".repeat(100_000));
        problems.report_all("longer", &[format!("y{}", "x".repeat(100_000)), "z".to_owned()]);
        assert!(problems.open()["long"].len() < LONGEST + 10);
        assert!(problems.open()["longer"].ends_with("… (and 1 more of this kind)"));
        for n in 0..10_000 {
            problems.report(format!("x/{n:05}"), "x");
        }
        assert_eq!(problems.open().len(), MOST + 1);
        assert_eq!(problems.open()["more"], "and 9502 more problems, see the log");
        assert!(problems.any("x/09999"), "each is still known");
    }

    #[test]
    fn forgets_by_prefix() {
        let problems = Problems::default();
        problems.report("rig/a/gate", "x");
        problems.report("rig/ab/gate", "y");
        assert!(problems.any("rig/a/") && !problems.any("rig/b"));
        problems.forget("rig/a/");
        assert_eq!(problems.open().into_keys().collect::<Vec<_>>(), ["rig/ab/gate"]);
    }
}
