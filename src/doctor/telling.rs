//! The text of a report for people. Pure.

use std::fmt::Write;

use super::finding::{Area, Finding, Report, Severity};
use crate::{local_time::LocalTime, width};

/// The column at which the texts of findings begin.
const INDENT: usize = 9;

/// How a report is shown.
pub struct Telling {
    /// Whether with colours.
    pub colour: bool,
    /// The width in which lines are kept, longer ones are broken between words; `None`: each finding is one line.
    pub width: Option<usize>,
    /// The reader's time.
    pub local: LocalTime,
}

impl Telling {
    /// The report: the findings, grouped by area, hints below their findings, and a last line with the counts.
    pub fn text(&self, report: &Report) -> String {
        let mut text = String::new();
        for (area, title) in Area::ALL {
            let mut findings = report.findings.iter().filter(|finding| finding.area == area).peekable();
            if findings.peek().is_some() {
                let _ = writeln!(text, "{title}");
            }
            findings.for_each(|finding| self.tell(&mut text, finding));
        }
        let _ = writeln!(text, "\n{}", sum(report));
        text
    }

    fn tell(&self, text: &mut String, finding: &Finding) {
        let (word, on) = match finding.severity {
            Severity::Ok => ("ok", "\x1b[32m"),
            Severity::Note => ("note", "\x1b[33m"),
            Severity::Wrong => ("wrong", "\x1b[1;31m"),
        };
        let (on, off) = if self.colour { (on, "\x1b[0m") } else { ("", "") };
        let _ = writeln!(text, "  {on}{word:<5}{off}  {}", self.fitted(&finding.what));
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "         {}", self.fitted(hint));
        }
    }

    /// A text behind the word for its severity.
    fn fitted(&self, text: &str) -> String {
        let text = self.local.text(text);
        self.width.map_or_else(|| text.clone(), |width| width::wrapped(&text, INDENT, INDENT, width))
    }
}

fn sum(report: &Report) -> String {
    let [wrong, notes] = [Severity::Wrong, Severity::Note].map(|severity| report.count(severity));
    match (wrong, notes) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, 1) => "nothing is wrong, 1 note".to_owned(),
        (0, notes) => format!("nothing is wrong, {notes} notes"),
        (wrong, 1) => format!("{wrong} wrong, 1 note"),
        (wrong, notes) => format!("{wrong} wrong, {notes} notes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(report: &Report, colour: bool) -> String {
        let local = LocalTime::new("2026-11-25T10:00:00Z".parse().unwrap(), &jiff::tz::TimeZone::UTC);
        Telling { colour, width: None, local }.text(report)
    }

    #[test]
    fn it_fits_into_the_terminal() {
        let what = "mayor, deacon, harbor/witness: cannot be started: claude, which is not on PATH since \
                    2026-11-25T09:00:00Z";
        let hint = "install it, or name another agent in settings/config.json of the town or of the rig, or anywhere else";
        let report = report(vec![Area::Agents.wrong(what, hint), Area::Clock.ok("short")]);
        for width in [60, 80, 200] {
            let local = LocalTime::new("2026-11-25T10:00:00Z".parse().unwrap(), &jiff::tz::TimeZone::UTC);
            let text = Telling { colour: false, width: Some(width), local }.text(&report);
            assert!(text.lines().all(|line| line.len() <= width), "{width}: {text}");
            let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let expected = format!("agents wrong {what} {hint} clock ok short 1 wrong, 0 notes");
            assert_eq!(flowing, expected.replace("2026-11-25T09:00:00Z", "09:00:00"), "{width}");
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        Report::new(Some("/t".into()), findings)
    }

    #[test]
    fn grouped_by_area_with_hints_and_a_sum() {
        let findings = vec![
            Area::Tools.wrong("tmux is gone\x1b[2J\nok", "install it"),
            Area::Town.ok("/t"),
            Area::Tools.note("git is old", ""),
        ];
        assert_eq!(
            text(&report(findings.clone()), false),
            "town\n  ok     /t\ntools\n  wrong  tmux is gone\\u{1b}[2J\\nok\n         install it\n  note   git is old\n\n1 wrong, 1 note\n"
        );
        let coloured = text(&report(findings), true);
        assert!(coloured.contains("  \x1b[1;31mwrong\x1b[0m  tmux"), "{coloured}");
    }

    #[test]
    fn the_sum() {
        for (wrong, notes, sum) in [
            (0, 0, "nothing is wrong"),
            (0, 1, "nothing is wrong, 1 note"),
            (0, 3, "nothing is wrong, 3 notes"),
            (2, 0, "2 wrong, 0 notes"),
            (1, 1, "1 wrong, 1 note"),
        ] {
            let wrong = (0..wrong).map(|_| Area::Files.wrong("x", ""));
            let findings = wrong.chain((0..notes).map(|_| Area::Files.note("y", ""))).collect();
            assert_eq!(text(&report(findings), false).lines().last(), Some(sum));
        }
    }
}
