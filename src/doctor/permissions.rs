//! Permissions: whether what the supervisor writes can be written, what is its own is closed to others, and the directories
//! agents work in are there.

use std::path::{Path, PathBuf};

use super::{
    disk::{self, Kind, Room, Standing},
    finding::{Area, Finding},
};
use crate::{
    agent::{
        identity::{Identity, RigName, Role},
        place,
    },
    deps::Deps,
};

/// With less room than this the supervisor's files cannot be kept.
const NO_ROOM: u64 = 16 << 20;
/// With less than this that is near.
const LITTLE_ROOM: u64 = 256 << 20;

/// What a path has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A directory that is there, and in which files can be made.
    Town,
    /// The same, once it is there: it is made at the start.
    Directory,
    /// The same, closed to other users.
    OwnDirectory,
    /// A file that can be written to, once it is there.
    File,
    /// The same, closed to other users.
    OwnFile,
}

/// A path and how it stands: nothing there, or why that is not known.
pub type Seen = (PathBuf, Need, Result<Option<Standing>, String>);

/// What was seen.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The paths, as they are shown.
    pub paths: Vec<Seen>,
    /// The room there is.
    pub room: Result<Room, String>,
    /// Agents without a directory to work in, and the one they would have.
    pub homeless: Vec<(Identity, PathBuf)>,
}

/// Looks.
pub async fn look(deps: &Deps, rigs: &[RigName]) -> Observed {
    let town = &deps.paths;
    let mut wanted = vec![
        (town.root().to_owned(), Need::Town),
        (town.daemon_dir(), Need::Directory),
        (town.supervisor_dir(), Need::OwnDirectory),
        (town.daemon_lock(), Need::File),
        (town.daemon_log(), Need::OwnFile),
        (town.events(), Need::File),
        (lock_of_events(deps), Need::File),
    ];
    if deps.settings().feed.enabled {
        wanted.push((town.feed(), Need::File));
    }
    let mut paths = Vec::new();
    for (path, need) in wanted {
        let standing = disk::standing(&path).await.map_err(|error| error.to_string());
        let shown = if path == town.root() { path } else { town.shown(&path).to_owned() };
        paths.push((shown, need, standing));
    }
    let room = disk::room(town.root()).await.map_err(|error| error.to_string());
    Observed { paths, room, homeless: homeless(deps, rigs).await }
}

fn lock_of_events(deps: &Deps) -> PathBuf {
    let mut path = deps.paths.events().into_os_string();
    path.push(".lock");
    path.into()
}

