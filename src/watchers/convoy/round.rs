//! One round: finds out whether convoys are open and complete, and lets Gas Town check them if so.
//!
//! It reads the bead databases when their files changed since the last round: the town's for its convoys, and those
//! of the tracked beads for their status. When the town's database cannot be read, a timed round runs `bd list`. When
//! neither answers, nothing is done until the next round. `gt convoy check` closes the complete convoys and notifies
//! their subscribers; one round runs it at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::rules;
use crate::{
    commands::CommandError,
    deps::Deps,
    ledger::{bd, databases::Database, gt, installed, list_output, version::Version},
    ports::{bead_store::Stamp, convoy_store::StoreError},
    town::{bead::Bead, reading::shorten},
};

/// The keys of the problems: it is not known whether a convoy is open,
const OPEN: &str = "convoy/open";
/// or open convoys could not be checked.
const CHECK: &str = "convoy/check";

/// Clears both problems, because convoys are not watched any more.
pub fn forget(deps: &Deps) {
    deps.problems.forget("convoy/");
}

/// The result of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No open convoy has become complete.
    NoneComplete,
    /// There is no open convoy.
    NoneOpen,
    /// Whether there is an open convoy could not be found out, and why.
    Unknown(String),
    /// Convoys were checked, and none was complete.
    NoneReady,
    /// Convoys were checked and some closed, in Gas Town's words.
    Closed(String),
    /// A check was necessary and failed.
    Failed(String),
}

impl Seen {
    /// Whether a later change of a database may go unnoticed by its files, because it changed just now.
    pub fn is_unsettled(&self) -> bool {
        self.stamps.values().any(Option::is_none)
    }
}

impl Outcome {
    /// Whether `gt convoy check` was run.
    pub fn is_check(&self) -> bool {
        matches!(self, Outcome::NoneReady | Outcome::Closed(_) | Outcome::Failed(_))
    }

    /// The result, for people.
    pub fn words(&self) -> String {
        match self {
            Outcome::NoneComplete => "no convoy has become complete".to_owned(),
            Outcome::NoneOpen => "no open convoy".to_owned(),
            Outcome::NoneReady => "no convoy is complete".to_owned(),
            Outcome::Unknown(why) | Outcome::Failed(why) => why.clone(),
            Outcome::Closed(what) => what.clone(),
        }
    }
}

/// What a round found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The stamps of the databases before they were read; `None` when a later change may go unnoticed.
    stamps: BTreeMap<Database, Option<Stamp>>,
    /// The database of each tracked bead, by the routes of that time.
    homes: BTreeMap<String, Database>,
    /// Whether there is an open convoy, when known.
    pub any_open: Option<bool>,
    /// The beads of open convoys that are closed.
    pub closed: BTreeSet<String>,
    /// The open convoys that are complete. A check was run for them; if it failed, the timed check follows.
    complete: BTreeSet<String>,
}

/// Runs one round after `before`, and acts on it. A timed round has the convoys checked when one is open, complete or
/// not.
pub async fn round(deps: &Deps, timed: bool, before: Seen) -> (Outcome, Seen) {
    let (answer, mut seen) = match read_databases(deps, &before).await {
        Ok(seen) => (Ok(seen.any_open == Some(true)), seen),
        Err(why) => {
            // A database that is there and cannot be read now is read again soon.
            let unsettled = matches!(why, StoreError::Unreadable(_)).then(|| (Database::town(), None));
            let seen = Seen { stamps: unsettled.into_iter().collect(), ..before.clone() };
            if !timed {
                return (Outcome::Unknown(why.to_string()), seen);
            }
            (instead_of_database(deps, why).await, seen)
        }
    };
    report(deps, &answer);
    seen.any_open = answer.as_ref().ok().copied();
    let outcome = match answer {
        Ok(true) if timed || !seen.complete.is_subset(&before.complete) => check(deps).await,
        Ok(true) => Outcome::NoneComplete,
        Ok(false) => Outcome::NoneOpen,
        Err(why) => Outcome::Unknown(why),
    };
    (outcome, seen)
}

