//! The clock: whether the system time agrees with the times in the town's files.
//!
//! When the clock was set back, the deacon's heartbeat looks fresh until the clock catches up.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::{
    finding::{Area, Finding},
    lines,
};
use crate::{
    deps::Deps,
    go_duration, terminal,
    town::{daemon_state, deacon_file, reading::Reading},
};

/// Times ahead of our clock by up to this prove nothing: clocks of machines that share a disk differ.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The earliest time at which Gas Town can have written a file (2024-01-01).
const FIRST: i64 = 1_704_067_200;

/// How many bytes at the end of the event log are searched for its last time.
const TAIL: u64 = 64 << 10;

/// A time in a file: which file, which time in it, and the time.
type Noted = (PathBuf, &'static str, Timestamp);

/// Checks the times in the town's files; unreadable files are reported elsewhere.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    let mut noted: Vec<Noted> = Vec::new();
    let shown = |path: &PathBuf| deps.paths.shown(path).to_owned();
    let path = deps.paths.deacon_heartbeat();
    if deps.dialect().is_gas_town()
        && let Reading::Good(heartbeat) =
            Reading::of(&path, deps.files.read(&path).await, deacon_file::parse_heartbeat)
    {
        noted.push((shown(&path), "timestamp", heartbeat.timestamp));
    }
    let path = deps.paths.state();
    if let Reading::Good(state) = Reading::of(&path, deps.files.read(&path).await, daemon_state::parse)
        && let Some(at) = state.last_heartbeat.max(state.started_at)
    {
        noted.push((shown(&path), "last_heartbeat", at));
    }
    if let Ok(Some(scan)) = lines::scan(&*deps.journals, &deps.paths.events(), TAIL).await
        && let Some(at) = scan.last
    {
        noted.push((shown(&deps.paths.events()), "its last event", at));
    }
    judge(&noted, deps.now().wall)
}

/// Compares the times in files with the clock.
fn judge(noted: &[Noted], now: Timestamp) -> Vec<Finding> {
    if now.as_second() < FIRST {
        let what = format!("the system clock says {}", now.strftime("%Y-%m-%d %H:%M:%S UTC"));
        return vec![Area::Clock.wrong(what, "set it: ages and backoffs depend on it")];
    }
    let ahead = noted.iter().filter_map(|(path, what, at)| {
        let ahead = Duration::try_from(at.duration_since(now)).ok().filter(|ahead| *ahead > TOLERANCE)?;
        let ahead = go_duration::short(Duration::from_secs(ahead.as_secs()));
        let text = format!("{}: {what} is {ahead} ahead of the clock", terminal::path(path));
        let hint = "correct the clock, or have the file rewritten; until then it counts as fresh";
        Some(Area::Clock.wrong(text, hint).about(path))
    });
    let findings: Vec<Finding> = ahead.collect();
    match findings.is_empty() {
        true => vec![Area::Clock.ok("no time in the town's files is ahead of the clock")],
        false => findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn clocks() {
        for (name, now, at, severity, begin) in [
            ("as it should be", "2026-01-16T12:00:00Z", "2026-01-16T11:59:00Z", Severity::Ok, "no time"),
            ("a little ahead", "2026-01-16T12:00:00Z", "2026-01-16T12:01:00Z", Severity::Ok, "no time"),
            (
                "ahead",
                "2026-01-16T12:00:00Z",
                "2026-01-16T12:01:01.5Z",
                Severity::Wrong,
                "f: t is 1m1s ahead of the clock",
            ),
            (
                "a clock that was never set",
                "1970-01-01T00:02:00Z",
                "2026-01-16T12:00:00Z",
                Severity::Wrong,
                "the system clock says 1970-01-01 00:02:00 UTC",
            ),
        ] {
            let noted = [(PathBuf::from("f"), "t", at.parse().unwrap())];
            let findings = judge(&noted, now.parse().unwrap());
            assert_eq!((findings.len(), findings[0].severity), (1, severity), "{name}");
            assert!(findings[0].what.starts_with(begin), "{name}: {}", findings[0].what);
        }
    }
}
