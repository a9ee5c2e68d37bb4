//! Faults: that `bd` cannot use a database at all: it hangs, or says so itself (1.0, with Dolt).
//!
//! One cause makes many reads fail, in many places: it is one problem, in the words of `bd` where it has any. Who reads reports nothing
//! then, and what was read is unknown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::databases::Database;
use crate::{
    go_duration,
    ports::{
        Ports,
        problems::{Condition, ProblemKey},
    },
    town::reading::shorten,
};

/// A reason why no read of a database succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its tables are those of another version of `bd`.
    NeedsMigration,
    /// The Dolt server does not answer.
    NoServer,
    /// `bd` did not end within its limit.
    Hung,
}

impl Fault {
    const ALL: [Fault; 3] = [Fault::NeedsMigration, Fault::NoServer, Fault::Hung];

    /// The fault that this error of `bd`, or of `gt` in its words, tells of; `None` for any other error.
    pub fn of(error: &str) -> Option<Fault> {
        let says = |text: &str| error.contains(text);
        if says("bd migrate") || says("column ") && says(" could not be found") {
            return Some(Fault::NeedsMigration);
        }
        if says("Dolt server unreachable") || says("Dolt server may not be running") {
            return Some(Fault::NoServer);
        }
        (says(" did not end within ") && is_of_bd(error)).then_some(Fault::Hung)
    }

    /// Whether this error of `bd` is an answer all the same: a bead that does not exist was looked for.
    fn is_answer(error: &str) -> bool {
        ["no issue found", "no issues found"].iter().any(|text| error.contains(text))
    }

    fn key(self) -> ProblemKey {
        let name = match self {
            Fault::NeedsMigration => "ledger/bd_migrate",
            Fault::NoServer => "ledger/bd_server",
            Fault::Hung => "ledger/bd_hung",
        };
        ProblemKey::named(name).meaning(Condition::BrokenTool)
    }

    fn text(self, said: &str) -> String {
        match self {
            Fault::NeedsMigration => format!(
                "the beads of this town are not readable for this version of bd: {said}; run `bd migrate` in the town and in \
                 each rig (sessions stay as they are)"
            ),
            Fault::NoServer => format!(
                "bd cannot reach the Dolt server: {said}; see `gt dolt status`, start it with `gt dolt start` (sessions stay as \
                 they are)"
            ),
            Fault::Hung => format!(
                "bd does not answer: {said}; polecats that die are not restarted while their beads cannot be read; find out what it \
                 waits for, such as a lock of another bd"
            ),
        }
    }
}

/// For so long a subcommand that hung counts as hanging, unless it ends. One that is rarely run must not keep the problem open
/// for ever; and one that hangs each time beside others that end must not close and open it in turns.
const HANGS_FOR: Duration = Duration::from_mins(10);

/// The faults that last, by database and subcommand, as one subcommand may fail where another does not; that a database has no
/// server is over when any succeeds, and that a subcommand hangs when it ends, or has not hung again for long while others
/// ended. It survives the crash of any actor.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<(Database, String), Lasting>>>);

/// A fault that lasts.
#[derive(Debug, Clone)]
struct Lasting {
    fault: Fault,
    /// In the words that reported it first, or each other read would report it again.
    said: String,
    /// When it was last met, on the monotonic clock.
    met: Duration,
}

impl Faults {
    /// Notes how a run ended. Returns whether it failed with a fault, which is reported then.
    pub fn note(
        &self,
        ports: &Ports,
        database: &Database,
        subcommand: &str,
        ran: Result<(), String>,
    ) -> bool {
        let key = (database.clone(), subcommand.to_owned());
        let ran = ran.or_else(|why| if Fault::is_answer(&why) { Ok(()) } else { Err(why) });
        let met = ports.now().mono;
        let fault = ran
            .as_ref()
            .err()
            .and_then(|why| Some(Lasting { fault: Fault::of(why)?, said: in_one_line(why), met }));
        let (before, is_one) = {
            let mut faults = self.0.lock();
            let before = !faults.is_empty();
            match (&fault, &ran) {
                (Some(fault), _) => {
                    let first = faults.values().find(|it| it.fault == fault.fault).unwrap_or(fault);
                    let said = first.said.clone();
                    faults.insert(key, Lasting { said, ..fault.clone() });
                }
                (None, Ok(())) => {
                    // Its server answers, whatever the subcommand; some are rarely used.
                    let is_over = |failed: &(Database, String), it: &Lasting| {
                        *failed == key || failed.0 == key.0 && it.fault == Fault::NoServer
                    };
                    faults.retain(|failed, it| !is_over(failed, it));
                }
                // Another error: the fault may last.
                (None, Err(_)) => {}
            }
            (before, fault.is_some())
        };
        if before || is_one {
            self.report(ports);
        }
        is_one
    }