/// Reads the databases; returns `before` when their files have not changed.
async fn read_databases(deps: &Deps, before: &Seen) -> Result<Seen, StoreError> {
    // A database that `bd` left behind when it moved its beads elsewhere is out of date.
    if !deps.dialect().facts().bd_has_daemon || !deps.bd_version().is_none_or(Version::has_daemon) {
        return Err(StoreError::Missing);
    }
    if is_unchanged(deps, before).await {
        return Ok(before.clone());
    }
    // Each is stamped before it is read: what is written meanwhile is for the next round.
    let town = Database::town();
    let mut stamps = BTreeMap::from([(town.clone(), stamp(deps, &town).await)]);
    let open = deps.convoys.open().await?;
    let homes: BTreeMap<String, Database> =
        open.values().flatten().map(|id| (id.clone(), deps.database(id))).collect();
    let mut tracked: BTreeMap<Database, BTreeSet<String>> = BTreeMap::new();
    for (id, database) in &homes {
        tracked.entry(database.clone()).or_default().insert(id.clone());
    }
    let mut closed = BTreeSet::new();
    for (database, ids) in tracked {
        if !stamps.contains_key(&database) {
            stamps.insert(database.clone(), stamp(deps, &database).await);
        }
        match deps.beads.beads(&database.directory(deps.paths.root()), &ids).await {
            Ok(beads) => closed.extend(beads.into_values().filter(Bead::is_closed).map(|bead| bead.id)),
            Err(why) => {
                tracing::debug!("cannot tell whether the beads of convoys are closed: {why}");
                stamps.insert(database, None);
            }
        }
    }
    let complete = rules::complete(&open, &closed);
    Ok(Seen { stamps, homes, any_open: Some(!open.is_empty()), closed, complete })
}

/// Whether nothing changed since then: neither the databases' files, nor the routes to the tracked beads.
async fn is_unchanged(deps: &Deps, before: &Seen) -> bool {
    if before.homes.iter().any(|(id, database)| deps.database(id) != *database) {
        return false;
    }
    for (database, stamped) in &before.stamps {
        if stamped.is_none() || *stamped != stamp(deps, database).await {
            return false;
        }
    }
    !before.stamps.is_empty()
}

async fn stamp(deps: &Deps, database: &Database) -> Option<Stamp> {
    deps.beads.stamp(&database.directory(deps.paths.root())).await
}

/// Whether there is an open convoy, according to `bd`.
async fn instead_of_database(deps: &Deps, why: StoreError) -> Result<bool, String> {
    match why {
        StoreError::Missing => listed(deps).await,
        unreadable => listed(deps).await.map_err(|why| format!("{unreadable}; {why}")),
    }
}

/// Reports, while it lasts, that it is unknown whether a convoy is open.
fn report(deps: &Deps, answer: &Result<bool, String>) {
    match answer {
        Ok(any) => {
            deps.problems.clear(OPEN);
            if !any {
                deps.problems.clear(CHECK);
            }
        }
        Err(why) if installed::is_reported(why) => {}
        Err(why) => deps
            .problems
            .report(OPEN, format!("convoys are not checked: cannot tell whether one is open: {why}")),
    }
}

/// Runs `bd list`; a run that fails is repeated once.
async fn listed(deps: &Deps) -> Result<bool, String> {
    match list(deps).await {
        Err(why) if !installed::is_reported(&why) => list(deps).await,
        answer => answer,
    }
}

async fn list(deps: &Deps) -> Result<bool, String> {
    let words = ["list", "--type=convoy", "--status=open", "--limit", "0", "--json"];
    let touches = BTreeSet::from([Database::town()]);
    let printed =
        bd::run(deps, &words, &touches, deps.paths.root()).await.map_err(|error| error.to_string())?;
    Ok(!list_output::rows(&printed.stdout, "bd list")?.is_empty())
}

/// Has Gas Town check all open convoys. A failure is reported while it lasts.
async fn check(deps: &Deps) -> Outcome {
    run_check(deps, &["convoy", "check"]).await
}

/// Has Gas Town check this convoy.
pub async fn check_one(deps: &Deps, id: &str) -> Outcome {
    run_check(deps, &["convoy", "check", id]).await
}

async fn run_check(deps: &Deps, words: &[&str]) -> Outcome {
    match gt::run(deps, words, &[]).await {
        Ok(printed) => {
            deps.problems.clear(CHECK);
            read(&printed.stdout)
        }
        Err(error) => {
            let why = error.to_string();
            if !matches!(error, CommandError::NotFound { .. }) {
                deps.problems.report(CHECK, format!("convoys were not checked: {why}"));
            }
            Outcome::Failed(why)
        }
    }
}

/// Parses what `gt convoy check` printed (`gt` 0.2.6 to 0.3): what it closed, line by line, or that there was nothing
/// to close.
fn read(stdout: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(stdout);
    let words = shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if text.contains("Auto-closed ") { Outcome::Closed(words) } else { Outcome::NoneReady }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_as_recorded() {
        let closed = "✓ Auto-closed 1 convoy(s): 🚚 hq-cv-n2nfc: Lab convoy";
        for (name, printed, expected) in [
            (
                "some closed",
                &include_bytes!("../../../tests/fixtures/convoy/convoy_check_closed.stdout")[..],
                Outcome::Closed(closed.to_owned()),
            ),
            (
                "none ready",
                include_bytes!("../../../tests/fixtures/convoy/convoy_check_none.stdout"),
                Outcome::NoneReady,
            ),
            ("nothing", b"", Outcome::NoneReady),
            ("no text", b"\xff\xfe", Outcome::NoneReady),
        ] {
            assert_eq!(read(printed), expected, "{name}");
        }
    }
}
