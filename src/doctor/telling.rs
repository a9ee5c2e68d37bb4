//! The text of a report for people. Pure.

use std::fmt::Write;

use super::finding::{Area, Finding, Report, Severity};

/// The report: one line per finding, grouped by area, hints below their findings, and a last line with the counts.
/// With colours if `colour`.
pub fn text(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    for (area, title) in Area::ALL {
        let mut findings = report.findings.iter().filter(|finding| finding.area == area).peekable();
        if findings.peek().is_some() {
            let _ = writeln!(text, "{title}");
        }
        findings.for_each(|finding| tell(&mut text, finding, colour));
    }
    let [wrong, notes] = [Severity::Wrong, Severity::Note].map(|severity| report.count(severity));
    let sum = match (wrong, notes) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, 1) => "nothing is wrong, 1 note".to_owned(),
        (0, notes) => format!("nothing is wrong, {notes} notes"),
        (wrong, 1) => format!("{wrong} wrong, 1 note"),
        (wrong, notes) => format!("{wrong} wrong, {notes} notes"),
    };
    let _ = writeln!(text, "\n{sum}");
    text
}

fn tell(text: &mut String, finding: &Finding, colour: bool) {
    let (word, on) = match finding.severity {
        Severity::Ok => ("ok", "\x1b[32m"),
        Severity::Note => ("note", "\x1b[33m"),
        Severity::Wrong => ("wrong", "\x1b[1;31m"),
    };
    let (on, off) = if colour { (on, "\x1b[0m") } else { ("", "") };
    let _ = writeln!(text, "  {on}{word:<5}{off}  {}", finding.what);
    if let Some(hint) = &finding.hint {
        let _ = writeln!(text, "         {hint}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
