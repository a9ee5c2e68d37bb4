//! A look: asking whether convoys wait for something, and having Gas Town check them if so.
//!
//! The town's database is asked first; where it says nothing, `bd list` is; where neither does, nothing is done, and the next
//! look may know more. `gt convoy check` closes the convoys whose beads are all closed, tells whom it concerns, and is run by
//! one look at a time.

use std::collections::BTreeSet;

use super::{
    rules::{Why, may_tell},
    store::StoreError,
};
use crate::{
    commands::CommandError,
    deps::Deps,
    ledger::{bd, databases::Database, gt, installed, list_output},
    town::reading::shorten,
};

/// What may be wrong: it is not known whether a convoy is open,
const OPEN: &str = "convoy/open";
/// or those that are could not be checked.
const CHECK: &str = "convoy/check";

/// Nobody looks any more, and nothing is wrong with that.
pub fn forget(deps: &Deps) {
    deps.problems.forget("convoy/");
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No open convoy waits for what was closed.
    Untracked,
    /// There is no open convoy.
    NoneOpen,
    /// It could not be found out whether there is one, and why.
    Unknown(String),
    /// Convoys were checked, and none was complete.
    NoneReady,
    /// Convoys were checked and some closed, in Gas Town's words.
    Closed(String),
    /// They should have been checked, and could not be.
    Failed(String),
}

impl Outcome {
    /// Whether `gt convoy check` was run.
    pub fn is_check(&self) -> bool {
        matches!(self, Outcome::NoneReady | Outcome::Closed(_) | Outcome::Failed(_))
    }

    /// What came of it, for people.
    pub fn words(&self) -> String {
        match self {
            Outcome::Untracked => "no open convoy waits for what was closed".to_owned(),
            Outcome::NoneOpen => "no open convoy".to_owned(),
            Outcome::NoneReady => "no convoy is complete".to_owned(),
            Outcome::Unknown(why) | Outcome::Failed(why) => why.clone(),
            Outcome::Closed(what) => what.clone(),
        }
    }

    /// Whether there is an open convoy, where that was found out. Of checks that closed some nobody knows any more.
    pub fn any_open(&self) -> Option<bool> {
        match self {
            Outcome::NoneOpen => Some(false),
            Outcome::NoneReady | Outcome::Failed(_) => Some(true),
            Outcome::Untracked | Outcome::Unknown(_) | Outcome::Closed(_) => None,
        }
    }
}

/// Looks for this reason, and does what follows.
pub async fn look(deps: &Deps, why: Why) -> Outcome {
    if let Why::Closed(ids) = &why
        && let Ok(tracked) = tracked(deps, ids).await
    {
        let Some(first) = tracked.first() else { return Outcome::Untracked };
        tracing::debug!("{} closed beads are in open convoys ({first})", tracked.len());
        return check(deps).await;
    }
    match any_open(deps).await {
        Ok(true) => check(deps).await,
        Ok(false) => Outcome::NoneOpen,
        Err(why) => Outcome::Unknown(why),
    }
}

async fn tracked(deps: &Deps, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
    if !has_database(deps) {
        return Err(StoreError::Missing);
    }
    deps.convoys.tracked(ids).await
}

/// What `bd` left behind when it moved its beads elsewhere says nothing about today.
fn has_database(deps: &Deps) -> bool {
    may_tell(deps.bd_version.known())
}

/// Whether there is an open convoy. That nobody knows is reported as long as it lasts.
async fn any_open(deps: &Deps) -> Result<bool, String> {
    let database = if has_database(deps) { deps.convoys.any_open().await } else { Err(StoreError::Missing) };
    let answer = match database {
        Ok(any) => Ok(any),
        Err(StoreError::Missing) => listed(deps).await,
        Err(unreadable) => listed(deps).await.map_err(|why| format!("{unreadable}; {why}")),
    };
    match &answer {
        Ok(any) => {
            deps.problems.clear(OPEN);
            if !any {
                deps.problems.clear(CHECK);
            }
        }
        Err(why) if installed::is_told(why) => {}
        Err(why) => drop(deps.problems.report(
            OPEN,
            format!("convoys are not checked, because it is not known whether one is open: {why}"),
        )),
    }
    answer
}

/// The same, asked of `bd`; one that fails is asked once more.
async fn listed(deps: &Deps) -> Result<bool, String> {
    match list(deps).await {
        Err(why) if !installed::is_told(&why) => list(deps).await,
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

/// Has Gas Town check all open convoys. A failure is reported as long as it lasts.
async fn check(deps: &Deps) -> Outcome {
    match gt::run(deps, &["convoy", "check"], &[]).await {
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

/// What `gt convoy check` printed (`gt` 0.2.6 to 0.3): what it closed, line by line, or that there was nothing to close.
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
                &include_bytes!("../../tests/fixtures/convoy/convoy_check_closed.stdout")[..],
                Outcome::Closed(closed.to_owned()),
            ),
            (
                "none ready",
                include_bytes!("../../tests/fixtures/convoy/convoy_check_none.stdout"),
                Outcome::NoneReady,
            ),
            ("nothing", b"", Outcome::NoneReady),
            ("no text", b"\xff\xfe", Outcome::NoneReady),
        ] {
            assert_eq!(read(printed), expected, "{name}");
        }
    }
}
