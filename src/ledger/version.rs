//! The version of `bd`: determined once and cached for the life of the process.
//!
//! Nothing waits for it: until it is known, callers do what every version understands.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;

use super::bd;
use crate::{commands::CommandError, ledger::Ledger, ports::problems::ProblemKey, town::reading::shorten};

/// A version's first two numbers, as in `0.47`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Whether this `bd` runs `show` through a daemon, where the whole call fails when one id is missing: up to 0.49.
    pub fn has_daemon(self) -> bool {
        self < Version { major: 0, minor: 50 }
    }
}

/// The version, when known; survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct BdVersion(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Unknown,
    Asking,
    Known(Version),
}

impl BdVersion {
    /// The version; `None` until it is known.
    pub fn known(&self) -> Option<Version> {
        match *self.0.lock() {
            State::Known(version) => Some(version),
            State::Unknown | State::Asking => None,
        }
    }

    /// Permission to run `bd version`; only one caller has it at a time.
    fn to_be_asked(&self) -> Option<Asking> {
        let mut state = self.0.lock();
        if !matches!(*state, State::Unknown) {
            return None;
        }
        *state = State::Asking;
        Some(Asking(self.clone()))
    }
}

/// One run in progress; dropping it lets another caller run.
struct Asking(BdVersion);

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if matches!(*state, State::Asking) {
            *state = State::Unknown;
        }
    }
}

/// Runs `bd version`, unless the version is known or another caller runs it. A failure is reported while it lasts,
/// and a later call tries again. To be run as a task.
pub async fn probe(ledger: &Ledger) {
    let Some(asking) = ledger.version.to_be_asked() else { return };
    let key = ProblemKey::named("ledger/bd_version").critical();
    // It uses no database.
    let printed = bd::run(ledger, &["version"], &BTreeSet::new(), ledger.paths.root()).await;
    if matches!(printed, Err(CommandError::NotFound { .. })) {
        return; // reported already, once for all uses of `bd`
    }
    let found = printed.map_err(|error| error.to_string()).and_then(|printed| {
        parse(&printed.stdout).ok_or_else(|| {
            let shown = shorten(&String::from_utf8_lossy(&printed.stdout));
            format!("bd version printed no version: {shown:?}")
        })
    });
    match found {
        Ok(version) => {
            *asking.0.0.lock() = State::Known(version);
            ledger.problems.clear(&key);
        }
        Err(why) => ledger.problems.report(key, format!("the version of bd is not known: {why}")),
    }
}

/// Parses `bd version 0.47.2 (dev)`: the first word that is a version counts.
pub fn parse(stdout: &[u8]) -> Option<Version> {
    let text = String::from_utf8_lossy(stdout);
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.strip_prefix('v').unwrap_or(word).split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Version { major, minor })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_printed() {
        for (printed, expected, daemon) in [
            (&include_bytes!("../../tests/fixtures/bd/bd_version.stdout")[..], Some((0, 47)), true),
            (b"bd version 0.49.6 (Homebrew)", Some((0, 49)), true),
            (b"bd version 0.50.0 (abc: main@1234)", Some((0, 50)), false),
            (b"warning: old\nbd version v1.0.2-rc1\n", Some((1, 0)), false),
            (b"bd version 1.1", Some((1, 1)), false),
            (b"bd version dev", None, false),
            (b"bd version 47", None, false),
            (b"bd version 99999999999.1", None, false),
            (b"", None, false),
            (b"\xff\xfe", None, false),
        ] {
            let got = parse(printed);
            let numbers = got.map(|it| (it.major, it.minor));
            let shown = String::from_utf8_lossy(printed);
            assert_eq!(numbers, expected, "{shown}");
            assert_eq!(got.is_some_and(Version::has_daemon), daemon, "{shown}");
        }
    }

    #[test]
    fn one_asks_at_a_time_and_one_that_gave_up_is_followed_by_the_next() {
        let register = BdVersion::default();
        let first = register.to_be_asked();
        assert!(first.is_some() && register.to_be_asked().is_none());
        drop(first);
        let second = register.to_be_asked().unwrap();
        let version = Version { major: 0, minor: 47 };
        *second.0.0.lock() = State::Known(version);
        drop(second);
        assert_eq!(register.known(), Some(version));
        assert!(register.to_be_asked().is_none(), "once");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(stdout: Vec<u8>) {
            let _ = parse(&stdout);
        }
    }
}
