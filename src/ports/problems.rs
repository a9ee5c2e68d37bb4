//! Problems: what is wrong right now, each logged once per change.
//!
//! A broken file or a missing tool is found again at every heartbeat. People want to read about it once, and to see it
//! in the status while it lasts. A caller that finds something wrong [`report`](Problems::report)s it under a stable
//! [key](ProblemKey); a caller that finds it in order [`clear`](Problems::clear)s the key. Only a change is logged. It must not decide
//! anything, and nothing may depend on its content: [`Problems`] cannot be read, and only reports get [`OpenProblems`].

mod key;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

pub use self::key::{Condition, ProblemKey, Severity};

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
    /// Wakes who shows them.
    changed: watch::Sender<()>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    key: ProblemKey,
    text: String,
    /// When its key was first reported (tokio's clock, which tests pause).
    since: Instant,
}

/// One open problem, for a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenProblem {
    /// Its name, and the facts about it.
    pub key: ProblemKey,
    /// What is wrong.
    pub text: String,
    /// For how long it has been open, where that is known.
    pub age: Option<Duration>,
}

impl Problems {
    /// Without open problems; the end to report to, and the end to read from.
    pub fn new() -> (Self, OpenProblems) {
        let problems = Self::default();
        let open = OpenProblems(problems.0.clone());
        (problems, open)
    }

    /// Notes that `key` is wrong in this way; logged as a warning when that is new.
    pub fn report(&self, key: impl Into<ProblemKey>, text: impl Into<String>) {
        let (key, text) = (key.into(), bounded(text.into()));
        let before = self.insert(key.clone(), &text);
        if before.is_none_or(|before| before != text) {
            tracing::warn!(problem = key.name(), "{text}");
        }
    }

    /// Records a problem without a line in the log, for a caller that has logged it already, or cannot.
    pub fn note(&self, key: impl Into<ProblemKey>, text: String) {
        self.insert(key.into(), &bounded(text));
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
        let before = self.insert(key.into(), &text);
        if before.is_none_or(|before| !before.ends_with(" more of this kind)")) {
            tracing::warn!(problem = key, "{text}");
        }
    }

    /// Notes that `key` is in order again; logged when it was wrong before.
    pub fn clear(&self, key: &(impl AsRef<str> + ?Sized)) {
        let removed = self.0.open.lock().remove(key.as_ref());
        if let Some(problem) = removed {
            tracing::info!(problem = key.as_ref(), "Resolved: {}", problem.text);
            self.0.changed.send_replace(());
        }
    }

    /// Removes every key with this prefix without logging: its subject is no longer supervised.
    pub fn forget(&self, prefix: &str) {
        let mut open = self.0.open.lock();
        let before = open.len();
        open.retain(|key, _| !key.starts_with(prefix));
        if open.len() < before {
            self.0.changed.send_replace(());
        }
    }

    /// Notes a problem; one that lasts keeps its beginning. Returns its text before.
    #[allow(
        clippy::disallowed_methods,
        reason = "who reports has no clock, and only reports read for how long"
    )]
    fn insert(&self, key: ProblemKey, text: &str) -> Option<String> {
        let mut open = self.0.open.lock();
        let before = match open.get_mut(key.name()) {
            Some(problem) => {
                problem.key = key;
                Some(std::mem::replace(&mut problem.text, text.to_owned()))
            }
            None => {
                let problem = Problem { text: text.to_owned(), since: Instant::now(), key };
                open.insert(problem.key.name().to_owned(), problem);
                None
            }
        };
        if before.as_deref() != Some(text) {
            self.0.changed.send_replace(());
        }
        before
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
        self.0.open.lock().keys().any(|key| key.starts_with(prefix))
    }
}

impl OpenProblems {
    /// All open problems, as key and text, ordered by key; beyond 500 only their number.
    pub fn list(&self) -> BTreeMap<String, String> {
        self.each().into_iter().map(|problem| (problem.key.name().to_owned(), problem.text)).collect()
    }

    /// All open problems, ordered by key; beyond 500 only their number.
    pub fn each(&self) -> Vec<OpenProblem> {
        let open = self.0.open.lock();
        let mut shown: Vec<OpenProblem> = open.values().take(MOST).map(Problem::shown).collect();
        if open.len() > MOST {
            let text = format!("and {} more problems, see the log", open.len() - MOST);
            shown.push(OpenProblem { key: ProblemKey::named("more"), text, age: None });
        }
        shown
    }

    /// Wakes when one is reported, is another one, or is over.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// What `select` makes of the key and text of each open problem, however many there are.
    pub fn select<T>(&self, mut select: impl FnMut(&ProblemKey, &str) -> Option<T>) -> Vec<T> {
        self.0.open.lock().values().filter_map(|problem| select(&problem.key, &problem.text)).collect()
    }
}

impl Problem {
    fn shown(&self) -> OpenProblem {
        OpenProblem { key: self.key.clone(), text: self.text.clone(), age: Some(self.since.elapsed()) }
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
    use crate::town::identity::Identity;

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
    fn the_facts_of_a_problem_are_those_of_its_last_report() {
        let (problems, open) = Problems::new();
        let agent: Identity = "r/witness".parse().unwrap();
        let facts = || {
            let each = open.each();
            each.iter().map(|it| (it.key.severity(), it.key.condition(), it.key.agent().cloned())).next()
        };
        problems.report("file/a", "x");
        assert_eq!(facts(), Some((Severity::Warning, None, None)));
        problems.report(ProblemKey::named("file/a").meaning(Condition::CannotRead).of(&agent), "x");
        assert_eq!(facts(), Some((Severity::Critical, Some(Condition::CannotRead), Some(agent))));
        problems.note(ProblemKey::named("file/a").meaning(Condition::CannotWrite), "y".into());
        assert_eq!(facts(), Some((Severity::Critical, Some(Condition::CannotWrite), None)));
        problems.clear(&ProblemKey::named("file/a"));
        assert_eq!(facts(), None);
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