/// Those that are to be kept running. A directory that cannot be looked at is not missing.
async fn homeless(deps: &Deps, rigs: &[RigName]) -> Vec<(Identity, PathBuf)> {
    let patrols = deps.settings().patrols.clone();
    let mut homeless = Vec::new();
    for rig in rigs {
        for identity in [Identity::Witness(rig.clone()), Identity::Refinery(rig.clone())] {
            let patrol = if identity.role() == Role::Witness { &patrols.witness } else { &patrols.refinery };
            let candidates = place::candidates(&identity, &deps.paths);
            if patrol.covers(rig.as_str()) && none_is_there(deps, &candidates).await {
                let shown = deps.paths.shown(&candidates[0]).to_owned();
                homeless.push((identity, shown));
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

/// Judges.
pub fn judge(observed: &Observed) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        observed.paths.iter().filter_map(|(path, need, standing)| of_path(path, *need, standing)).collect();
    if findings.is_empty() {
        let well = "the town, daemon/ and the logs can be written to";
        findings.push(Finding::ok(Area::Permissions, well));
    }
    findings.extend(observed.homeless.iter().map(|(identity, path)| {
        let what = format!("{identity} cannot be started: its directory {} does not exist", path.display());
        Finding::wrong(Area::Permissions, what)
            .hint("`gt rig add` makes the directories of a rig; `gt doctor --fix` may bring them back")
            .about(path)
    }));
    findings.push(of_room(&observed.room));
    findings
}

fn of_path(path: &Path, need: Need, standing: &Result<Option<Standing>, String>) -> Option<Finding> {
    let shown = path.display();
    let wrong = |what: String| Some(Finding::wrong(Area::Permissions, what).about(path));
    let standing = match standing {
        Err(why) => {
            let what = format!("{shown} cannot be looked at: {why}");
            return wrong(what)
                .map(|finding| finding.hint("check the owner and permissions of what is above it"));
        }
        Ok(None) if need == Need::Town => return wrong(format!("{shown} does not exist")),
        Ok(None) => return None,
        Ok(Some(standing)) => standing,
    };
    let (kind, name) = match need {
        Need::Town | Need::Directory | Need::OwnDirectory => (Kind::Directory, "directory"),
        Need::File | Need::OwnFile => (Kind::File, "regular file"),
    };
    if standing.kind != kind {
        return wrong(format!("{shown} is not a {name}"))
            .map(|finding| finding.hint("move away what is there; the supervisor makes it"));
    }
    if !standing.writable {
        return wrong(format!("{shown} cannot be written to")).map(|finding| {
            finding.hint("give it to the user who runs the supervisor (chown), or chmod u+w")
        });
    }
    let (is_own, right) = match need {
        Need::OwnDirectory => (true, 0o700),
        Need::OwnFile => (true, 0o600),
        _ => (false, 0),
    };
    if is_own && standing.mode & 0o077 != 0 {
        let what = format!("{shown} is open to other users (mode {:04o})", standing.mode);
        let finding = Finding::note(Area::Permissions, what).hint(format!("chmod {right:o} {shown}"));
        return Some(finding.about(path));
    }
    None
}

fn of_room(room: &Result<Room, String>) -> Finding {
    let full = |what: String| {
        Finding::wrong(Area::Permissions, what).hint("make room: nothing the supervisor notes can be kept")
    };
    match room {
        Err(why) => {
            Finding::note(Area::Permissions, format!("how much room the disk has is not known: {why}"))
        }
        Ok(Room { files: Some(0), .. }) => full("no more files can be made on the town's disk".to_owned()),
        Ok(Room { bytes, .. }) if *bytes < NO_ROOM => {
            full(format!("the town's disk is full: {} MiB left", bytes >> 20))
        }
        Ok(Room { bytes, .. }) if *bytes < LITTLE_ROOM => {
            let what = format!("the town's disk is nearly full: {} MiB left", bytes >> 20);
            Finding::note(Area::Permissions, what).hint("make room")
        }
        Ok(Room { bytes, .. }) => {
            let left =
                if bytes >> 30 > 0 { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) };
            Finding::ok(Area::Permissions, format!("the town's disk has {left} left"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    #[test]
    fn paths() {
        let standing = |kind, mode, writable| Ok(Some(Standing { kind, mode, writable }));
        let directory = |mode, writable| standing(Kind::Directory, mode, writable);
        let file = |mode, writable| standing(Kind::File, mode, writable);
        #[rustfmt::skip]
        let cases: [(&str, Need, Result<Option<Standing>, String>, Option<(Severity, &str)>); 17] = [
            ("the town", Need::Town, directory(0o755, true), None),
            ("no town", Need::Town, Ok(None), Some((Wrong, "p does not exist"))),
            ("another's town", Need::Town, directory(0o755, false), Some((Wrong, "p cannot be written to"))),
            ("not made yet", Need::Directory, Ok(None), None),
            ("a file in the way", Need::Directory, file(0o644, true), Some((Wrong, "p is not a directory"))),
            ("closed to us", Need::Directory, directory(0o555, false), Some((Wrong, "p cannot be written to"))),
            ("not to be seen", Need::Directory, Err("denied".into()), Some((Wrong, "p cannot be looked at: denied"))),
            ("ours", Need::OwnDirectory, directory(0o700, true), None),
            ("ours not made yet", Need::OwnDirectory, Ok(None), None),
            ("ours, open", Need::OwnDirectory, directory(0o755, true), Some((Note, "p is open to other users (mode 0755)"))),
            ("a log", Need::File, file(0o644, true), None),
            ("no log", Need::File, Ok(None), None),
            ("a log of another's", Need::File, file(0o644, false), Some((Wrong, "p cannot be written to"))),
            ("a directory in the way", Need::File, directory(0o755, true), Some((Wrong, "p is not a regular file"))),
            ("a pipe in the way", Need::OwnFile, standing(Kind::Other, 0o600, true), Some((Wrong, "p is not a regular file"))),
            ("our log", Need::OwnFile, file(0o600, true), None),
            ("our log, open", Need::OwnFile, file(0o640, true), Some((Note, "p is open to other users (mode 0640)"))),
        ];
        for (name, need, standing, expected) in cases {
            let finding = of_path(Path::new("p"), need, &standing);
            let got = finding.as_ref().map(|finding| (finding.severity, finding.what.as_str()));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn room() {
        for (room, severity, begin) in [
            (Ok(Room { bytes: 1 << 30, files: None }), Well, "the town's disk has 1 GiB left"),
            (
                Ok(Room { bytes: LITTLE_ROOM - 1, files: Some(7) }),
                Note,
                "the town's disk is nearly full: 255 MiB",
            ),
            (Ok(Room { bytes: NO_ROOM - 1, files: Some(7) }), Wrong, "the town's disk is full: 15 MiB"),
            (Ok(Room { bytes: 1 << 30, files: Some(0) }), Wrong, "no more files can be made"),
            (Err("denied".to_owned()), Note, "how much room the disk has is not known: denied"),
        ] {
            let finding = of_room(&room);
            assert_eq!(finding.severity, severity, "{room:?}");
            assert!(finding.what.starts_with(begin), "{room:?}: {}", finding.what);
        }
    }
}