    /// Notes that a run did not end within its limit.
    pub fn hung(&self, ports: &Ports, database: &Database, subcommand: &str, limit: Duration) {
        let (key, met) = ((database.clone(), subcommand.to_owned()), ports.now().mono);
        {
            let mut faults = self.0.lock();
            // A longer limit is no news of the same run.
            let before = faults.get(&key).filter(|it| it.fault == Fault::Hung).map(|it| it.said.clone());
            let said = || {
                let limit = go_duration::short(limit);
                let whose = database.rig().map(|rig| format!(" for rig {rig}")).unwrap_or_default();
                format!("`bd {subcommand}`{whose} did not end within {limit} and was killed")
            };
            faults.insert(key, Lasting { fault: Fault::Hung, said: before.unwrap_or_else(said), met });
        }
        self.report(ports);
    }

    /// Notes that a run ended, however it did.
    pub fn ended(&self, ports: &Ports, database: &Database, subcommand: &str) {
        let now = ports.now().mono;
        let was_hung = {
            let mut faults = self.0.lock();
            let before = faults.len();
            let is_over = |name: &str, it: &Lasting| {
                it.fault == Fault::Hung && (name == subcommand || now.saturating_sub(it.met) >= HANGS_FOR)
            };
            faults.retain(|(its, name), it| its != database || !is_over(name, it));
            faults.len() < before
        };
        if was_hung {
            self.report(ports);
        }
    }

    /// Reports each kind once.
    fn report(&self, ports: &Ports) {
        let faults = self.0.lock().clone();
        for kind in Fault::ALL {
            match faults.values().find(|it| it.fault == kind) {
                Some(it) => ports.problems.report(kind.key(), kind.text(&it.said)),
                None => ports.problems.clear(&kind.key()),
            }
        }
    }
}

/// Whether the command line that an error names is one of `bd`.
fn is_of_bd(error: &str) -> bool {
    let program = error.split('`').nth(1).and_then(|line| line.split(' ').next());
    program.is_some_and(|program| program == "bd" || program.ends_with("/bd"))
}

/// What `bd` said in several lines.
fn in_one_line(said: &str) -> String {
    // Within JSON a line ends as `\n`.
    shorten(&said.replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bead_that_does_not_exist_is_an_answer() {
        assert!(Fault::is_answer(include_str!("../../tests/fixtures/v1/show_rig_bead.stderr")));
        assert!(Fault::is_answer(include_str!("../../tests/fixtures/v1/show_missing.stdout")));
        assert!(!Fault::is_answer(include_str!("../../tests/fixtures/v1/dolt_down_bd_show.stderr")));
    }

    #[test]
    fn which_errors_are_faults() {
        let down = include_str!("../../tests/fixtures/v1/dolt_down_bd_show.stderr");
        let inbox = include_str!("../../tests/fixtures/v1/dolt_down_inbox.stderr");
        let missing = include_str!("../../tests/fixtures/v1/show_rig_bead.stderr");
        for (name, error, expected) in [
            ("no server", down, Some(Fault::NoServer)),
            ("no server, through gt", inbox, Some(Fault::NoServer)),
            (
                "another version",
                r#"Error 1105 (HY000): column "depends_on_issue_id" could not be found in any table in scope"#,
                Some(Fault::NeedsMigration),
            ),
            ("it says what to do", "schema is out of date, run bd migrate", Some(Fault::NeedsMigration)),
            ("missing", missing, None),
            ("locked", "database is locked", None),
            ("a file", "file could not be found", None),
            ("it hangs", "x: `bd show a` did not end within 30s and was killed", Some(Fault::Hung)),
            ("by its path", "`/opt/bd show a` did not end within 30s and was killed", Some(Fault::Hung)),
            ("gt hangs", "`gt mail inbox` did not end within 30s and was killed", None),
        ] {
            assert_eq!(Fault::of(error), expected, "{name}");
        }
    }
}
