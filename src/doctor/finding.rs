//! A finding: one thing that was checked, its state, and what to do about it. Pure; what counts as wrong is each
//! area's rule.
//!
//! A finding quotes text from other sources (names, paths, program output). Each is escaped to one harmless line when
//! the finding is made, so that it is safe in every output format.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{terminal::one_line, town::reading::FileProblem};

/// The area of a finding; reports are ordered by area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The town's directory.
    Town,
    /// Whether a supervisor runs.
    Supervisor,
    /// What the running supervisor reports.
    Problems,
    /// What a service manager, or a logout, would end.
    Service,
    /// The content of the town's files.
    Files,
    /// Permissions and directories.
    Permissions,
    /// The file system of the town, and of `daemon/`.
    Disk,
    /// Locks held by others, emergency stops, pauses.
    Locks,
    /// What the original daemon does and the supervisor does not.
    Patrols,
    /// The programs the supervisor runs.
    Tools,
    /// The programs of the agents.
    Agents,
    /// The tmux server that the supervisor uses.
    Tmux,
    /// Other tmux servers of this user.
    Sockets,
    /// The memory for one more agent.
    Memory,
    /// The system clock.
    Clock,
}

impl Area {
    /// All areas in the order of a report, each with its heading.
    pub const ALL: [(Area, &str); 15] = [
        (Area::Town, "town"),
        (Area::Supervisor, "supervisor"),
        (Area::Problems, "problems"),
        (Area::Service, "service"),
        (Area::Files, "files"),
        (Area::Permissions, "permissions"),
        (Area::Disk, "disk"),
        (Area::Locks, "locks"),
        (Area::Patrols, "patrols"),
        (Area::Tools, "tools"),
        (Area::Agents, "agents"),
        (Area::Tmux, "tmux"),
        (Area::Sockets, "sockets"),
        (Area::Memory, "memory"),
        (Area::Clock, "clock"),
    ];
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is in order.
    Ok,
    /// Worth knowing, or it could not be checked; the supervisor can do its work.
    Note,
    /// The supervisor cannot do all of its work, or relies on something wrong.
    Wrong,
}

/// One result of the doctor's checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The area it belongs to.
    pub area: Area,
    /// How serious it is.
    pub severity: Severity,
    /// What was found, as a sentence; with the file and the place if it concerns one.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The file it concerns; relative to the town if it is inside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in that line, from 1, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What it says, as the supervisor reports the same: keys of problems, `<agent>/<kind>` for one of an agent.
    #[serde(skip)]
    pub(crate) same_as: Vec<String>,
}

impl Area {
    /// A finding that something is in order.
    pub(crate) fn ok(self, what: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Ok, what.into(), "")
    }

    /// A finding that is worth knowing.
    pub(crate) fn note(self, what: impl Into<String>, hint: impl AsRef<str>) -> Finding {
        Finding::new(self, Severity::Note, what.into(), hint.as_ref())
    }

    /// A finding that needs a repair.
    pub(crate) fn wrong(self, what: impl Into<String>, hint: impl AsRef<str>) -> Finding {
        Finding::new(self, Severity::Wrong, what.into(), hint.as_ref())
    }
}

impl Finding {
    /// A finding; an empty hint counts as none.
    fn new(area: Area, severity: Severity, what: String, hint: &str) -> Self {
        let hint = Some(one_line(hint)).filter(|hint| !hint.is_empty());
        Finding {
            area,
            severity,
            what: one_line(&what),
            hint,
            path: None,
            line: None,
            column: None,
            same_as: Vec::new(),
        }
    }

    /// What was found, and what to do, as one sentence.
    pub(crate) fn sentence(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.what),
            None => self.what.clone(),
        }
    }

    /// The same finding, about this file.
    pub(crate) fn about(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The same finding, which says what the supervisor reports under these keys.
    pub(crate) fn same_as<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.same_as.extend(keys.into_iter().map(Into::into));
        self
    }

    /// A finding from a problem with a file.
    pub(crate) fn of_file(severity: Severity, problem: &FileProblem) -> Self {
        let FileProblem { path, place, advice, .. } = problem;
        let bare = FileProblem { advice: "", ..problem.clone() };
        Finding {
            path: Some(path.clone()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            ..Self::new(Area::Files, severity, bare.to_string(), advice)
        }
    }
}

/// The doctor's report about a town.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The town's root; `None` when there is no town.
    pub town: Option<PathBuf>,
    /// True when nothing is wrong.
    pub ok: bool,
    /// The findings, ordered by area, then by the order of the checks.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The report of these findings.
    pub(crate) fn new(town: Option<PathBuf>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.area);
        let ok = findings.iter().all(|finding| finding.severity != Severity::Wrong);
        Report { town, ok, findings }
    }

    /// The number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::town::reading::Place;

    #[test]
    fn a_report_is_ordered_by_area_and_is_ok_without_wrong_ones() {
        let findings = || {
            vec![
                Area::Clock.note("c", ""),
                Area::Town.ok("t1"),
                Area::Files.note("f", ""),
                Area::Town.ok("t2"),
            ]
        };
        let report = Report::new(None, findings());
        let order: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!((order, report.ok), (vec!["t1", "t2", "f", "c"], true));
        assert_eq!((report.count(Severity::Ok), report.count(Severity::Note)), (2, 2));
        let wrong = findings().into_iter().chain([Area::Tmux.wrong("x", "")]).collect();
        assert!(!Report::new(None, wrong).ok);
        assert!(Area::ALL.is_sorted(), "the order of a report");
    }

    #[test]
    fn a_problem_of_a_file_keeps_its_place_and_its_advice() {
        let problem = FileProblem::whole(Path::new("mayor/rigs.json"), "it is bad")
            .at(Place { line: 2, column: 7 })
            .about("rigs.a")
            .advise("mend it");
        let json = serde_json::to_value(Finding::of_file(Severity::Wrong, &problem)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "area": "files", "severity": "wrong", "what": "mayor/rigs.json:2:7: rigs.a: it is bad",
                "hint": "mend it", "path": "mayor/rigs.json", "line": 2, "column": 7,
            })
        );
        let plain = serde_json::to_value(Area::Town.ok("x")).unwrap();
        assert_eq!(plain, serde_json::json!({"area": "town", "severity": "ok", "what": "x"}));
    }
}
