//! Permissions: whether the supervisor can write its files, whether private files are closed to other users, and whether the
//! agents' working directories exist.

use std::path::{Path, PathBuf};

use super::{
    disk::{self, Entry, Kind},
    finding::{Area, Finding},
};
use crate::{
    deps::Deps,
    terminal,
    town::identity::{Identity, RigName},
};

/// What an existing path must be so that this process can write to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Need {
    kind: Kind,
    /// Its mode, if other users must not have access.
    closed: Option<u32>,
}

const DIRECTORY: Need = Need { kind: Kind::Directory, closed: None };
const OWN_DIRECTORY: Need = Need { kind: Kind::Directory, closed: Some(0o700) };
const FILE: Need = Need { kind: Kind::File, closed: None };
const OWN_FILE: Need = Need { kind: Kind::File, closed: Some(0o600) };

/// Checks the permissions.
pub async fn examine(deps: &Deps, rigs: &[RigName]) -> Vec<Finding> {
    let town = &deps.paths;
    let mut wanted = vec![(town.root().to_owned(), DIRECTORY)];
    if town.daemon_dir() != town.supervisor_dir() {
        wanted.push((town.daemon_dir(), DIRECTORY));
    }
    wanted.extend([
        (town.supervisor_dir(), OWN_DIRECTORY),
        (town.daemon_lock(), FILE),
        (town.daemon_log(), OWN_FILE),
        (town.events(), FILE),
        (town.events_lock(), FILE),
    ]);
    if deps.dialect().is_gas_town() && deps.settings().feed.enabled {
        wanted.push((town.feed(), FILE));
    }
    let mut findings = Vec::new();
    for (path, need) in wanted {
        let entry = disk::entry(&path).await.map_err(|error| error.to_string());
        let shown = if path == town.root() { &path } else { town.shown(&path) };
        findings.extend(of_path(shown, need, entry));
    }
    if findings.is_empty() {
        let directory = terminal::path(town.shown(&town.daemon_dir()));
        let what = format!("the town, {directory}/ and the logs can be written to");
        findings.push(Area::Permissions.ok(what));
    }
    findings.extend(homeless(deps, rigs).await);
    findings
}

/// Agents that should run but have no working directory. A directory that cannot be examined is not missing.
async fn homeless(deps: &Deps, rigs: &[RigName]) -> Vec<Finding> {
    let settings = deps.settings();
    let mut homeless = Vec::new();
    for rig in rigs {
        for identity in Identity::of_rig(rig) {
            let is_wanted = identity.role().is_kept() && identity.switched_off(&settings.patrols).is_none();
            let candidates = deps.paths.work_directories(deps.dialect(), &identity);
            if is_wanted && none_is_there(deps, &candidates).await {
                let path = deps.paths.shown(&candidates[0]);
                let what = format!(
                    "{identity} cannot be started: its directory {} does not exist",
                    terminal::path(path)
                );
                let hint =
                    "`gt rig add` creates the directories of a rig; `gt doctor --fix` may restore them";
                homeless.push(Area::Permissions.wrong(what, hint).about(path));
            }
        }
    }
    homeless
}

async fn none_is_there(deps: &Deps, candidates: &[PathBuf]) -> bool {
    for path in candidates {
        if !matches!(deps.files.is_dir(path).await, Ok(false)) {
            return false;
        }
    }
    true
}

/// What is wrong with a path in this state; a missing one is created at the start.
fn of_path(path: &Path, need: Need, entry: Result<Option<Entry>, String>) -> Option<Finding> {
    let shown = terminal::path(path);
    let wrong = |what: String, hint: &str| Some(Area::Permissions.wrong(what, hint).about(path));
    let entry = match entry {
        Ok(entry) => entry?,
        Err(why) => {
            let hint = "check the owner and permissions of its parent directories";
            return wrong(format!("{shown} cannot be examined: {why}"), hint);
        }
    };
    if entry.kind != need.kind {
        let name = if need.kind == Kind::Directory { "directory" } else { "regular file" };
        let hint = "move it away; the supervisor creates the right one";
        return wrong(format!("{shown} is not a {name}"), hint);
    }
    if !entry.writable {
        let hint = "give it to the user who runs the supervisor (chown), or chmod u+w";
        return wrong(format!("{shown} cannot be written to"), hint);
    }
    let right = need.closed.filter(|_| entry.mode & 0o077 != 0)?;
    let what = format!("{shown} is open to other users (mode {:04o})", entry.mode);
    Some(Area::Permissions.note(what, format!("chmod {right:o} {shown}")).about(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Wrong};

    #[test]
    fn paths() {
        let entry = |kind, mode, writable| Ok(Some(Entry { kind, mode, writable, owner: 0, device: 0 }));
        let directory = |mode, writable| entry(Kind::Directory, mode, writable);
        let file = |mode, writable| entry(Kind::File, mode, writable);
        #[rustfmt::skip]
        let cases: [(&str, Need, Result<Option<Entry>, String>, Option<(Severity, &str)>); 15] = [
            ("another's", DIRECTORY, directory(0o755, false), Some((Wrong, "p cannot be written to"))),
            ("not made yet", DIRECTORY, Ok(None), None),
            ("a file in the way", DIRECTORY, file(0o644, true), Some((Wrong, "p is not a directory"))),
            ("closed to us", DIRECTORY, directory(0o555, false), Some((Wrong, "p cannot be written to"))),
            ("not to be seen", DIRECTORY, Err("denied".into()), Some((Wrong, "p cannot be examined: denied"))),
            ("ours", OWN_DIRECTORY, directory(0o700, true), None),
            ("ours not made yet", OWN_DIRECTORY, Ok(None), None),
            ("ours, open", OWN_DIRECTORY, directory(0o755, true), Some((Note, "p is open to other users (mode 0755)"))),
            ("a log", FILE, file(0o644, true), None),
            ("no log", FILE, Ok(None), None),
            ("a log of another's", FILE, file(0o644, false), Some((Wrong, "p cannot be written to"))),
            ("a directory in the way", FILE, directory(0o755, true), Some((Wrong, "p is not a regular file"))),
            ("a pipe in the way", OWN_FILE, entry(Kind::Other, 0o600, true), Some((Wrong, "p is not a regular file"))),
            ("our log", OWN_FILE, file(0o600, true), None),
            ("our log, open", OWN_FILE, file(0o640, true), Some((Note, "p is open to other users (mode 0640)"))),
        ];
        for (name, need, entry, expected) in cases {
            let finding = of_path(Path::new("p"), need, entry);
            let got = finding.as_ref().map(|finding| (finding.severity, finding.what.as_str()));
            assert_eq!(got, expected, "{name}");
        }
    }
}
